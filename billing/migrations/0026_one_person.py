"""The same person under several accounts, by the spelling of their address (`billing.persons.key_of` in SQL)."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

FILL = r"""
    UPDATE billing_customer c SET person = encode(sha256(convert_to(
               CASE WHEN a.domain IN ('gmail.com', 'googlemail.com') THEN replace(a.name, '.', '') || '@gmail.com'
                    ELSE a.name || '@' || a.domain END, 'UTF8')), 'hex')
      FROM (SELECT user_id, domain, coalesce(nullif(split_part(whole, '+', 1), ''), whole) AS name
              FROM (SELECT user_id, regexp_replace(lower(trim(email)), '@[^@]*$', '') AS whole,
                           regexp_replace(lower(trim(email)), '^.*@', '') AS domain
                      FROM billing_customer WHERE email <> '') spelled) a
     WHERE c.user_id = a.user_id
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0025_papers_by_the_end")]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="person",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("person", ""), _negated=True), fields=["person"], name="customer_by_person"
            ),
        ),
    ]
