-- Many spends in one trip, each for itself: those of one purse together where they can be, the others one by one.

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

-- Books spends of one locked purse that has no limit and is not unlimited, all of them by one statement, and answers what
-- credits_spend would have answered to one after the other. Where a key is known or comes twice, or where the grants do not
-- pay for all, it does nothing and answers nothing.
-- Spends and grants stand in line, each from where the one before ends: a spend takes of the grants that lie beside it.
CREATE OR REPLACE FUNCTION credits_spend_line(
    p_purse credits_purse, p_items jsonb, p_token uuid, p_low integer, p_moment timestamptz, p_at timestamptz,
    OUT place bigint, OUT answer credits_answer
) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    prefix text := 'spend:' || p_purse.user_id || ':';
    target bigint := credits_house('spent', p_purse.unit);
    total bigint;
    times bigint;
    funds bigint;
    has_new_keys boolean;
BEGIN
    SELECT sum(i.amount), count(*), count(DISTINCT i.key) = count(*) AND count(k.key) = 0
      INTO total, times, has_new_keys
      FROM credits_items(p_items) i LEFT JOIN ledger_entrykey k ON k.key = prefix || i.key;
    SELECT s.available INTO funds FROM credits_standing(p_purse.id, p_moment) s;
    IF NOT has_new_keys OR funds < total THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH wish AS MATERIALIZED (
        SELECT i.*, (sum(i.amount) OVER line - i.amount)::bigint AS start, (sum(i.amount) OVER line)::bigint AS stop
          FROM credits_items(p_items) i
        WINDOW line AS (ORDER BY i.place)
    ), lot AS MATERIALIZED (
        SELECT g.account_id, g.amount AS bought, a.held, row_number() OVER line AS number,
               (sum(a.balance - a.held) OVER line - (a.balance - a.held))::bigint AS start,
               (sum(a.balance - a.held) OVER line)::bigint AS stop
          FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
         WHERE g.purse_id = p_purse.id AND g.is_open AND g.frozen_at IS NULL AND g.revoked_at IS NULL
           AND (g.expires_at IS NULL OR g.expires_at > p_moment)
        WINDOW line AS (ORDER BY g.priority, g.expires_at, g.is_promotional DESC, g.account_id)
    ), spent AS MATERIALIZED (
        SELECT ordered.*, credits_entry_id(p_at) AS entry_id
          FROM (
            SELECT wish.*, p_purse.version + wish.place AS version,
                   credits_state(funds - wish.stop, (
                       -- A grant of which nothing is left, nor held, is no longer open.
                       SELECT coalesce(sum(lot.bought), 0) FROM lot WHERE lot.held > 0 OR lot.stop > wish.stop
                   )::bigint, coalesce(p_purse.low_percent, p_low)) AS state_after
              FROM wish ORDER BY wish.place
          ) ordered
    ), part AS MATERIALIZED (
        SELECT spent.entry_id, lot.account_id AS source,
               row_number() OVER (PARTITION BY spent.entry_id ORDER BY lot.number) - 1 AS number,
               least(spent.stop, lot.stop) - greatest(spent.start, lot.start) AS amount
          FROM spent JOIN lot ON lot.start < spent.stop AND lot.stop > spent.start AND lot.start < lot.stop
    ), entries AS (
        INSERT INTO ledger_entry (id, kind, metadata) SELECT entry_id, 'credits.spend', '{}' FROM spent
    ), keys AS (
        INSERT INTO ledger_entrykey (key, entry_id, fingerprint) SELECT prefix || key, entry_id, fingerprint FROM spent
    ), transfers AS (
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        SELECT entry_id, number, source, target, amount FROM part
    ), balances AS (
        UPDATE ledger_account a SET balance = a.balance - taken.amount
          FROM (SELECT source, sum(amount)::bigint AS amount FROM part GROUP BY source) taken
         WHERE a.id = taken.source
    ), drained AS (
        UPDATE credits_grant g SET is_open = false FROM lot
         WHERE g.account_id = lot.account_id AND lot.held = 0 AND lot.stop <= total
    ), spends AS (
        INSERT INTO credits_spend (
            entry_id, purse_id, action, cost_version, quantity, amount, metered, available_after, reference, metadata,
            token_id
        )
        SELECT entry_id, p_purse.id, action, cost_version, quantity, amount, 0, funds - stop,
               reference, metadata, p_token
          FROM spent
    ), dated AS MATERIALIZED (
        -- By the instant of each spend, as credits_record counts: midnight may pass between the lock and the last of them.
        SELECT amount, date_trunc('month', day)::date AS month, day
          FROM (SELECT amount, (uuid_extract_timestamp(entry_id) AT TIME ZONE 'UTC')::date AS day FROM spent) each
    ), counted AS (
        SELECT last.*, sum(dated.amount) FILTER (WHERE dated.day = last.day)::bigint AS of_day,
               sum(dated.amount) FILTER (WHERE dated.month = last.month)::bigint AS of_month
          FROM (SELECT max(day) AS day, max(month) AS month FROM dated) last, dated GROUP BY last.day, last.month
    ), purses AS (
        UPDATE credits_purse p
           SET version = p.version + times,
               state = spent.state_after,
               day = counted.day,
               day_spent = CASE WHEN p.day = counted.day THEN p.day_spent ELSE 0 END + counted.of_day,
               month = counted.month,
               month_spent = CASE WHEN p.month = counted.month THEN p.month_spent ELSE 0 END + counted.of_month,
               month_metered = CASE WHEN p.month = counted.month THEN p.month_metered ELSE 0 END
          FROM spent, counted WHERE p.id = p_purse.id AND spent.place = times
    ), told AS (
        SELECT spent.*, credits_news(lag(state_after, 1, p_purse.state) OVER (ORDER BY spent.place), state_after) AS news
          FROM spent
    ), events AS (
        INSERT INTO events_event (type, user_id, data)
        SELECT news, p_purse.user_id, jsonb_build_object(
                   'unit', p_purse.unit, 'available', funds - stop, 'version', version)
          FROM told WHERE news IS NOT NULL ORDER BY told.place
    )
    SELECT spent.place,
           ROW(NULL, NULL, entry_id, amount, 0, funds - stop, state_after, version, false,
               uuid_extract_timestamp(entry_id), p_purse.unit)::credits_answer
      FROM spent;
END $$;

-- All purses are locked first, in one order, so that two batches that meet wait for each other instead of dying.
CREATE OR REPLACE FUNCTION credits_spend_batch(p_items jsonb, p_token uuid, p_low integer, p_at timestamptz DEFAULT NULL)
RETURNS SETOF credits_answer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    moment timestamptz;
    answers credits_answer[];
    line record;
    item record;
    is_counted boolean;
BEGIN
    PERFORM FROM credits_allowance WHERE token_id = p_token ORDER BY id FOR NO KEY UPDATE;
    is_counted := FOUND;
    PERFORM FROM credits_purse p
      WHERE (p.user_id, p.unit) IN (SELECT i.user_id, i.unit FROM credits_items(p_items) i)
      ORDER BY p.id FOR NO KEY UPDATE;
    moment := coalesce(p_at, clock_timestamp());

    FOR line IN
        SELECT p AS purse, jsonb_agg(e.item ORDER BY e.place) AS items, array_agg(e.place ORDER BY e.place) AS places
          FROM jsonb_array_elements(p_items) WITH ORDINALITY e (item, place)
          JOIN credits_purse p ON p.user_id = (e.item->>'user_id')::bigint AND p.unit = e.item->>'unit'
         WHERE NOT is_counted
           AND (p.unlimited_until > moment) IS NOT TRUE AND p.daily_limit IS NULL AND p.monthly_limit IS NULL
         GROUP BY p.id
        HAVING count(*) > 1
    LOOP
        FOR item IN SELECT * FROM credits_spend_line(line.purse, line.items, p_token, p_low, moment, p_at) LOOP
            answers[line.places[item.place]] := item.answer;
        END LOOP;
    END LOOP;

    FOR item IN SELECT * FROM credits_items(p_items) ORDER BY place LOOP
        IF (answers[item.place]).replayed IS NULL THEN
            answers[item.place] := credits_spend(
                item.user_id, item.unit, item.amount, item.key, item.fingerprint, item.action, item.cost_version,
                item.quantity, item.reference, item.metadata, p_token, p_low, p_at);
        END IF;
    END LOOP;
    RETURN QUERY SELECT a.* FROM unnest(answers) a;
END $$;
