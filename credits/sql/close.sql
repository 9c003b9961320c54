-- The other ends of a grant: it expires, it is revoked, some of it is taken away by hand.

-- Books away what is free of the given grants, one entry for each. Their purses are locked by the caller.
CREATE OR REPLACE FUNCTION credits_close(
    p_grants bigint[], p_target text, p_kind text, p_metadata jsonb, p_at timestamptz
) RETURNS bigint LANGUAGE sql AS $$
    WITH lots AS MATERIALIZED (
        SELECT g.account_id, p.unit, p.user_id, g.entry_id AS born, a.balance - a.held AS free, a.held,
               credits_entry_id(p_at) AS entry_id
          FROM credits_grant g JOIN credits_purse p ON p.id = g.purse_id JOIN ledger_account a ON a.id = g.account_id
         WHERE g.account_id = ANY (p_grants) AND g.is_open AND a.balance > a.held
    ), entries AS (
        INSERT INTO ledger_entry (id, kind, metadata) SELECT entry_id, p_kind, p_metadata FROM lots
    ), keys AS (
        INSERT INTO ledger_entrykey (key, entry_id, fingerprint)
        SELECT p_kind || ':' || entry_id, entry_id, md5(p_kind || entry_id)::uuid FROM lots
    ), transfers AS (
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        SELECT entry_id, 0, account_id, credits_house(p_target, unit), free FROM lots
    ), balances AS (
        UPDATE ledger_account a SET balance = a.balance - lots.free FROM lots WHERE a.id = lots.account_id
    ), emptied AS (
        UPDATE credits_grant g SET is_open = false FROM lots WHERE g.account_id = lots.account_id AND lots.held = 0
    ), news AS (
        INSERT INTO events_event (type, user_id, data)
        SELECT CASE p_target WHEN 'expired' THEN 'credits.expired' ELSE 'credits.adjusted' END, user_id,
               jsonb_build_object('grant', born, 'unit', unit, 'amount', -free) FROM lots
    )
    SELECT coalesce(sum(free), 0)::bigint FROM lots
$$;

-- Sweeps grants that are over, of so many customers at most. What is held of them goes when its hold is resolved.
CREATE OR REPLACE FUNCTION credits_expire_grants(p_most integer, p_low integer, p_at timestamptz DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := coalesce(p_at, clock_timestamp());
    purses bigint[];
    over bigint[];
    withdrawn bigint[];
BEGIN
    SELECT array_agg(locked.id) INTO purses FROM (
        SELECT p.id FROM credits_purse p WHERE p.id IN (
            (SELECT g.purse_id FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
              WHERE g.is_open AND g.expires_at <= moment AND g.frozen_at IS NULL AND a.balance > a.held
              ORDER BY g.expires_at LIMIT p_most)
            UNION
            (SELECT g.purse_id FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
              WHERE g.is_open AND g.revoked_at IS NOT NULL AND a.balance > a.held LIMIT p_most)
        ) ORDER BY p.id FOR NO KEY UPDATE
    ) locked;
    IF purses IS NULL THEN
        RETURN 0;
    END IF;
    -- Looked at again behind the locks: since then some may have been used, frozen or extended.
    SELECT array_agg(g.account_id) FILTER (WHERE g.revoked_at IS NULL),
           array_agg(g.account_id) FILTER (WHERE g.revoked_at IS NOT NULL)
      INTO over, withdrawn
      FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
     WHERE g.purse_id = ANY (purses) AND g.is_open AND a.balance > a.held
       AND (g.revoked_at IS NOT NULL OR (g.expires_at <= moment AND g.frozen_at IS NULL));
    PERFORM credits_close(over, 'expired', 'credits.expiry', '{}', p_at);
    PERFORM credits_close(withdrawn, 'revoked', 'credits.revocation', '{}', p_at);
    PERFORM credits_refresh(purses, p_low, moment);
    RETURN coalesce(cardinality(over), 0) + coalesce(cardinality(withdrawn), 0);
END $$;

-- Takes a grant back: what is free now, what is held when its hold gives it free.
CREATE OR REPLACE FUNCTION credits_revoke(p_grant bigint, p_metadata jsonb, p_low integer, p_at timestamptz DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
    purse bigint;
    taken bigint;
BEGIN
    SELECT p.id INTO purse FROM credits_purse p
     WHERE p.id = (SELECT g.purse_id FROM credits_grant g WHERE g.account_id = p_grant) FOR NO KEY UPDATE;
    moment := coalesce(p_at, clock_timestamp());
    UPDATE credits_grant SET revoked_at = moment WHERE account_id = p_grant AND revoked_at IS NULL;
    taken := credits_close(ARRAY[p_grant], 'revoked', 'credits.revocation', p_metadata, p_at);
    PERFORM credits_refresh(ARRAY[purse], p_low, moment);
    RETURN taken;
END $$;

-- A correction downwards, in burn order. It may run up a debt only where the customer's policy lets them.
CREATE OR REPLACE FUNCTION credits_take(
    p_user bigint, p_unit text, p_amount bigint, p_key text, p_fingerprint uuid, p_metadata jsonb, p_low integer,
    p_at timestamptz DEFAULT NULL
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    entry_key text := 'credits:adjustment:' || p_user || ':' || p_key;
    purse credits_purse;
    known ledger_entrykey;
    plan credits_plan;
    moment timestamptz;
    entry uuid;
BEGIN
    PERFORM credits_open_purses(ARRAY[p_user], p_unit);
    SELECT * INTO purse FROM credits_purse WHERE user_id = p_user AND unit = p_unit FOR NO KEY UPDATE;
    SELECT k.* INTO known FROM ledger_entrykey k WHERE k.key = entry_key;
    moment := coalesce(p_at, clock_timestamp());
    IF known.key IS NOT NULL THEN
        IF known.fingerprint <> p_fingerprint THEN
            RETURN credits_refusal('key_reused', '{}');
        END IF;
        RETURN ROW(NULL, NULL, known.entry_id, p_amount, 0, NULL, purse.state, purse.version, true,
                   uuid_extract_timestamp(known.entry_id), p_unit)::credits_answer;
    END IF;
    plan := credits_burn(purse, p_amount, true, moment);
    IF plan.missing > 0 THEN
        RETURN credits_refusal('insufficient_credits', jsonb_build_object(
            'needed', p_amount, 'available', p_amount - plan.missing, 'missing', plan.missing, 'unit', p_unit));
    END IF;
    entry := credits_entry_id(p_at);
    PERFORM credits_book(
        entry, 'credits.adjustment', entry_key, p_fingerprint, p_metadata, plan, credits_house('revoked', p_unit));
    PERFORM credits_refresh(ARRAY[purse.id], p_low, moment);
    INSERT INTO events_event (type, user_id, data)
    VALUES ('credits.adjusted', p_user, jsonb_build_object('unit', p_unit, 'amount', -p_amount));
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = purse.id;
    RETURN ROW(NULL, NULL, entry, p_amount, 0, plan.available, purse.state, purse.version, false,
               uuid_extract_timestamp(entry), p_unit)::credits_answer;
END $$;
