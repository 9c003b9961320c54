-- The burn order, and how an act is written into the books.

-- Which grants would pay: lowest priority, soonest expiry, promotional before paid, oldest. What they cannot pay is
-- owed, as far as the purse's policy goes. Reads only; the caller has locked the purse, so nobody else spends of it.
CREATE OR REPLACE FUNCTION credits_burn(p_purse credits_purse, p_amount bigint, p_may_owe boolean, p_at timestamptz)
RETURNS credits_plan LANGUAGE plpgsql AS $$
DECLARE
    plan credits_plan := ROW('{}', '{}', '{}', p_amount, 0, 0);
    lot record;
    part bigint;
    room bigint;
BEGIN
    FOR lot IN
        SELECT g.account_id, g.amount, a.balance, a.balance - a.held AS free
          FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
         WHERE g.purse_id = p_purse.id AND g.is_open AND g.frozen_at IS NULL AND g.revoked_at IS NULL
           AND (g.expires_at IS NULL OR g.expires_at > p_at)
         ORDER BY g.priority, g.expires_at, g.is_promotional DESC, g.account_id
    LOOP
        part := least(lot.free, plan.missing);
        IF part > 0 THEN
            plan.sources := plan.sources || lot.account_id;
            plan.amounts := plan.amounts || part;
            plan.missing := plan.missing - part;
        END IF;
        plan.available := plan.available + lot.free - part;
        IF part = lot.balance THEN
            plan.drained := plan.drained || lot.account_id;
        ELSE
            plan.base := plan.base + lot.amount;
        END IF;
    END LOOP;

    IF plan.missing > 0 AND p_may_owe AND p_purse.debt_policy <> 'forbid' THEN
        SELECT a.balance - a.held + CASE p_purse.debt_policy WHEN 'limited' THEN p_purse.debt_limit ELSE -a.floor END
          INTO room FROM ledger_account a WHERE a.id = p_purse.debt_account_id;
        -- All or nothing: what is missing is told without the debt that would not have been enough.
        IF room >= plan.missing THEN
            plan.sources := plan.sources || p_purse.debt_account_id;
            plan.amounts := plan.amounts || plan.missing;
            plan.missing := 0;
        ELSE
            plan.missing := plan.missing - greatest(room, 0);
        END IF;
    END IF;
    RETURN plan;
END $$;

-- Writes what was planned: the entry, its key, its transfers to one house account, the balances, the emptied grants.
CREATE OR REPLACE FUNCTION credits_book(
    p_entry uuid, p_kind text, p_key text, p_fingerprint uuid, p_metadata jsonb, p_plan credits_plan, p_target bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_entry (id, kind, metadata) VALUES (p_entry, p_kind, p_metadata);
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES (p_key, p_entry, p_fingerprint);
    INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
    SELECT p_entry, n - 1, source, p_target, part
      FROM unnest(p_plan.sources, p_plan.amounts) WITH ORDINALITY AS parts (source, part, n);
    UPDATE ledger_account a SET balance = a.balance - parts.part
      FROM unnest(p_plan.sources, p_plan.amounts) AS parts (source, part)
     WHERE a.id = parts.source AND a.guarded;
    IF cardinality(p_plan.drained) > 0 THEN
        UPDATE credits_grant SET is_open = false WHERE account_id = ANY (p_plan.drained);
    END IF;
END $$;

-- Whatever becomes free while something is owed repays it, in an entry of its own.
CREATE OR REPLACE FUNCTION credits_repay(p_purse credits_purse, p_at timestamptz, p_given timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plan credits_plan;
    owed bigint;
    repaid bigint;
    entry uuid;
BEGIN
    SELECT -balance INTO owed FROM ledger_account WHERE id = p_purse.debt_account_id AND balance < 0;
    IF owed IS NULL THEN
        RETURN;
    END IF;
    plan := credits_burn(p_purse, owed, false, p_at);
    repaid := owed - plan.missing;
    IF repaid = 0 THEN
        RETURN;
    END IF;
    entry := credits_entry_id(p_given);
    PERFORM credits_book(
        entry, 'credits.repayment', 'credits:repayment:' || entry, md5('repayment' || entry)::uuid, '{}', plan,
        p_purse.debt_account_id
    );
    UPDATE ledger_account SET balance = balance + repaid WHERE id = p_purse.debt_account_id;
END $$;
