"""The admin calls the list of messages "E-mails", as its navigation does."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0011_failed_messages")]

    operations = [
        migrations.AlterModelOptions(
            name="message",
            options={
                "default_permissions": ("view",),
                "permissions": [("resend_message", "Can send messages again")],
                "verbose_name": "e-mail",
                "verbose_name_plural": "e-mails",
            },
        ),
    ]
