"""Refunds, disputes and corrections by hand stop a top-up, instead of making it charge for what they have taken."""
# squawk-ignore: ban-drop-constraint - the same constraint comes back in this transaction, and its list only grows
# squawk-ignore: constraint-missing-not-valid - a customer has one consent and a few cards: the scan is over at once

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0027_unknown_letters_to_forget")]

    operations = [
        migrations.RemoveConstraint(model_name="topup", name="top_up_suspension_has_its_reason"),
        migrations.AlterField(
            model_name="topup",
            name="suspended_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("card_declined", "card declined"),
                    ("card_removed", "card removed"),
                    ("price_rose", "price higher than agreed"),
                    ("not_sold", "pack no longer sold"),
                    ("disputed", "payment disputed"),
                    ("refunded", "payment refunded"),
                    ("taken_back", "credits taken back by hand"),
                ],
                max_length=13,
                verbose_name="suspended because",
            ),
        ),
        migrations.AddConstraint(
            model_name="topup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("suspended_at__isnull", True), ("suspended_for", "")),
                    models.Q(
                        ("suspended_at__isnull", False),
                        (
                            "suspended_for__in",
                            [
                                "card_declined",
                                "card_removed",
                                "price_rose",
                                "not_sold",
                                "disputed",
                                "refunded",
                                "taken_back",
                            ],
                        ),
                    ),
                    _connector="OR",
                ),
                name="top_up_suspension_has_its_reason",
            ),
        ),
    ]
