"""What `manage.py check_ledger` proves of the credits, beside what it proves of the books."""

from ledger.checks import Result, ask


def open_grants_have_a_balance() -> Result:
    """A grant is open exactly while its account has a balance, and was born with its amount."""
    return ask(
        """
        SELECT CASE WHEN g.is_open <> (a.balance > 0)
                        THEN format('grant %s has %s and is_open is %s', a.name, a.balance, g.is_open)
                    WHEN a.unit <> p.unit OR NOT a.guarded THEN format('grant %s is on a wrong account', a.name)
                    WHEN born.amount IS DISTINCT FROM g.amount
                        THEN format('grant %s of %s was born with %s', a.name, g.amount, born.amount) END
          FROM credits_grant g
          JOIN credits_purse p ON p.id = g.purse_id
          JOIN ledger_account a ON a.id = g.account_id
          LEFT JOIN (
                SELECT entry_id, target_id, sum(amount) AS amount FROM ledger_transfer GROUP BY entry_id, target_id
               ) born
            ON born.entry_id = g.entry_id AND born.target_id = g.account_id
        """
    )


def spends_equal_their_transfers() -> Result:
    """Each spend is an entry to `credits:spent`, and each entry of that kind a spend."""
    return ask(
        """
        SELECT CASE WHEN s.entry_id IS NULL THEN format('entry %s spends without a spend', moved.entry_id)
                    WHEN moved.entry_id IS NULL THEN format('spend %s has no entry', s.entry_id)
                    WHEN moved.charged <> s.amount OR moved.metered <> s.metered
                        THEN format('spend %s is %s and %s metered, its transfers %s and %s', s.entry_id, s.amount,
                                    s.metered, moved.charged, moved.metered) END
          FROM credits_spend s
          FULL JOIN (
                SELECT t.entry_id, coalesce(sum(t.amount) FILTER (WHERE source.guarded), 0) AS charged,
                       coalesce(sum(t.amount) FILTER (WHERE NOT source.guarded), 0) AS metered
                  FROM ledger_transfer t
                  JOIN ledger_entry e ON e.id = t.entry_id AND e.kind = 'credits.spend'
                  JOIN ledger_account source ON source.id = t.source_id
                 GROUP BY t.entry_id
               ) moved ON moved.entry_id = s.entry_id
        """
    )


def reversals_equal_their_transfers() -> Result:
    """What a spend says came back of it is what its reversals moved."""
    return ask(
        """
        SELECT CASE WHEN s.reversed_amount <> coalesce(back.amount, 0)
                    THEN format('spend %s gave back %s, its reversals moved %s', s.entry_id, s.reversed_amount,
                                coalesce(back.amount, 0)) END
          FROM credits_spend s
          LEFT JOIN (
                SELECT e.reverses_id, sum(t.amount) AS amount
                  FROM ledger_entry e JOIN ledger_transfer t ON t.entry_id = e.id
                 WHERE e.reverses_id IS NOT NULL GROUP BY e.reverses_id
               ) back ON back.reverses_id = s.entry_id
        """
    )


def holds_equal_their_parts() -> Result:
    """An open hold reserves its whole amount in the ledger, a resolved one nothing; a settled one has its spend."""
    return ask(
        """
        SELECT CASE WHEN coalesce(parts.open_amount, 0)
                         <> CASE WHEN h.state = 'open' AND NOT h.is_metered THEN h.amount ELSE 0 END
                        THEN format('hold %s of %s is %s, and %s are held for it', h.id, h.amount, h.state,
                                    coalesce(parts.open_amount, 0))
                    WHEN h.state = 'settled' AND s.amount + s.metered IS DISTINCT FROM h.settled
                        THEN format('hold %s settled %s, its spend is of %s', h.id, h.settled, s.amount + s.metered) END
          FROM credits_hold h
          LEFT JOIN credits_spend s ON s.entry_id = h.spend_id
          LEFT JOIN (
                SELECT key, sum(amount) FILTER (WHERE state = 'open') AS open_amount
                  FROM ledger_hold WHERE key LIKE 'credits:hold:%' GROUP BY key
               ) parts ON parts.key = 'credits:hold:' || h.id
        """
    )


def counters_equal_the_spends() -> Result:
    """What a purse counts for its day and month is the sum of those spends, less what came back of them."""
    return ask(
        """
        SELECT CASE WHEN (p.day_spent, p.month_spent, p.month_metered)
                         <> (coalesce(sums.by_day, 0), coalesce(sums.by_month, 0), coalesce(sums.metered, 0))
                    THEN format('purse %s counts %s, %s and %s, its spends sum to %s, %s and %s', p.id, p.day_spent,
                                p.month_spent, p.month_metered, sums.by_day, sums.by_month, sums.metered) END
          FROM credits_purse p
          LEFT JOIN LATERAL (
                SELECT sum(s.amount - s.reversed_amount) FILTER (
                           WHERE s.metered = 0 AND (s.created_at AT TIME ZONE 'UTC')::date = p.day) AS by_day,
                       sum(s.amount - s.reversed_amount) FILTER (WHERE s.metered = 0) AS by_month,
                       sum(s.metered - s.reversed_amount) FILTER (WHERE s.metered > 0) AS metered
                  FROM credits_spend s
                 WHERE s.purse_id = p.id AND date_trunc('month', s.created_at AT TIME ZONE 'UTC')::date = p.month
               ) sums ON true
        """
    )


def debts_are_within_their_policy() -> Result:
    """Only debt accounts are below zero, none of them above it, and nobody owes while they have credits to use."""
    return ask(
        """
        SELECT CASE WHEN a.balance > 0 THEN format('%s has %s: more was repaid than owed', a.name, a.balance)
                    WHEN a.balance < 0 AND usable.available > 0
                        THEN format('%s owes %s and has %s', a.name, -a.balance, usable.available) END
          FROM credits_purse p
          JOIN ledger_account a ON a.id = p.debt_account_id
         CROSS JOIN LATERAL credits_standing(p.id, clock_timestamp()) usable
        UNION ALL
        SELECT CASE WHEN a.balance < 0 THEN format('grant %s is below zero', a.name) END
          FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
        """
    )


def periods_equal_their_grants() -> Result:
    """What the calendar says was granted is a grant under the period's own key, to its customer."""
    return ask(
        """
        SELECT CASE WHEN a.name IS DISTINCT FROM 'grant:' || s.reference || ':' || p.rule || ':' || p.number
                        THEN format('period %s %s of %s has the grant %s', p.rule, p.number, s.reference, a.name)
                    WHEN u.user_id <> s.user_id OR u.unit <> p.unit
                        THEN format('period %s %s of %s was granted to another purse', p.rule, p.number, s.reference)
                    WHEN g.amount > p.amount
                        THEN format('period %s %s of %s gives %s, its grant %s', p.rule, p.number, s.reference,
                                    p.amount, g.amount)
                    WHEN p.state = 'revoked' AND g.revoked_at IS NULL
                        THEN format('period %s %s of %s is revoked, its grant is not', p.rule, p.number,
                                    s.reference) END
          FROM credits_grantperiod p
          JOIN credits_grantschedule s ON s.id = p.schedule_id
          JOIN credits_grant g ON g.account_id = p.grant_id
          JOIN ledger_account a ON a.id = g.account_id
          JOIN credits_purse u ON u.id = g.purse_id
        """
    )


def due_periods_are_paid_for() -> Result:
    """Nothing waits to be granted that begins at or after the end of what was paid for; paused and closed wait less.

    Of those who moved, periods begin up to a day later than what pays for them, and up to four where months differ.
    """
    return ask(
        """
        SELECT CASE WHEN p.starts_at >= s.paid_until
                                        + CASE WHEN s.anchor_zone = s.time_zone THEN '0' ELSE '4 days' END::interval
                    THEN format('period %s %s of %s begins at %s and is paid until %s', p.rule, p.number, s.reference,
                                p.starts_at, s.paid_until) END
          FROM credits_grantperiod p JOIN credits_grantschedule s ON s.id = p.schedule_id
         WHERE p.state = 'due' AND s.state = 'open'
        """
    )
