-- Spends of the past, as credits_spend would have left them: an entry, a transfer and a spend each; keys follow.
WITH lots AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY purse.id) - 1 AS place, purse.id AS purse_id, first.account_id
      FROM credits_purse purse
     CROSS JOIN LATERAL (
           SELECT account_id FROM credits_grant
            WHERE purse_id = purse.id AND is_open
            ORDER BY priority, expires_at, is_promotional DESC, account_id LIMIT 1
     ) first
), born AS MATERIALIZED (
    -- Over a year, and over before this month began, so that no counter of a purse knows of them.
    SELECT uuidv7(make_interval(secs => (n::float / %(total)s - 1.1) * 31536000)) AS id, lots.purse_id, lots.account_id
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
      JOIN lots ON lots.place = n %% (SELECT count(*) FROM lots)
), entries AS (
    INSERT INTO ledger_entry (id, kind) SELECT id, 'credits.spend' FROM born
), transfers AS (
    INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
    SELECT id, 0, account_id, credits_house('spent', 'CREDIT'), 1 FROM born
)
INSERT INTO credits_spend (entry_id, purse_id, action, cost_version, amount, available_after, reference)
SELECT id, purse_id, 'bench.act', 1, 1, 1, 'job-' || right(id::text, 12) FROM born
