# squawk-ignore: ban-drop-constraint - the new ones allow all that the old ones allowed, in this transaction
# squawk-ignore: adding-foreign-key-constraint - cases are few, so the scan and its lock are over at once
# squawk-ignore: constraint-missing-not-valid - cases are few, so the scan and its lock are over at once
# squawk-ignore: require-concurrent-index-creation - cases are few, so the index is made at once

import django.db.models.deletion
from django.db import migrations, models

KINDS = [
    ("mismatch", "wrong amount or currency"),
    ("surplus", "paid twice, to be given back by hand"),
    ("still_unknown", "the gateway does not say"),
    ("refund_failed", "a refund did not arrive"),
    ("dispute", "dispute to answer"),
    ("manual_refund", "refund to be sent by hand"),
    ("payout", "a payout needs somebody"),
    ("subscription", "a gateway refuses to speak of a subscription"),
]


class Migration(migrations.Migration):
    dependencies = [("billing", "0017_rate_of_chad")]

    operations = [
        migrations.RemoveConstraint(model_name="case", name="case_kind_known"),
        migrations.RemoveConstraint(model_name="case", name="case_is_about_a_payment_or_a_payout"),
        migrations.AlterField(
            model_name="case",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=13, verbose_name="kind"),
        ),
        migrations.AddField(
            model_name="case",
            name="subscription",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cases",
                to="billing.subscription",
                verbose_name="subscription",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                name="case_kind_known", condition=models.Q(kind__in=[kind for kind, _ in KINDS])
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                name="case_is_about_one_thing",
                condition=models.Q(payment__isnull=False, payout__isnull=True, subscription__isnull=True)
                | models.Q(payment__isnull=True, attempt__isnull=True, payout__isnull=False, subscription__isnull=True)
                | models.Q(payment__isnull=True, attempt__isnull=True, payout__isnull=True, subscription__isnull=False),
            ),
        ),
    ]
