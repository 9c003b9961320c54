"""Installs credits/sql/issue.sql anew: who gives credits may say that they repay nothing yet."""

from pathlib import Path

from django.db import migrations

ISSUE = Path(__file__).parent.parent / "sql" / "issue.sql"
# With one parameter more each is another function: beside the old one no call of either would be clear.
OLD = """
DROP FUNCTION IF EXISTS credits_issue(text, json, integer, timestamptz);
DROP FUNCTION IF EXISTS credits_issue_new(text, credits_new_grant[], integer, timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0017_freezes_know_their_owner_checked")]

    # squawk-ignore: ban-drop-function - a client of the old ones calls the new ones, whose last parameter has a default
    operations = [migrations.RunSQL([OLD, ISSUE.read_text()], migrations.RunSQL.noop)]
