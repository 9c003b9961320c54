"""Looks at the rows that were there before, without keeping others from writing."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0008_letters_of_cases")]

    operations = [ValidateConstraint(model_name="message", name="message_kind_known")]
