"""What `manage.py check_ledger` proves of payouts."""

from ledger.checks import Result, ask


def payouts_agree_with_their_withdrawals() -> Result:
    """What was paid or is being paid was brought to the gateway that the books name, and somebody asks about it."""
    return ask(
        """
        SELECT CASE WHEN w.status IN ('sending', 'uncertain', 'paid', 'returned') AND p.gateway <> w.gateway
                        THEN format('withdrawal %s is %s at %s, its payout at %s', w.id, w.status, w.gateway, p.gateway)
                    WHEN w.status IN ('sending', 'uncertain') AND p.next_try_at IS NULL AND NOT EXISTS (
                             SELECT 1 FROM billing_case c WHERE c.payout_id = p.withdrawal_id AND c.closed_at IS NULL)
                        THEN format('withdrawal %s is %s and nobody asks about it', w.id, w.status) END
          FROM billing_payout p JOIN wallets_withdrawal w ON w.id = p.withdrawal_id
        """
    )
