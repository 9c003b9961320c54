-- The purse: how it comes into being, how it stands, and what is told when it runs low.

-- An entry's id carries its instant. With an instant of the caller's own, the id is of that instant.
CREATE OR REPLACE FUNCTION credits_entry_id(p_at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN p_at IS NULL THEN uuidv7() ELSE uuidv7(p_at - clock_timestamp()) END
$$;

CREATE OR REPLACE FUNCTION credits_house(p_name text, p_unit text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT id FROM ledger_account WHERE name = 'credits:' || p_name || ':' || p_unit
$$;

CREATE OR REPLACE FUNCTION credits_refusal(p_code text, p_facts jsonb) RETURNS credits_answer LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(p_code, p_facts, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL)::credits_answer
$$;

-- Makes the purses that are missing, and the house accounts of their unit.
CREATE OR REPLACE FUNCTION credits_open_purses(p_users bigint[], p_unit text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF credits_house('unlimited', p_unit) IS NULL THEN
        INSERT INTO ledger_account (name, unit, guarded)
        SELECT 'credits:' || name || ':' || p_unit, p_unit, false
          FROM unnest(ARRAY['issued', 'spent', 'expired', 'revoked', 'unlimited']) name
            ON CONFLICT (name) DO NOTHING;
    END IF;
    INSERT INTO credits_purse (user_id, unit)
    SELECT wanted.id, p_unit
      FROM (SELECT DISTINCT unnest(p_users) AS id) wanted
     WHERE NOT EXISTS (SELECT FROM credits_purse known WHERE known.user_id = wanted.id AND known.unit = p_unit)
     ORDER BY wanted.id
        ON CONFLICT (user_id, unit) DO NOTHING;
END $$;

-- The purses of these customers in these units, pair by pair: those that are missing are made, then all are locked by
-- their numbers, which is the order of everybody. Unit by unit it would be another one.
CREATE OR REPLACE FUNCTION credits_lock_purses(p_users bigint[], p_units text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    this_unit text;
    users bigint[];
BEGIN
    FOR this_unit, users IN
        SELECT wanted.unit, array_agg(wanted.id) FROM unnest(p_users, p_units) AS wanted (id, unit)
         GROUP BY wanted.unit ORDER BY wanted.unit
    LOOP
        PERFORM credits_open_purses(users, this_unit);
    END LOOP;
    PERFORM FROM credits_purse p
      WHERE (p.user_id, p.unit) IN (SELECT * FROM unnest(p_users, p_units))
      ORDER BY p.id FOR NO KEY UPDATE;
END $$;

CREATE OR REPLACE FUNCTION credits_state(p_available bigint, p_base bigint, p_percent integer)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_available <= 0 THEN 'empty' WHEN p_available * 100 < p_base * p_percent THEN 'low' ELSE 'ok' END
$$;

-- Told on the way down only: low from ok, empty from either.
CREATE OR REPLACE FUNCTION credits_news(p_before text, p_after text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_after = 'empty' AND p_before <> 'empty' THEN 'credits.empty'
                WHEN p_after = 'low' AND p_before = 'ok' THEN 'credits.low' END
$$;

-- What the customer could spend of their own, and what the open grants were bought for.
CREATE OR REPLACE FUNCTION credits_standing(p_purse bigint, p_at timestamptz, OUT available bigint, OUT base bigint)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(a.balance - a.held), 0)::bigint, coalesce(sum(g.amount), 0)::bigint
      FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
     WHERE g.purse_id = p_purse AND g.is_open AND g.frozen_at IS NULL AND g.revoked_at IS NULL
       AND (g.expires_at IS NULL OR g.expires_at > p_at)
$$;

-- After an act on these purses, which the caller has locked: a new version, the state as it is now, and the news.
CREATE OR REPLACE FUNCTION credits_refresh(p_purses bigint[], p_low integer, p_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- All purses in one pass: a call of credits_standing for each would cost as much again as all the rest.
    WITH standing AS MATERIALIZED (
        SELECT g.purse_id, sum(a.balance - a.held)::bigint AS available, sum(g.amount)::bigint AS base
          FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
         WHERE g.purse_id = ANY (p_purses) AND g.is_open AND g.frozen_at IS NULL AND g.revoked_at IS NULL
           AND (g.expires_at IS NULL OR g.expires_at > p_at)
         GROUP BY g.purse_id
    ), fresh AS MATERIALIZED (
        SELECT p.id, p.user_id, p.unit, p.state AS before, p.version + 1 AS version, coalesce(s.available, 0) AS available,
               credits_state(coalesce(s.available, 0), coalesce(s.base, 0), coalesce(p.low_percent, p_low)) AS after
          FROM credits_purse p LEFT JOIN standing s ON s.purse_id = p.id
         WHERE p.id = ANY (p_purses)
    ), written AS (
        UPDATE credits_purse p SET version = fresh.version, state = fresh.after FROM fresh WHERE p.id = fresh.id
    )
    INSERT INTO events_event (type, user_id, data)
    SELECT credits_news(before, after), user_id,
           jsonb_build_object('unit', unit, 'available', available, 'version', version)
      FROM fresh
     WHERE credits_news(before, after) IS NOT NULL;
END $$;
