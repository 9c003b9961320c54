"""The order of the operators' list, what waits for somebody first; without it every row was sorted for a page of it."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Case, F, OrderBy, Value, When


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("wallets", "0004_sales_by_release")]

    operations = [
        AddIndexConcurrently(
            model_name="withdrawal",
            index=models.Index(
                Case(
                    When(status="requested", then=Value(0)),
                    When(status="uncertain", then=Value(1)),
                    When(status="sending", then=Value(2)),
                    When(status="approved", then=Value(3)),
                    default=Value(4),
                    output_field=models.SmallIntegerField(),
                ),
                OrderBy(F("id"), descending=True),
                name="withdrawal_by_urgency",
            ),
        ),
    ]
