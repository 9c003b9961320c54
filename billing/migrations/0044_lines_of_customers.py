"""What a customer's record may say; the database is as it was."""

from django.db import migrations, models

import rest.texts


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0043_changes_at_once_checked"),
    ]

    operations = [
        migrations.AlterField(
            model_name="customer",
            name="address",
            field=models.CharField(
                blank=True, db_default="", max_length=200, validators=[rest.texts.check_line], verbose_name="address"
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="city",
            field=models.CharField(
                blank=True, db_default="", max_length=100, validators=[rest.texts.check_line], verbose_name="city"
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="company",
            field=models.CharField(
                blank=True, max_length=200, validators=[rest.texts.check_line], verbose_name="company"
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="email",
            field=models.EmailField(
                blank=True, max_length=254, validators=[rest.texts.check_address], verbose_name="e-mail"
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="name",
            field=models.CharField(blank=True, max_length=200, validators=[rest.texts.check_line], verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="postcode",
            field=models.CharField(
                blank=True, db_default="", max_length=20, validators=[rest.texts.check_line], verbose_name="postcode"
            ),
        ),
    ]
