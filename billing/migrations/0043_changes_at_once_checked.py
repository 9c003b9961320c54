"""A transaction of its own, so that the scan of the instructions takes no lock that a request would wait for."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0042_changes_at_once_are_instructions")]

    operations = [
        ValidateConstraint(model_name="gatewayinstruction", name="instruction_kind_known"),
        ValidateConstraint(model_name="gatewayinstruction", name="instruction_change_has_its_price"),
        ValidateConstraint(model_name="gatewayinstruction", name="instruction_change_now_has_its_instant"),
    ]
