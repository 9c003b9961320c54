"""Looks at the rows that were there before, without keeping others from writing."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0002_types")]

    operations = [ValidateConstraint(model_name="event", name="event_type_known")]
