"""A transaction of its own, so that the scan of the grants takes no lock that a request would wait for."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("credits", "0016_freezes_know_their_owner")]

    operations = [ValidateConstraint(model_name="grant", name="grant_frozen_for_somebody_is_frozen")]
