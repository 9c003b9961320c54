# squawk-ignore: adding-field-with-default - STATEMENT_TIMESTAMP() is stable: computed once, no row is rewritten
# squawk-ignore: require-concurrent-index-creation - the inbox came with the same release, so there is little to index

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_top_ups"),
    ]

    operations = [
        migrations.AddField(
            model_name="gatewayletter",
            name="mirror_at",
            field=models.DateTimeField(
                blank=True,
                db_default=django.db.models.functions.datetime.Now(),
                null=True,
                verbose_name="mirrored next at",
            ),
        ),
        migrations.AddField(
            model_name="gatewayletter",
            name="mirror_error",
            field=models.CharField(blank=True, db_default="", max_length=300, verbose_name="last error of the mirror"),
        ),
        migrations.AddField(
            model_name="gatewayletter",
            name="mirror_tries",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name="times mirrored"),
        ),
        migrations.AddIndex(
            model_name="gatewayletter",
            index=models.Index(
                condition=models.Q(("gateway", "stripe"), ("mirror_at__isnull", False)),
                fields=["mirror_at"],
                name="gateway_letter_to_mirror",
            ),
        ),
    ]
