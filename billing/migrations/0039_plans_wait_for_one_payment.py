"""Of one plan one payment of a purpose waits. Where two wait already, somebody has to end one before."""

from django.db import migrations, models
from django.db.models.fields.json import KT

CREATE = """
CREATE UNIQUE INDEX CONCURRENTLY payment_waits_once_per_plan_and_purpose
    ON billing_payment ((details ->> 'subscription'), (details ->> 'purpose'))
 WHERE NOT (details ? 'invoice') AND kind = 'plan' AND status = 'pending'
"""
DROP = "DROP INDEX CONCURRENTLY IF EXISTS payment_waits_once_per_plan_and_purpose"


def refuse_two(apps, schema_editor):
    """Before the index is begun: it would only say that it could not be made, and leave an invalid one behind."""
    waiting, twice = set(), []
    rows = apps.get_model("billing", "Payment").objects.filter(kind="plan", status="pending")
    for pk, details in rows.order_by("id").values_list("pk", "details"):
        place = details.get("subscription"), details.get("purpose")
        if "invoice" not in details and place in waiting:
            twice.append(str(pk))
        waiting.add(place)
    if twice:
        raise ValueError(f"Another payment of the same plan waits beside these; cancel one of each: {', '.join(twice)}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0038_lists_as_files")]

    operations = [
        migrations.RunPython(refuse_two, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(DROP, migrations.RunSQL.noop),  # what an interrupted one has left behind
                migrations.RunSQL(CREATE, DROP),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="payment",
                    constraint=models.UniqueConstraint(
                        KT("details__subscription"),
                        KT("details__purpose"),
                        condition=models.Q(("details__invoice__isnull", True), ("kind", "plan"), ("status", "pending")),
                        name="payment_waits_once_per_plan_and_purpose",
                    ),
                )
            ],
        ),
    ]
