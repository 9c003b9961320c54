"""Consents of before are to what their pack brings today, or to what the poorest of their charges has brought."""

from django.db import migrations

FILL = """
    UPDATE billing_topup t
       SET credits = least(pack.credits + pack.bonus, (
               SELECT min((p.details->>'credits')::bigint + (p.details->>'bonus')::bigint)
                 FROM billing_topupcharge c JOIN billing_payment p ON p.id = c.payment_id
                WHERE c.top_up_id = t.id))
      FROM credits_pack pack
     WHERE pack.id = t.pack_id AND t.credits = 0
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0029_top_ups_say_what_they_bring")]
    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
