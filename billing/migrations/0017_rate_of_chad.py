from datetime import date

from django.db import migrations

OURS = {"country": "TD", "category": "standard", "valid_from": date(2026, 1, 1)}


def correct(apps, schema_editor) -> None:
    """Its finance law for 2026 says 17.5 %; see billing/data/tax_rates.yaml. What an operator wrote stays."""
    apps.get_model("billing", "TaxRate").objects.filter(**OURS, basis_points=1_800).update(basis_points=1_750)


def back(apps, schema_editor) -> None:
    apps.get_model("billing", "TaxRate").objects.filter(**OURS, basis_points=1_750).update(basis_points=1_800)


class Migration(migrations.Migration):
    dependencies = [("billing", "0016_bills")]
    operations = [migrations.RunPython(correct, back)]
