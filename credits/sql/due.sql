-- Recurring grants: what is due becomes grants, a bounded batch at a time. Two that run at once share the rows.

CREATE OR REPLACE FUNCTION credits_grant_due(
    p_most integer, p_low integer, p_at timestamptz DEFAULT NULL,
    OUT claimed integer, OUT granted integer, OUT skipped integer, OUT filled integer
) LANGUAGE plpgsql
-- Each batch is planned for the rows that it has: a plan for ten compares every row with every other, and one that
-- takes a look at an index for dear reads the whole table for each batch.
SET plan_cache_mode = force_custom_plan
SET random_page_cost = 1.1
AS $$
DECLARE
    moment timestamptz := coalesce(p_at, clock_timestamp());
    mine uuid[];
    units text[];
    may_skip boolean;
    has_caps boolean;
    this_unit text;
    wanted credits_new_grant[];
    keys text[];
    ids uuid[];
    part integer;
BEGIN
    -- Locked and skipped by others: a row is decided by one, and by nobody if that one dies.
    SELECT coalesce(array_agg(taken.id), '{}'), array_agg(DISTINCT taken.unit), bool_or(taken.catch_up <> 'all'),
           bool_or(taken.rollover_cap IS NOT NULL)
      INTO mine, units, may_skip, has_caps
      FROM (
        SELECT p.id, p.unit, p.catch_up, p.rollover_cap FROM credits_grantperiod p
         WHERE p.state = 'due' AND p.starts_at <= moment
         ORDER BY p.starts_at LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED
    ) taken;
    claimed := cardinality(mine);
    granted := 0;
    skipped := 0;
    filled := 0;

    IF may_skip THEN
        -- What was missed while nobody looked: the rule says whether it is made up for.
        UPDATE credits_grantperiod p SET state = 'skipped', decided_at = moment
         WHERE p.id = ANY (mine)
           AND ((p.catch_up = 'none' AND p.ends_at <= moment)
                OR (p.catch_up = 'last' AND EXISTS (
                        SELECT FROM credits_grantperiod later
                         WHERE later.schedule_id = p.schedule_id AND later.rule = p.rule AND later.number > p.number
                           AND later.starts_at <= moment)));
        GET DIAGNOSTICS skipped = ROW_COUNT;
    END IF;

    IF has_caps OR cardinality(units) > 1 THEN
        -- A cap looks at what is left, so nobody may spend meanwhile. With it, and with several units, all purses of the
        -- batch are locked before any is used; of one unit credits_issue_new locks them in the same order.
        PERFORM credits_lock_purses(array_agg(s.user_id), array_agg(p.unit))
           FROM credits_grantperiod p JOIN credits_grantschedule s ON s.id = p.schedule_id
          WHERE p.id = ANY (mine) AND p.state = 'due';
    END IF;

    FOREACH this_unit IN ARRAY coalesce(units, '{}') LOOP
        WITH open_rows AS (
            SELECT p.*, s.user_id, s.reference FROM credits_grantperiod p
              JOIN credits_grantschedule s ON s.id = p.schedule_id
             WHERE p.id = ANY (mine) AND p.state = 'due' AND p.unit = this_unit
               -- Under a cap one after the other: the second fills up what the first has left.
               AND (p.rollover_cap IS NULL OR NOT EXISTS (
                        SELECT FROM credits_grantperiod before
                         WHERE before.schedule_id = p.schedule_id AND before.rule = p.rule
                           AND before.number < p.number AND before.state = 'due'))
        ), sized AS MATERIALIZED (
            SELECT o.*, CASE WHEN o.rollover_cap IS NULL THEN o.amount ELSE least(o.amount, o.rollover_cap - coalesce((
                       SELECT sum(a.balance) FROM credits_grantperiod given
                         JOIN credits_grant g ON g.account_id = given.grant_id
                         JOIN ledger_account a ON a.id = g.account_id
                        WHERE given.schedule_id = o.schedule_id AND given.rule = o.rule AND g.is_open
                          AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > moment)), 0)) END AS room,
                   o.reference || ':' || o.rule || ':' || o.number AS key,
                   -- What comes late lives as long as it would have lived.
                   CASE WHEN o.expires_at <= moment THEN moment + (o.expires_at - o.starts_at)
                        ELSE o.expires_at END AS lives_until
              FROM open_rows o
        ), full_rows AS (
            UPDATE credits_grantperiod p SET state = 'full', decided_at = moment
              FROM sized WHERE sized.id = p.id AND sized.room <= 0
            RETURNING p.id
        )
        SELECT (SELECT count(*) FROM full_rows), array_agg(id), array_agg(key),
               array_agg(ROW(key, user_id, room, 'plan', 0, false, lives_until, NULL, '', '', NULL)::credits_new_grant)
          INTO part, ids, keys, wanted
          FROM sized WHERE room > 0;
        filled := filled + part;
        CONTINUE WHEN wanted IS NULL;

        -- Both sides set down before they meet: guessing few rows, the planner compared every key with every other.
        WITH keyed AS MATERIALIZED (
            SELECT * FROM unnest(ids, keys) AS taken (id, key)
        ), issued AS MATERIALIZED (
            SELECT * FROM credits_issue_new(this_unit, wanted, p_low, p_at)
        )
        UPDATE credits_grantperiod p SET state = 'granted', decided_at = moment, grant_id = issued.grant_id
          FROM keyed JOIN issued ON issued.key = keyed.key
         WHERE p.id = keyed.id AND issued.outcome <> 'key_reused';
        GET DIAGNOSTICS part = ROW_COUNT;
        IF part <> cardinality(wanted) THEN
            RAISE EXCEPTION 'a period was granted under its key before, and differently';
        END IF;
        granted := granted + part;
    END LOOP;
END $$;
