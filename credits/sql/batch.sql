-- Many spends in one trip, each for itself: those that ask for nothing special together, the others one by one.

-- The items of a batch in the order in which they were asked for.
CREATE OR REPLACE FUNCTION credits_items(
    p_items jsonb, OUT user_id bigint, OUT unit text, OUT amount bigint, OUT key text, OUT fingerprint uuid,
    OUT action text, OUT cost_version integer, OUT quantity bigint, OUT reference text, OUT metadata jsonb,
    OUT place bigint
) RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM ROWS FROM (jsonb_to_recordset(p_items) AS (
        user_id bigint, unit text, amount bigint, key text, fingerprint uuid, action text, cost_version integer,
        quantity bigint, reference text, metadata jsonb
    )) WITH ORDINALITY
$$;

-- Books the plain ones among the items, whose purses are locked, by a statement over all of them: whoever asks once in this
-- batch and under a new key, has no limit, is not unlimited, and has one grant, the first to burn, that pays all of it.
-- What it books and answers is what credits_spend would; the others are not in its answer, and nothing is done for them.
CREATE OR REPLACE FUNCTION credits_spend_plain(
    p_items jsonb, p_token uuid, p_low integer, p_moment timestamptz, p_at timestamptz,
    OUT place bigint, OUT answer credits_answer
) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    today date := (p_moment AT TIME ZONE 'UTC')::date;
    this_month date := date_trunc('month', p_moment AT TIME ZONE 'UTC')::date;
BEGIN
    RETURN QUERY
    WITH asked AS (
        SELECT i.*, 'spend:' || i.user_id || ':' || i.key AS entry_key, p.id AS purse_id, p.state, p.version, p.low_percent,
               p.unlimited_until IS NULL AND p.daily_limit IS NULL AND p.monthly_limit IS NULL AS is_unbound,
               count(*) OVER (PARTITION BY p.id) AS times
          FROM credits_items(p_items) i JOIN credits_purse p ON p.user_id = i.user_id AND p.unit = i.unit
    ), plain AS MATERIALIZED (
        SELECT asked.*, credits_entry_id(p_at) AS entry_id, lots.source, credits_house('spent', asked.unit) AS target,
               first.balance = asked.amount AS is_drained, lots.available - asked.amount AS left_over,
               credits_state(
                   lots.available - asked.amount,
                   lots.base - CASE WHEN first.balance = asked.amount THEN bought.amount ELSE 0 END,
                   coalesce(asked.low_percent, p_low)
               ) AS state_after
          FROM asked
         CROSS JOIN LATERAL (
               SELECT sum(a.balance - a.held)::bigint AS available, sum(g.amount)::bigint AS base, min(a.balance) AS least,
                      (array_agg(g.account_id ORDER BY g.priority, g.expires_at, g.is_promotional DESC, g.account_id)
                          FILTER (WHERE a.balance > a.held))[1] AS source
                 FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
                WHERE g.purse_id = asked.purse_id AND g.is_open AND g.frozen_at IS NULL AND g.revoked_at IS NULL
                  AND (g.expires_at IS NULL OR g.expires_at > p_moment)
         ) lots
          JOIN ledger_account first ON first.id = lots.source AND first.balance - first.held >= asked.amount
          JOIN credits_grant bought ON bought.account_id = lots.source
         WHERE asked.is_unbound AND asked.times = 1 AND lots.least > 0
           AND NOT EXISTS (SELECT FROM ledger_entrykey k WHERE k.key = asked.entry_key)
    ), entries AS (
        INSERT INTO ledger_entry (id, kind, metadata) SELECT entry_id, 'credits.spend', '{}' FROM plain
    ), keys AS (
        INSERT INTO ledger_entrykey (key, entry_id, fingerprint) SELECT entry_key, entry_id, fingerprint FROM plain
    ), transfers AS (
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        SELECT entry_id, 0, source, target, amount FROM plain
    ), balances AS (
        UPDATE ledger_account a SET balance = a.balance - plain.amount FROM plain WHERE a.id = plain.source
    ), drained AS (
        UPDATE credits_grant g SET is_open = false FROM plain WHERE g.account_id = plain.source AND plain.is_drained
    ), spends AS (
        INSERT INTO credits_spend (
            entry_id, purse_id, action, cost_version, quantity, amount, metered, available_after, reference, metadata,
            token_id
        )
        SELECT entry_id, purse_id, action, cost_version, quantity, amount, 0, left_over, reference, metadata, p_token
          FROM plain
    ), purses AS (
        UPDATE credits_purse p
           SET version = p.version + 1,
               state = plain.state_after,
               day = today,
               day_spent = CASE WHEN p.day = today THEN p.day_spent ELSE 0 END + plain.amount,
               month = this_month,
               month_spent = CASE WHEN p.month = this_month THEN p.month_spent ELSE 0 END + plain.amount,
               month_metered = CASE WHEN p.month = this_month THEN p.month_metered ELSE 0 END
          FROM plain WHERE p.id = plain.purse_id
    ), news AS (
        INSERT INTO events_event (type, user_id, data)
        SELECT credits_news(plain.state, plain.state_after), plain.user_id,
               jsonb_build_object('unit', plain.unit, 'available', left_over, 'version', plain.version + 1)
          FROM plain WHERE credits_news(plain.state, plain.state_after) IS NOT NULL
    )
    SELECT plain.place,
           ROW(NULL, NULL, entry_id, plain.amount, 0, left_over, state_after, plain.version + 1, false,
               uuid_extract_timestamp(entry_id), plain.unit)::credits_answer
      FROM plain;
END $$;

-- All purses are locked first, in one order, so that two batches that meet wait for each other instead of dying.
CREATE OR REPLACE FUNCTION credits_spend_batch(p_items jsonb, p_token uuid, p_low integer, p_at timestamptz DEFAULT NULL)
RETURNS SETOF credits_answer LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET random_page_cost = 1.1  -- a look at an index is cheaper than the table, also for many
AS $$
DECLARE
    answers credits_answer[];
    item record;
    is_counted boolean;
BEGIN
    PERFORM FROM credits_allowance WHERE token_id = p_token ORDER BY id FOR NO KEY UPDATE;
    is_counted := FOUND;
    PERFORM FROM credits_purse p
      WHERE (p.user_id, p.unit) IN (SELECT i.user_id, i.unit FROM credits_items(p_items) i)
      ORDER BY p.id FOR NO KEY UPDATE;
    IF NOT is_counted THEN
        FOR item IN SELECT * FROM credits_spend_plain(p_items, p_token, p_low, coalesce(p_at, clock_timestamp()), p_at) LOOP
            answers[item.place] := item.answer;
        END LOOP;
    END IF;
    FOR item IN SELECT * FROM credits_items(p_items) ORDER BY place LOOP
        IF (answers[item.place]).replayed IS NULL THEN
            answers[item.place] := credits_spend(
                item.user_id, item.unit, item.amount, item.key, item.fingerprint, item.action, item.cost_version,
                item.quantity, item.reference, item.metadata, p_token, p_low, p_at);
        END IF;
    END LOOP;
    RETURN QUERY SELECT a.* FROM unnest(answers) a;
END $$;
