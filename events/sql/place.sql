-- Gives positions to events that are committed and have none yet, in the order in which they become visible: one
-- customer's events never move behind a position that a reader has passed. Ids cannot promise that: of two transactions
-- the one that wrote first may commit last.
--
-- The row of events_streamhead is the lock and the counter. Whoever finds it taken leaves: its holder, or whoever is
-- woken next, does the work. Positions follow each other without a gap, since a pass that fails gives none away.
CREATE OR REPLACE FUNCTION events_place(p_most integer) RETURNS SETOF events_event LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head bigint;
    placed bigint;
BEGIN
    SELECT h.position INTO head FROM events_streamhead h FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM events_streamhead) THEN
            INSERT INTO events_streamhead (id, position)
            SELECT 1, coalesce(max(e.position), 0) FROM events_event e ON CONFLICT DO NOTHING;
        END IF;
        RETURN;
    END IF;
    RETURN QUERY
    WITH unplaced AS MATERIALIZED (
        SELECT e.id FROM events_event e WHERE e.position IS NULL ORDER BY e.id LIMIT p_most
    ), numbered AS (
        SELECT u.id, head + row_number() OVER (ORDER BY u.id) AS position FROM unplaced u
    ), done AS (
        UPDATE events_event e SET position = n.position FROM numbered n WHERE e.id = n.id RETURNING e.*
    )
    SELECT * FROM done ORDER BY position;
    GET DIAGNOSTICS placed = ROW_COUNT;
    IF placed > 0 THEN
        UPDATE events_streamhead SET position = head + placed;
    END IF;
END $$;
