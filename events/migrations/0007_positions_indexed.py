"""The indexes of positions, made while others write."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("events", "0006_positions")]

    operations = [
        AddIndexConcurrently(
            model_name="event",
            index=models.Index(condition=models.Q(("position", None)), fields=["id"], name="event_unplaced"),
        ),
        AddIndexConcurrently(
            model_name="event",
            index=models.Index(
                condition=models.Q(("position__isnull", False)), fields=["user", "position"], name="event_by_position"
            ),
        ),
    ]
