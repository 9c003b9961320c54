"""What `manage.py check_ledger` proves of the wallets, beside what it proves of the books."""

from ledger.checks import Result, ask


def sales_equal_their_entries() -> Result:
    """What an entry gave to pending wallets is the net of its sales, and what it gave to us their commission."""
    return ask(
        """
        SELECT CASE WHEN moved.entry_id IS NULL OR sold.entry_id IS NULL
                        THEN format('entry %s has sales or transfers alone', coalesce(moved.entry_id, sold.entry_id))
                    WHEN (moved.net, moved.commission) <> (sold.net, sold.commission)
                        THEN format('entry %s moved %s and %s, its sales say %s and %s', moved.entry_id, moved.net,
                                    moved.commission, sold.net, sold.commission) END
          FROM (
                SELECT entry_id, sum(net_minor) AS net, sum(commission_minor) AS commission
                  FROM wallets_sale GROUP BY entry_id
               ) sold
          FULL JOIN (
                SELECT t.entry_id,
                       coalesce(sum(t.amount) FILTER (WHERE target.guarded), 0) AS net,
                       coalesce(sum(t.amount) FILTER (WHERE target.name LIKE 'commission:%'), 0) AS commission
                  FROM ledger_transfer t
                  JOIN ledger_entry e ON e.id = t.entry_id AND e.kind = 'sale'
                  JOIN ledger_account target ON target.id = t.target_id
                 GROUP BY t.entry_id
               ) moved ON moved.entry_id = sold.entry_id
        """
    )


def pending_is_what_has_not_cleared() -> Result:
    """What is free on a pending account is the net of the sales that have not cleared, less what was taken back."""
    return ask(
        """
        SELECT CASE WHEN a.balance - a.held <> coalesce(clearing.amount, 0)
                    THEN format('%s has %s free, its sales %s', a.name, a.balance - a.held,
                                coalesce(clearing.amount, 0)) END
          FROM wallets_wallet w
          JOIN ledger_account a ON a.id = w.pending_id
          LEFT JOIN (
                SELECT wallet_id, sum(net_minor - taken_net_minor) AS amount
                  FROM wallets_sale WHERE released_at IS NULL GROUP BY wallet_id
               ) clearing ON clearing.wallet_id = w.id
        """
    )


def reserves_are_what_sales_left_in_them() -> Result:
    return ask(
        """
        SELECT CASE WHEN a.balance - a.held <> coalesce(kept.amount, 0)
                    THEN format('%s has %s free, its sales %s', a.name, a.balance - a.held,
                                coalesce(kept.amount, 0)) END
          FROM wallets_wallet w
          JOIN ledger_account a ON a.id = w.reserve_id
          LEFT JOIN (
                SELECT wallet_id, sum(reserved_minor) AS amount FROM wallets_sale GROUP BY wallet_id
               ) kept ON kept.wallet_id = w.id
        """
    )


def sales_know_what_was_taken_back() -> Result:
    """What a sale says was taken back of it is the sum of what is held or settled."""
    return ask(
        """
        SELECT CASE WHEN (s.taken_price_minor, s.taken_net_minor)
                         <> (coalesce(taken.price, 0), coalesce(taken.net, 0))
                    THEN format('sale %s says %s and %s were taken back, the takings %s and %s', s.id,
                                s.taken_price_minor, s.taken_net_minor, coalesce(taken.price, 0),
                                coalesce(taken.net, 0)) END
          FROM wallets_sale s
          LEFT JOIN (
                SELECT sale_id, sum(price_minor) AS price, sum(net_minor) AS net
                  FROM wallets_takeback WHERE state <> 'voided' GROUP BY sale_id
               ) taken ON taken.sale_id = s.id
        """
    )


def available_holds_are_withdrawals_and_takings_back() -> Result:
    """Nothing is held of a seller's available money but open withdrawals and what may have to go back."""
    return ask(
        """
        SELECT CASE WHEN a.held <> coalesce(leaving.amount, 0) + coalesce(disputed.amount, 0)
                    THEN format('%s holds %s, for withdrawals %s and takings back %s', a.name, a.held,
                                coalesce(leaving.amount, 0), coalesce(disputed.amount, 0)) END
          FROM wallets_wallet w
          JOIN ledger_account a ON a.id = w.available_id
          LEFT JOIN (
                SELECT wallet_id, sum(amount_minor) AS amount FROM wallets_withdrawal
                 WHERE status IN ('requested', 'approved', 'sending', 'uncertain') GROUP BY wallet_id
               ) leaving ON leaving.wallet_id = w.id
          LEFT JOIN (
                SELECT s.wallet_id, sum(t.available_minor) AS amount
                  FROM wallets_takeback t JOIN wallets_sale s ON s.id = t.sale_id
                 WHERE t.state = 'held' GROUP BY s.wallet_id
               ) disputed ON disputed.wallet_id = w.id
        """
    )


def withdrawals_are_paid_once() -> Result:
    """A paid withdrawal is one entry that took its amount from the wallet; no other one took anything. One that came
    back has given its amount again, and no other one has."""
    return ask(
        """
        SELECT CASE WHEN paid.entry_id IS NULL THEN format('entry %s pays no withdrawal', moved.entry_id)
                    WHEN moved.amount IS DISTINCT FROM paid.amount_minor
                        THEN format('withdrawal %s of %s moved %s', paid.id, paid.amount_minor, moved.amount)
                    WHEN (paid.status = 'returned') <> (coalesce(back.amount, 0) = paid.amount_minor)
                        THEN format('withdrawal %s is %s and gave back %s', paid.id, paid.status, back.amount) END
          FROM (SELECT * FROM wallets_withdrawal WHERE status IN ('paid', 'returned')) paid
          FULL JOIN (
                SELECT t.entry_id, sum(t.amount) AS amount
                  FROM ledger_transfer t JOIN ledger_entry e ON e.id = t.entry_id AND e.kind = 'withdrawal'
                 GROUP BY t.entry_id
               ) moved ON moved.entry_id = paid.entry_id
          LEFT JOIN (
                SELECT e.reverses_id AS entry_id, sum(t.amount) AS amount
                  FROM ledger_transfer t JOIN ledger_entry e ON e.id = t.entry_id AND e.kind = 'withdrawal.returned'
                 GROUP BY e.reverses_id
               ) back ON back.entry_id = paid.entry_id
        """
    )
