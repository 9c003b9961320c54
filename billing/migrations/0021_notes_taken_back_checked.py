"""A transaction of its own, so that the scan of the invoices takes no lock that a request would wait for."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0020_notes_taken_back")]

    operations = [ValidateConstraint(model_name="invoice", name="invoice_credit_note_corrects_an_invoice")]
