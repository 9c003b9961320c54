"""What `manage.py check_ledger` proves of payments, coupons, automatic charges and payouts."""

from ledger.checks import Result, ask


def payments_are_delivered_once() -> Result:
    """Every succeeded payment has one entry and the grants or sales that it bought, and nothing else has. The entry of
    what sellers sold is the sales' own; sales that were recorded without a payment have keys of another form."""
    return ask(
        """
        SELECT CASE WHEN p.id IS NULL THEN format('entry %s is of no payment', k.key)
                    WHEN p.status <> 'succeeded' AND k.key IS NOT NULL
                        THEN format('payment %s is %s and has an entry', p.id, p.status)
                    WHEN p.status = 'succeeded'
                         AND ((k.key IS NULL AND p.amount_minor > 0) OR p.delivered_at IS NULL)
                        THEN format('payment %s is paid and not delivered', p.id)
                    WHEN p.status = 'succeeded' AND p.kind = 'pack'
                         AND given.amount IS DISTINCT FROM
                             (p.details->>'credits')::bigint + (p.details->>'bonus')::bigint
                             + coalesce((p.details->'coupon'->>'credits')::bigint, 0)
                        THEN format('payment %s bought %s and %s credits and brought %s', p.id, p.details->>'credits',
                                    p.details->>'bonus', coalesce(given.amount, 0))
                    WHEN p.kind = 'sale' AND k.key LIKE 'payment:%' OR p.kind <> 'sale' AND k.key LIKE 'sale:%'
                        THEN format('payment %s of a %s has the entry %s', p.id, p.kind, k.key)
                    WHEN p.status = 'succeeded' AND p.kind = 'sale' AND sold.amount IS DISTINCT FROM p.amount_minor
                        THEN format('payment %s of %s brought sales of %s', p.id, p.amount_minor,
                                    coalesce(sold.amount, 0)) END
          FROM billing_payment p
          FULL JOIN (SELECT key, split_part(key, ':', 2)::uuid AS payment_id FROM ledger_entrykey
                      WHERE key LIKE 'payment:%' AND key NOT LIKE 'payment:%:%'
                         OR key LIKE 'sale:%' AND key ~ '^sale:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                    ) k ON k.payment_id = p.id
          LEFT JOIN LATERAL (
                SELECT sum(g.amount) AS amount FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
                 WHERE a.name IN ('grant:payment:' || p.id, 'grant:payment:' || p.id || ':bonus',
                                 'grant:payment:' || p.id || ':coupon')
               ) given ON p.kind = 'pack'
          LEFT JOIN LATERAL (
                SELECT sum(s.price_minor) AS amount FROM wallets_sale s WHERE s.payment_key = p.id::text
               ) sold ON p.kind = 'sale'
        """
    )


def attempts_agree_with_their_payments() -> Result:
    """A payment is paid by exactly one attempt, or cost nothing; of every surplus one entry waits in suspense."""
    return ask(
        """
        SELECT CASE WHEN (p.status = 'succeeded') <> (coalesce(a.paid, 0) = 1)
                         AND NOT (p.status = 'succeeded' AND p.amount_minor = 0 AND a.paid IS NULL)
                        THEN format('payment %s is %s with %s paid attempts', p.id, p.status, coalesce(a.paid, 0))
                    WHEN coalesce(a.surplus, 0) <> coalesce(k.surplus, 0)
                        THEN format('payment %s has %s surplus attempts and %s entries aside', p.id,
                                    coalesce(a.surplus, 0), coalesce(k.surplus, 0)) END
          FROM billing_payment p
          LEFT JOIN (
                SELECT payment_id, count(*) FILTER (WHERE state = 'succeeded') AS paid,
                       count(*) FILTER (WHERE state = 'surplus') AS surplus
                  FROM billing_attempt GROUP BY payment_id
               ) a ON a.payment_id = p.id
          LEFT JOIN LATERAL (
                SELECT count(*) AS surplus FROM billing_attempt s
                  JOIN ledger_entrykey key ON key.key = 'payment:' || p.id || ':aside:' || s.id
                 WHERE s.payment_id = p.id AND s.state = 'surplus'
               ) k ON true
        """
    )


def coupons_are_used_as_often_as_they_say() -> Result:
    """The figure that limits are held against is the number of uses that count."""
    return ask(
        """
        SELECT CASE WHEN c.used <> coalesce(r.uses, 0)
                    THEN format('coupon %s says %s uses and has %s', c.code, c.used, coalesce(r.uses, 0)) END
          FROM billing_coupon c
          LEFT JOIN (SELECT coupon_id, count(*) AS uses FROM billing_redemption WHERE counts GROUP BY coupon_id) r
                 ON r.coupon_id = c.id
        """
    )


def charges_had_consent() -> Result:
    """Every automatic charge began under a consent of its customer that stood, at no more than the agreed price, and
    for no fewer credits than were agreed."""
    return ask(
        """
        SELECT CASE WHEN c.started_at < t.consented_at OR c.started_at > t.withdrawn_at
                        THEN format('charge %s began at %s, without consent', c.payment_id, c.started_at)
                    WHEN p.user_id <> t.user_id OR c.user_id <> t.user_id
                        THEN format('charge %s is of somebody else than its consent', c.payment_id)
                    WHEN p.currency <> t.currency OR p.amount_minor > t.price_minor
                        THEN format('charge %s is of %s %s, agreed were %s %s', c.payment_id, p.amount_minor,
                                    p.currency, t.price_minor, t.currency)
                    WHEN (p.details->>'credits')::bigint + (p.details->>'bonus')::bigint < t.credits
                        THEN format('charge %s brings %s and %s credits, agreed were %s', c.payment_id,
                                    p.details->>'credits', p.details->>'bonus', t.credits) END
          FROM billing_topupcharge c
          JOIN billing_topup t ON t.id = c.top_up_id
          JOIN billing_payment p ON p.id = c.payment_id
        """
    )


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
