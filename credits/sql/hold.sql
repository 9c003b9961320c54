-- Holds: reserve now, then use up to what was held, or give it back. What a hold is on are holds of the ledger.

CREATE OR REPLACE FUNCTION credits_hold(
    p_user bigint, p_unit text, p_amount bigint, p_key text, p_fingerprint uuid, p_action text, p_cost_version integer,
    p_quantity bigint, p_reference text, p_metadata jsonb, p_token uuid, p_expires_at timestamptz, p_low integer,
    p_at timestamptz DEFAULT NULL, p_is_customers_own boolean DEFAULT false
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    purse credits_purse;
    allowance credits_allowance;
    known credits_hold;
    plan credits_plan := ROW('{}', '{}', '{}', 0, 0, 0);
    moment timestamptz;
    today date;
    facts jsonb;
    unlimited boolean;
    hold_id uuid;
BEGIN
    IF p_token IS NOT NULL THEN
        SELECT * INTO allowance FROM credits_allowance WHERE token_id = p_token AND unit = p_unit FOR NO KEY UPDATE;
    END IF;
    SELECT * INTO purse FROM credits_purse WHERE user_id = p_user AND unit = p_unit FOR NO KEY UPDATE;
    IF purse.id IS NULL THEN
        RETURN credits_refusal('insufficient_credits', jsonb_build_object(
            'needed', p_amount, 'available', 0, 'missing', p_amount, 'unit', p_unit));
    END IF;
    SELECT * INTO known FROM credits_hold WHERE purse_id = purse.id AND key = p_key;
    IF FOUND THEN
        -- Nor is a hold of the house the answer to a customer who knows its key, or one of theirs the answer to us.
        IF known.fingerprint <> p_fingerprint OR known.is_customers_own <> p_is_customers_own THEN
            RETURN credits_refusal('key_reused', '{}');
        END IF;
        RETURN ROW(NULL, jsonb_build_object('expires_at', known.expires_at), known.id, known.amount, 0,
                   known.available_after, purse.state, purse.version, true, known.created_at, purse.unit
               )::credits_answer;
    END IF;

    moment := coalesce(p_at, clock_timestamp());
    today := (moment AT TIME ZONE 'UTC')::date;
    unlimited := coalesce(purse.unlimited_until > moment, false);
    IF unlimited THEN
        facts := credits_fair_use(purse, p_amount, today);
        IF facts IS NOT NULL THEN
            RETURN credits_refusal('fair_use_reached', facts - 'kind');
        END IF;
        SELECT available INTO plan.available FROM credits_standing(purse.id, moment);
    ELSE
        IF purse.daily_limit IS NOT NULL OR purse.monthly_limit IS NOT NULL OR allowance.id IS NOT NULL THEN
            facts := credits_limit(purse, allowance, p_amount, today);
            IF facts IS NOT NULL THEN
                RETURN credits_refusal('limit_reached', facts);
            END IF;
        END IF;
        plan := credits_burn(purse, p_amount, true, moment);
        IF plan.missing > 0 THEN
            RETURN credits_refusal('insufficient_credits', jsonb_build_object(
                'needed', p_amount, 'available', p_amount - plan.missing, 'missing', plan.missing, 'unit', p_unit));
        END IF;
    END IF;

    hold_id := credits_entry_id(p_at);
    INSERT INTO credits_hold (
        id, purse_id, key, fingerprint, action, cost_version, quantity, amount, is_metered, available_after, expires_at,
        reference, metadata, token_id, is_customers_own
    ) VALUES (
        hold_id, purse.id, p_key, p_fingerprint, p_action, p_cost_version, p_quantity, p_amount, unlimited,
        plan.available, p_expires_at, p_reference, p_metadata, p_token, p_is_customers_own
    );
    INSERT INTO ledger_hold (id, key, number, account_id, amount, expires_at)
    SELECT credits_entry_id(p_at), 'credits:hold:' || hold_id, n - 1, source, part, p_expires_at
      FROM unnest(plan.sources, plan.amounts) WITH ORDINALITY AS parts (source, part, n);
    UPDATE ledger_account a SET held = a.held + parts.part
      FROM unnest(plan.sources, plan.amounts) AS parts (source, part) WHERE a.id = parts.source;
    PERFORM credits_refresh(ARRAY[purse.id], p_low, moment);
    SELECT state, version INTO purse.state, purse.version FROM credits_purse WHERE id = purse.id;
    RETURN ROW(NULL, jsonb_build_object('expires_at', p_expires_at), hold_id, p_amount, 0, plan.available, purse.state,
               purse.version, false, uuid_extract_timestamp(hold_id), purse.unit)::credits_answer;
END $$;

-- Resolves the parts of a hold in the ledger: the first ones give `p_used`, the rest is freed. Locked by the purse.
CREATE OR REPLACE FUNCTION credits_free(p_hold uuid, p_entry uuid, p_used bigint, p_moment timestamptz)
RETURNS credits_plan LANGUAGE plpgsql AS $$
DECLARE
    plan credits_plan := ROW('{}', '{}', '{}', p_used, 0, 0);
    reserved record;
    part bigint;
BEGIN
    FOR reserved IN
        SELECT id, account_id, amount FROM ledger_hold
         WHERE key = 'credits:hold:' || p_hold AND state = 'open' ORDER BY number
    LOOP
        part := least(reserved.amount, plan.missing);
        IF part > 0 THEN
            plan.sources := plan.sources || reserved.account_id;
            plan.amounts := plan.amounts || part;
            plan.missing := plan.missing - part;
        END IF;
        UPDATE ledger_hold
           SET state = CASE WHEN part > 0 THEN 'settled' ELSE 'voided' END, settled = part, resolved_at = p_moment,
               entry_id = CASE WHEN part > 0 THEN p_entry END
         WHERE id = reserved.id;
        UPDATE ledger_account SET held = held - reserved.amount WHERE id = reserved.account_id;
        IF EXISTS (SELECT FROM ledger_account WHERE id = reserved.account_id AND balance = part) THEN
            plan.drained := plan.drained || reserved.account_id;
        END IF;
    END LOOP;
    RETURN plan;
END $$;

CREATE OR REPLACE FUNCTION credits_settle(
    p_user bigint, p_hold uuid, p_amount bigint, p_low integer, p_at timestamptz DEFAULT NULL
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    hold credits_hold;
    purse credits_purse;
    allowance credits_allowance;
    use credits_use;
    answer credits_answer;
    plan credits_plan;
    standing record;
    moment timestamptz;
    today date;
    is_metered boolean;
    facts jsonb;
    entry uuid;
    entry_key text := 'credits:hold:' || p_hold || ':settle';
    fingerprint uuid := md5('settle:' || p_hold || ':' || p_amount)::uuid;
BEGIN
    SELECT h.* INTO hold FROM credits_hold h WHERE h.id = p_hold;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id;
    IF hold.id IS NULL OR purse.user_id <> p_user THEN
        RETURN credits_refusal('not_found', '{}');
    END IF;
    IF hold.token_id IS NOT NULL THEN
        SELECT * INTO allowance FROM credits_allowance
         WHERE token_id = hold.token_id AND unit = purse.unit FOR NO KEY UPDATE;
    END IF;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id FOR NO KEY UPDATE;
    SELECT h.* INTO hold FROM credits_hold h WHERE h.id = p_hold;  -- again: a rival may have resolved it
    IF hold.state IN ('settled', 'released') THEN
        RETURN credits_refusal('hold_resolved', jsonb_build_object('state', hold.state));
    END IF;
    IF p_amount > hold.amount THEN
        RETURN credits_refusal('hold_exceeded', jsonb_build_object('held', hold.amount));
    END IF;

    moment := coalesce(p_at, clock_timestamp());
    use := ROW(hold.action, hold.cost_version, hold.quantity, hold.reference, hold.metadata, hold.token_id);
    is_metered := hold.is_metered;
    IF hold.state = 'expired' THEN
        -- Nothing is reserved for it any more, nor counted: it is judged as a use of now would be.
        today := (moment AT TIME ZONE 'UTC')::date;
        is_metered := hold.is_metered AND coalesce(purse.unlimited_until > moment, false);
        IF is_metered THEN
            facts := credits_fair_use(purse, p_amount, today);
            IF facts IS NOT NULL THEN
                RETURN credits_refusal('fair_use_reached', facts - 'kind');
            END IF;
        ELSE
            facts := credits_limit(purse, allowance, p_amount, today);
            IF facts IS NOT NULL THEN
                RETURN credits_refusal('limit_reached', facts);
            END IF;
        END IF;
    END IF;
    IF is_metered THEN
        answer := credits_meter(purse, p_amount, entry_key, fingerprint, use, p_low, moment, p_at);
    ELSIF hold.state = 'expired' THEN
        answer := credits_charge(purse, allowance, p_amount, entry_key, fingerprint, use, p_low, moment, p_at);
    ELSE
        entry := credits_entry_id(p_at);
        plan := credits_free(hold.id, entry, p_amount, moment);
        PERFORM credits_book(
            entry, 'credits.spend', entry_key, fingerprint, '{}', plan, credits_house('spent', purse.unit));
        PERFORM credits_repay(purse, moment, p_at);
        SELECT * INTO standing FROM credits_standing(purse.id, moment);
        answer := credits_record(
            purse, allowance, entry, use, p_amount, 0, standing.available, standing.base, p_low);
    END IF;
    IF answer.refusal IS NULL THEN
        UPDATE credits_hold SET state = 'settled', settled = p_amount, spend_id = answer.id, resolved_at = moment
         WHERE id = hold.id;
    END IF;
    RETURN answer;
END $$;

-- Gives a hold back, because its owner said so or because its time is over.
CREATE OR REPLACE FUNCTION credits_release(
    p_user bigint, p_hold uuid, p_state text, p_low integer, p_at timestamptz DEFAULT NULL
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    hold credits_hold;
    purse credits_purse;
    moment timestamptz;
    available bigint;
BEGIN
    SELECT h.* INTO hold FROM credits_hold h WHERE h.id = p_hold;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id;
    IF hold.id IS NULL OR purse.user_id <> p_user THEN
        RETURN credits_refusal('not_found', '{}');
    END IF;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id FOR NO KEY UPDATE;
    SELECT h.* INTO hold FROM credits_hold h WHERE h.id = p_hold;
    IF hold.state <> 'open' THEN
        RETURN credits_refusal('hold_resolved', jsonb_build_object('state', hold.state));
    END IF;

    moment := coalesce(p_at, clock_timestamp());
    UPDATE credits_hold SET state = p_state, resolved_at = moment WHERE id = hold.id;
    PERFORM credits_free(hold.id, NULL, 0, moment);
    PERFORM credits_repay(purse, moment, p_at);
    PERFORM credits_refresh(ARRAY[purse.id], p_low, moment);
    IF p_state = 'expired' THEN
        INSERT INTO events_event (type, user_id, data)
        VALUES ('hold.expired', purse.user_id, jsonb_build_object(
            'hold', hold.id, 'unit', purse.unit, 'amount', hold.amount, 'reference', hold.reference));
    END IF;
    SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id;
    SELECT s.available INTO available FROM credits_standing(purse.id, moment) s;
    RETURN ROW(NULL, NULL, hold.id, hold.amount, 0, available, purse.state, purse.version, false, moment,
               purse.unit)::credits_answer;
END $$;

-- Releases holds whose time is over, in the order of their purses so that two sweeps cannot die of each other.
CREATE OR REPLACE FUNCTION credits_expire_holds(p_most integer, p_low integer, p_at timestamptz DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due record;
    answer credits_answer;
    done integer := 0;
BEGIN
    FOR due IN
        SELECT * FROM (
            SELECT h.id, h.purse_id, p.user_id FROM credits_hold h JOIN credits_purse p ON p.id = h.purse_id
             WHERE h.state = 'open' AND h.expires_at <= coalesce(p_at, clock_timestamp())
             ORDER BY h.expires_at LIMIT p_most
        ) oldest ORDER BY purse_id, id
    LOOP
        answer := credits_release(due.user_id, due.id, 'expired', p_low, p_at);
        IF answer.refusal IS NULL THEN
            done := done + 1;
        END IF;
    END LOOP;
    RETURN done;
END $$;
