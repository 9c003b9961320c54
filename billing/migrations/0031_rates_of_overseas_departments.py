from datetime import date

from django.db import migrations

DEPARTMENTS = ("GP", "MQ", "RE")
OURS = {"category": "standard", "basis_points": 850, "valid_from": date(2026, 1, 1)}


def add(apps, schema_editor) -> None:
    """French VAT at a rate of their own; see billing/data/tax_rates.yaml. What an operator wrote stays."""
    rate = apps.get_model("billing", "TaxRate")
    rate.objects.bulk_create([rate(country=each, **OURS) for each in DEPARTMENTS], ignore_conflicts=True)


def back(apps, schema_editor) -> None:
    apps.get_model("billing", "TaxRate").objects.filter(country__in=DEPARTMENTS, **OURS).delete()


class Migration(migrations.Migration):
    dependencies = [("billing", "0030_credits_of_older_consents")]
    operations = [migrations.RunPython(add, back)]
