-- Spending: one call, one round trip. credits/usage.py says what it costs and why it locks what it locks.

-- Records what the books have booked: the spend itself, the counters, the state and its news. One purse, locked.
CREATE OR REPLACE FUNCTION credits_record(
    p_purse credits_purse, p_allowance credits_allowance, p_entry uuid, p_use credits_use, p_amount bigint,
    p_metered bigint, p_available bigint, p_base bigint, p_low integer
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    made_at timestamptz := uuid_extract_timestamp(p_entry);
    today date := (made_at AT TIME ZONE 'UTC')::date;
    this_month date := date_trunc('month', today)::date;
    state_after text := credits_state(p_available, p_base, coalesce(p_purse.low_percent, p_low));
    news text := credits_news(p_purse.state, state_after);
BEGIN
    INSERT INTO credits_spend (
        entry_id, purse_id, action, cost_version, quantity, amount, metered, available_after, reference, metadata, token_id
    ) VALUES (
        p_entry, p_purse.id, p_use.action, p_use.cost_version, p_use.quantity, p_amount, p_metered, p_available,
        p_use.reference, p_use.metadata, p_use.token_id
    );
    UPDATE credits_purse
       SET version = p_purse.version + 1,
           state = state_after,
           day = today,
           day_spent = CASE WHEN p_purse.day = today THEN p_purse.day_spent ELSE 0 END + p_amount,
           month = this_month,
           month_spent = CASE WHEN p_purse.month = this_month THEN p_purse.month_spent ELSE 0 END + p_amount,
           month_metered = CASE WHEN p_purse.month = this_month THEN p_purse.month_metered ELSE 0 END + p_metered
     WHERE id = p_purse.id;
    IF p_allowance.id IS NOT NULL THEN
        PERFORM credits_count(p_allowance, p_amount, today);
    END IF;
    IF news IS NOT NULL THEN
        INSERT INTO events_event (type, user_id, data)
        VALUES (news, p_purse.user_id, jsonb_build_object(
            'unit', p_purse.unit, 'available', p_available, 'version', p_purse.version + 1));
    END IF;
    RETURN ROW(NULL, NULL, p_entry, p_amount, p_metered, p_available, state_after, p_purse.version + 1, false, made_at,
               p_purse.unit)::credits_answer;
END $$;

-- Takes an amount from a locked purse under a key that the caller has found unused, or refuses.
CREATE OR REPLACE FUNCTION credits_charge(
    p_purse credits_purse, p_allowance credits_allowance, p_amount bigint, p_key text, p_fingerprint uuid,
    p_use credits_use, p_low integer, p_moment timestamptz, p_at timestamptz
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    plan credits_plan;
    entry uuid;
BEGIN
    plan := credits_burn(p_purse, p_amount, true, p_moment);
    IF plan.missing > 0 THEN
        RETURN credits_refusal('insufficient_credits', jsonb_build_object(
            'needed', p_amount, 'available', p_amount - plan.missing, 'missing', plan.missing, 'unit', p_purse.unit));
    END IF;
    entry := credits_entry_id(p_at);
    PERFORM credits_book(
        entry, 'credits.spend', p_key, p_fingerprint, '{}', plan, credits_house('spent', p_purse.unit));
    RETURN credits_record(p_purse, p_allowance, entry, p_use, p_amount, 0, plan.available, plan.base, p_low);
END $$;

-- The use of somebody unlimited: recorded in the books between two house accounts, at no cost to any grant.
CREATE OR REPLACE FUNCTION credits_meter(
    p_purse credits_purse, p_amount bigint, p_key text, p_fingerprint uuid, p_use credits_use, p_low integer,
    p_moment timestamptz, p_at timestamptz
) RETURNS credits_answer LANGUAGE plpgsql AS $$
DECLARE
    plan credits_plan := ROW(ARRAY[credits_house('unlimited', p_purse.unit)], ARRAY[p_amount], '{}', 0, 0, 0);
    entry uuid := credits_entry_id(p_at);
    standing record;
BEGIN
    PERFORM credits_book(
        entry, 'credits.spend', p_key, p_fingerprint, '{}', plan, credits_house('spent', p_purse.unit));
    SELECT * INTO standing FROM credits_standing(p_purse.id, p_moment);
    RETURN credits_record(
        p_purse, NULL, entry, p_use, 0, p_amount, standing.available, standing.base, p_low);
END $$;

-- Generic plans, here and in the functions that this one calls: by its own lights PostgreSQL would plan some of these
-- statements anew at each call, because an array of one looks cheaper than one of unknown length. That planning was a
-- quarter of a spend.
CREATE OR REPLACE FUNCTION credits_spend(
    p_user bigint, p_unit text, p_amount bigint, p_key text, p_fingerprint uuid, p_action text, p_cost_version integer,
    p_quantity bigint, p_reference text, p_metadata jsonb, p_token uuid, p_low integer, p_at timestamptz DEFAULT NULL
) RETURNS credits_answer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    entry_key text := 'spend:' || p_user || ':' || p_key;
    use credits_use := ROW(p_action, p_cost_version, p_quantity, p_reference, p_metadata, p_token);
    purse credits_purse;
    allowance credits_allowance;
    known record;
    moment timestamptz;
    facts jsonb;
BEGIN
    IF p_token IS NOT NULL THEN
        SELECT * INTO allowance FROM credits_allowance WHERE token_id = p_token AND unit = p_unit FOR NO KEY UPDATE;
    END IF;
    SELECT * INTO purse FROM credits_purse WHERE user_id = p_user AND unit = p_unit FOR NO KEY UPDATE;
    IF purse.id IS NULL THEN
        RETURN credits_refusal('insufficient_credits', jsonb_build_object(
            'needed', p_amount, 'available', 0, 'missing', p_amount, 'unit', p_unit));
    END IF;

    SELECT k.fingerprint, s.* INTO known
      FROM ledger_entrykey k JOIN credits_spend s ON s.entry_id = k.entry_id WHERE k.key = entry_key;
    IF FOUND THEN
        IF known.fingerprint <> p_fingerprint THEN
            RETURN credits_refusal('key_reused', '{}');
        END IF;
        RETURN ROW(NULL, NULL, known.entry_id, known.amount, known.metered, known.available_after, purse.state,
                   purse.version, true, known.created_at, purse.unit)::credits_answer;
    END IF;

    moment := coalesce(p_at, clock_timestamp());  -- after the wait for the lock: nothing is used after its expiry
    IF purse.unlimited_until > moment THEN
        facts := credits_fair_use(purse, p_amount, (moment AT TIME ZONE 'UTC')::date);
        IF facts IS NOT NULL THEN
            RETURN credits_refusal('fair_use_reached', facts - 'kind');
        END IF;
        RETURN credits_meter(purse, p_amount, entry_key, p_fingerprint, use, p_low, moment, p_at);
    END IF;
    IF purse.daily_limit IS NOT NULL OR purse.monthly_limit IS NOT NULL OR allowance.id IS NOT NULL THEN
        facts := credits_limit(purse, allowance, p_amount, (moment AT TIME ZONE 'UTC')::date);
        IF facts IS NOT NULL THEN
            RETURN credits_refusal('limit_reached', facts);
        END IF;
    END IF;
    RETURN credits_charge(purse, allowance, p_amount, entry_key, p_fingerprint, use, p_low, moment, p_at);
END $$;
