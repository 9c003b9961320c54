"""Who froze a grant by themselves ends that freeze, and no other."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("credits", "0015_purses_in_one_order")]

    operations = [
        migrations.AddField(
            model_name="grant",
            name="frozen_for",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=100),
        ),
        AddConstraintNotValid(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=Q(frozen_for="") | Q(frozen_at__isnull=False), name="grant_frozen_for_somebody_is_frozen"
            ),
        ),
    ]
