from django.db import migrations


def make_groups(apps, schema_editor):
    """Their permissions come later: Django makes those after all migrations, and `sync_groups` hands them out."""
    for name in ("support", "finance", "auditor"):
        apps.get_model("auth", "Group").objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]

    # On the way back the groups stay: operators may be in them.
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
