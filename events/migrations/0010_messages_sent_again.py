"""The permission to send a letter again that was given up."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0009_letters_of_cases_checked")]

    operations = [
        migrations.AlterModelOptions(
            name="message",
            options={
                "default_permissions": ("view",),
                "permissions": [("resend_message", "Can send messages again")],
                "verbose_name": "message",
                "verbose_name_plural": "messages",
            },
        ),
    ]
