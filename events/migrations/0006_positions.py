"""Positions of events, the head that counts them, the function that gives them, and tickets."""

from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

PLACE = Path(__file__).parent.parent / "sql" / "place.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0005_untold"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StreamHead",
            fields=[
                ("id", models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(verbose_name="position")),
            ],
            options={
                "verbose_name": "head of the stream",
                "verbose_name_plural": "head of the stream",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="stream_head_is_one_row"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StreamTicket",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires at")),
                ("stream_ends_at", models.DateTimeField(null=True, verbose_name="stream ends at")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "stream ticket",
                "verbose_name_plural": "stream tickets",
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="event",
            name="position",
            field=models.BigIntegerField(editable=False, null=True, verbose_name="position"),
        ),
        # In a list, the text reaches the database whole: Django would split a string at every semicolon.
        migrations.RunSQL([PLACE.read_text()], ["DROP FUNCTION IF EXISTS events_place(integer)"]),
    ]
