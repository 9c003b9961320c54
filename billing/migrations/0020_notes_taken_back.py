"""A credit note whose refund came back is taken back by a second invoice of the same payment."""
# squawk-ignore: ban-drop-constraint - the same constraints come back in this transaction, and allow more than before
# squawk-ignore: require-concurrent-index-creation - invoices are issued by a sweep, which waits for it
# squawk-ignore: require-concurrent-index-deletion - as long as building the one that takes its place

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0019_saved_methods_are_set_up_and_removed")]

    operations = [
        migrations.RemoveConstraint(model_name="invoice", name="invoice_once_per_payment"),
        migrations.RemoveConstraint(model_name="invoice", name="invoice_credit_note_corrects_an_invoice"),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("corrects__isnull", True), ("kind__in", ("invoice", "receipt"))),
                fields=("payment",),
                name="invoice_once_per_payment",
            ),
        ),
        AddConstraintNotValid(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("corrects__isnull", True), ("kind__in", ("invoice", "receipt")), ("refund__isnull", True)
                    ),
                    models.Q(("corrects__isnull", False), ("kind", "credit_note")),
                    models.Q(
                        ("corrects__isnull", False), ("kind__in", ("invoice", "receipt")), ("refund__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="invoice_credit_note_corrects_an_invoice",
            ),
        ),
    ]
