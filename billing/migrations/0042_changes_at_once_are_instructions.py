"""A dearer plan at once is an instruction too, with the instant of its preview."""
# squawk-ignore: ban-drop-constraint - constraints that allow more take their place in this transaction

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

KINDS = ["end_now", "end_later", "keep", "pause", "resume", "next_price", "change_now"]
OF_A_PRICE = ("next_price", "change_now")


class Migration(migrations.Migration):
    dependencies = [("billing", "0041_former_persons_indexed")]

    operations = [
        migrations.RemoveConstraint(model_name="gatewayinstruction", name="instruction_kind_known"),
        migrations.RemoveConstraint(model_name="gatewayinstruction", name="instruction_next_price_has_its_price"),
        migrations.AddField(
            model_name="gatewayinstruction",
            name="prorated_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="charged as at"),
        ),
        migrations.AlterField(
            model_name="gatewayinstruction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("end_now", "end it now"),
                    ("end_later", "end it with its period"),
                    ("keep", "do not end it after all"),
                    ("pause", "pause it"),
                    ("resume", "go on after a pause"),
                    ("next_price", "another price from the next period"),
                    ("change_now", "a dearer plan at once, for the difference"),
                ],
                max_length=10,
                verbose_name="what is to be done",
            ),
        ),
        AddConstraintNotValid(
            model_name="gatewayinstruction",
            constraint=models.CheckConstraint(condition=models.Q(("kind__in", KINDS)), name="instruction_kind_known"),
        ),
        AddConstraintNotValid(
            model_name="gatewayinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", OF_A_PRICE), ("price__isnull", False)),
                    models.Q(models.Q(("kind__in", OF_A_PRICE), _negated=True), ("price__isnull", True)),
                    _connector="OR",
                ),
                name="instruction_change_has_its_price",
            ),
        ),
        AddConstraintNotValid(
            model_name="gatewayinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "change_now"), ("prorated_at__isnull", False)),
                    models.Q(models.Q(("kind", "change_now"), _negated=True), ("prorated_at__isnull", True)),
                    _connector="OR",
                ),
                name="instruction_change_now_has_its_instant",
            ),
        ),
    ]
