"""Credits that were revoked or had expired before their money went back: no later refund counts them again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0047_disputes_own_their_freezes")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="credits_gone",
            field=models.BigIntegerField(
                db_default=0, default=0, editable=False, verbose_name="credits that were gone already"
            ),
        ),
    ]
