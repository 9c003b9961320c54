-- Giving a spend back, all or part of it, to the grants that it came from; the last taken is given back first.

-- What came back no longer counts against the day and the month in which it was spent.
CREATE OR REPLACE FUNCTION credits_uncount(
    p_purse bigint, p_allowance bigint, p_made_at timestamptz, p_charged bigint, p_metered bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    its_day date := (p_made_at AT TIME ZONE 'UTC')::date;
    its_month date := date_trunc('month', its_day)::date;
BEGIN
    UPDATE credits_purse
       SET day_spent = day_spent - CASE WHEN day = its_day THEN p_charged ELSE 0 END,
           month_spent = month_spent - CASE WHEN month = its_month THEN p_charged ELSE 0 END,
           month_metered = month_metered - CASE WHEN month = its_month THEN p_metered ELSE 0 END
     WHERE id = p_purse;
    -- Never below zero, by which more than the limit could be spent: a spend may be older than the allowance.
    UPDATE credits_allowance
       SET day_spent = greatest(day_spent - CASE WHEN day = its_day THEN p_charged ELSE 0 END, 0),
           month_spent = greatest(month_spent - CASE WHEN month = its_month THEN p_charged ELSE 0 END, 0)
     WHERE id = p_allowance;
END $$;

-- Moves the credits back. What came from a grant that has expired or was revoked in between comes back as a fresh grant
-- in its place, which lives as long as the old one still had to live when it was spent, and at least so many days. What
-- was owed may be repaid by now: it comes back as a grant without an end, and repays what still is and no more.
CREATE OR REPLACE FUNCTION credits_give_back(
    p_purse credits_purse, p_spend credits_spend, p_entry uuid, p_amount bigint, p_least_days integer, p_moment timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint := p_amount;
    taken record;
    part bigint;
    entry uuid;
    target bigint;
    has_borne boolean := false;
BEGIN
    FOR taken IN
        SELECT t.number, t.source_id, t.target_id, t.amount - coalesce((
                   SELECT sum(back.amount) FROM ledger_entry undo JOIN ledger_transfer back ON back.entry_id = undo.id
                    WHERE undo.reverses_id = p_spend.entry_id AND back.number = t.number), 0) AS remains,
               g.account_id AS grant_id, g.priority, g.is_promotional, g.expires_at,
               t.source_id IS NOT DISTINCT FROM p_purse.debt_account_id OR g.revoked_at IS NOT NULL
                   OR (g.frozen_at IS NULL AND coalesce(g.expires_at <= p_moment, false)) AS is_over
          FROM ledger_transfer t LEFT JOIN credits_grant g ON g.account_id = t.source_id
         WHERE t.entry_id = p_spend.entry_id ORDER BY t.number DESC
    LOOP
        part := least(taken.remains, wanted);
        CONTINUE WHEN part = 0;
        wanted := wanted - part;
        entry := p_entry;
        target := taken.source_id;
        IF taken.is_over THEN
            -- Each for itself, or the longest life of all would be that of all. An entry bears one grant: more need more.
            IF has_borne THEN
                entry := credits_entry_id(p_moment);
                INSERT INTO ledger_entry (id, kind, metadata, reverses_id)
                SELECT entry, e.kind, e.metadata, e.reverses_id FROM ledger_entry e WHERE e.id = p_entry;
                INSERT INTO ledger_entrykey (key, entry_id, fingerprint)
                VALUES ('credits:reversal-part:' || p_entry || ':' || taken.number, entry, md5('part' || entry)::uuid);
            END IF;
            has_borne := true;
            INSERT INTO ledger_account (name, unit, guarded)
            VALUES ('grant:reversal:' || entry, p_purse.unit, true) RETURNING id INTO target;
            INSERT INTO credits_grant (
                account_id, purse_id, entry_id, source, amount, priority, is_promotional, expires_at, origin_id
            ) VALUES (
                target, p_purse.id, entry, 'reversal', part, coalesce(taken.priority, 0),
                coalesce(taken.is_promotional, false),
                CASE WHEN taken.expires_at IS NOT NULL THEN greatest(
                    p_moment + make_interval(days => p_least_days),
                    p_moment + (taken.expires_at - p_spend.created_at)) END,
                taken.grant_id
            );
        END IF;
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        VALUES (entry, taken.number, taken.target_id, target, part);
        UPDATE ledger_account SET balance = balance + part WHERE guarded AND id = target;
        UPDATE credits_grant SET is_open = true WHERE account_id = taken.grant_id AND NOT taken.is_over AND NOT is_open;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION credits_reverse(
    p_user bigint, p_spend uuid, p_amount bigint, p_key text, p_fingerprint uuid, p_metadata jsonb, p_least_days integer,
    p_low integer, p_at timestamptz DEFAULT NULL
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    entry_key text := 'credits:reversal:' || p_spend || ':' || p_key;
    spend credits_spend;
    purse credits_purse;
    allowance credits_allowance;
    known record;
    moment timestamptz := coalesce(p_at, clock_timestamp());
    entry uuid;
    wanted bigint;
    available bigint;
BEGIN
    SELECT s.* INTO spend FROM credits_spend s WHERE s.entry_id = p_spend;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = spend.purse_id;
    IF spend.entry_id IS NULL OR purse.user_id <> p_user THEN
        RETURN credits_refusal('not_found', '{}');
    END IF;
    IF spend.token_id IS NOT NULL THEN
        SELECT * INTO allowance FROM credits_allowance
         WHERE token_id = spend.token_id AND unit = purse.unit FOR NO KEY UPDATE;
    END IF;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = spend.purse_id FOR NO KEY UPDATE;
    SELECT s.* INTO spend FROM credits_spend s WHERE s.entry_id = p_spend;  -- again: a rival may have given some back
    moment := coalesce(p_at, clock_timestamp());

    SELECT k.entry_id, k.fingerprint, uuid_extract_timestamp(k.entry_id) AS made_at INTO known
      FROM ledger_entrykey k WHERE k.key = entry_key;
    IF FOUND THEN
        IF known.fingerprint <> p_fingerprint THEN
            RETURN credits_refusal('key_reused', '{}');
        END IF;
        SELECT sum(t.amount) INTO wanted FROM ledger_entrykey k JOIN ledger_transfer t ON t.entry_id = k.entry_id
         WHERE k.key = entry_key OR k.key IN (
               SELECT 'credits:reversal-part:' || known.entry_id || ':' || spent.number
                 FROM ledger_transfer spent WHERE spent.entry_id = p_spend);
        SELECT s.available INTO available FROM credits_standing(purse.id, moment) s;
        RETURN ROW(NULL, NULL, known.entry_id, wanted, 0, available, purse.state, purse.version, true, known.made_at,
                   purse.unit)::credits_answer;
    END IF;
    wanted := coalesce(p_amount, spend.amount + spend.metered - spend.reversed_amount);
    IF wanted = 0 OR wanted > spend.amount + spend.metered - spend.reversed_amount THEN
        RETURN credits_refusal('spend_exceeded', jsonb_build_object(
            'left', spend.amount + spend.metered - spend.reversed_amount));
    END IF;

    entry := credits_entry_id(p_at);
    INSERT INTO ledger_entry (id, kind, metadata, reverses_id) VALUES (entry, 'credits.reversal', p_metadata, p_spend);
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES (entry_key, entry, p_fingerprint);
    PERFORM credits_give_back(purse, spend, entry, wanted, p_least_days, moment);
    UPDATE credits_spend SET reversed_amount = reversed_amount + wanted WHERE entry_id = p_spend;
    PERFORM credits_uncount(
        purse.id, allowance.id, spend.created_at, CASE WHEN spend.metered > 0 THEN 0 ELSE wanted END,
        CASE WHEN spend.metered > 0 THEN wanted ELSE 0 END);
    PERFORM credits_repay(purse, moment, p_at);
    PERFORM credits_refresh(ARRAY[purse.id], p_low, moment);
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = purse.id;
    SELECT s.available INTO available FROM credits_standing(purse.id, moment) s;
    RETURN ROW(NULL, NULL, entry, wanted, 0, available, purse.state, purse.version, false,
               uuid_extract_timestamp(entry), purse.unit)::credits_answer;
END $$;
