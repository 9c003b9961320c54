"""What open disputes have frozen is theirs to thaw. What was frozen before they were opened, people had frozen."""

from django.db import migrations

OWN = """
    UPDATE credits_grant g
       SET frozen_for = 'disputes:payment:' || d.payment_id
      FROM ledger_account a, billing_dispute d JOIN billing_attempt t ON t.id = d.attempt_id
     WHERE a.id = g.account_id AND g.frozen_at >= d.opened_at AND g.frozen_for = ''
       AND d.state = 'open' AND t.state NOT IN ('surplus', 'quarantined')
       AND (a.name IN ('grant:payment:' || d.payment_id, 'grant:payment:' || d.payment_id || ':bonus',
                       'grant:payment:' || d.payment_id || ':coupon')
            OR a.name IN (SELECT 'grant:refund:' || r.id || ':back:' || number
                            FROM billing_refund r, generate_series(0, 5) number
                           WHERE r.payment_id = d.payment_id AND r.status = 'failed'))
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0046_refunds_that_came_back_before"), ("credits", "0016_freezes_know_their_owner")]
    operations = [migrations.RunSQL(OWN, migrations.RunSQL.noop)]
