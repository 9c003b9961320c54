"""A transaction of its own, so that the scan of the withdrawals takes no lock that a request would wait for."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations

NAMES = ("withdrawal_status_known", "withdrawal_is_paid_with_an_entry", "large_withdrawal_is_approved_by_two")


class Migration(migrations.Migration):
    dependencies = [("wallets", "0002_returned_withdrawals")]

    operations = [ValidateConstraint(model_name="withdrawal", name=name) for name in NAMES]
