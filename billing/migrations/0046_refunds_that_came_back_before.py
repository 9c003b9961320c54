"""Refunds that have come back by now have come back once: the books say so, or their paper does."""

from django.db import migrations

FILL = """
    UPDATE billing_refund r
       SET times_back = 1
     WHERE r.status = 'failed' AND r.times_back = 0
       AND (EXISTS (SELECT FROM ledger_entrykey WHERE key = 'refund:' || r.id || ':back')
            OR EXISTS (SELECT FROM billing_invoice i WHERE i.refund_id = r.id)
            OR EXISTS (SELECT FROM wallets_takeback t
                         JOIN ledger_entrykey k ON k.key = 'take-back:' || t.id || ':again'
                        WHERE starts_with(t.key, 'refund:' || r.id || ':')))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0045_refunds_that_arrive_again"),
        ("ledger", "0002_guards"),
        ("wallets", "0006_lists_as_files"),
    ]
    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
