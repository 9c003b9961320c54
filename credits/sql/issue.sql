-- Giving credits: one grant or a hundred thousand, by the same few set-based statements. What the customers owe is repaid
-- of them, unless the caller has others to serve before and repays afterwards.

CREATE OR REPLACE FUNCTION credits_issue_new(
    p_unit text, p_new credits_new_grant[], p_low integer, p_at timestamptz DEFAULT NULL, p_repays boolean DEFAULT true
)
RETURNS TABLE (key text, grant_id bigint, outcome text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    users bigint[];
    purses bigint[];
    owing bigint[];
    indebted credits_purse;
    issued bigint;
    moment timestamptz;
BEGIN
    SELECT array_agg(DISTINCT r.user_id) INTO users FROM unnest(p_new) r;
    PERFORM credits_open_purses(users, p_unit);
    SELECT array_agg(locked.id), array_agg(locked.id) FILTER (WHERE locked.debt_account_id IS NOT NULL)
      INTO purses, owing
      FROM (
        SELECT id, debt_account_id FROM credits_purse WHERE user_id = ANY (users) AND unit = p_unit
         ORDER BY id FOR NO KEY UPDATE
    ) locked;
    moment := coalesce(p_at, clock_timestamp());
    issued := credits_house('issued', p_unit);

    RETURN QUERY
    WITH incoming AS MATERIALIZED (
        SELECT r.*, p.id AS purse_id, known.entry_id AS known_id, known.fingerprint AS known_fingerprint,
               md5(concat_ws('|', r.user_id, p_unit, r.amount, r.source))::uuid AS fingerprint,
               CASE WHEN known.key IS NULL THEN credits_entry_id(p_at) END AS entry_id,
               CASE WHEN known.key IS NULL THEN nextval(pg_get_serial_sequence('ledger_account', 'id')) END AS account_id
          FROM unnest(p_new) r
          JOIN credits_purse p ON p.user_id = r.user_id AND p.unit = p_unit
          LEFT JOIN ledger_entrykey known ON known.key = 'grant:' || r.key
    ), fresh AS MATERIALIZED (
        SELECT * FROM incoming WHERE known_id IS NULL
    ), entries AS (
        INSERT INTO ledger_entry (id, kind) SELECT entry_id, 'credits.grant' FROM fresh
    ), keys AS (
        INSERT INTO ledger_entrykey (key, entry_id, fingerprint) SELECT 'grant:' || key, entry_id, fingerprint FROM fresh
    ), accounts AS (
        INSERT INTO ledger_account (id, name, unit, guarded, balance)
        SELECT account_id, 'grant:' || key, p_unit, true, amount FROM fresh
    ), transfers AS (
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        SELECT entry_id, 0, issued, account_id, amount FROM fresh
    ), grants AS (
        INSERT INTO credits_grant (
            account_id, purse_id, entry_id, source, amount, priority, is_promotional, expires_at, paid_minor,
            paid_currency, reason, issued_by_id)
        SELECT account_id, purse_id, entry_id, source, amount, priority, is_promotional, expires_at, paid_minor,
               paid_currency, reason, issued_by
          FROM fresh
    ), events AS (
        INSERT INTO events_event (type, user_id, data)
        SELECT 'credits.granted', user_id, jsonb_build_object(
                   'grant', entry_id, 'unit', p_unit, 'amount', amount, 'source', source, 'expires_at', expires_at)
          FROM fresh
    )
    SELECT incoming.key, coalesce(incoming.account_id, known_grant.account_id),
           CASE WHEN incoming.known_id IS NULL THEN 'issued'
                WHEN incoming.known_fingerprint = incoming.fingerprint THEN 'replayed'
                ELSE 'key_reused' END
      FROM incoming
      LEFT JOIN credits_grant known_grant ON known_grant.entry_id = incoming.known_id;

    FOR indebted IN
        SELECT p.* FROM credits_purse p JOIN ledger_account a ON a.id = p.debt_account_id
         WHERE p_repays AND p.id = ANY (owing) AND a.balance < 0 ORDER BY p.id
    LOOP
        PERFORM credits_repay(indebted, moment, p_at);
    END LOOP;
    PERFORM credits_refresh(purses, p_low, moment);
END $$;

-- The same for a caller who has them as text.
CREATE OR REPLACE FUNCTION credits_issue(
    p_unit text, p_rows json, p_low integer, p_at timestamptz DEFAULT NULL, p_repays boolean DEFAULT true
)
RETURNS TABLE (key text, grant_id bigint, outcome text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM credits_issue_new(p_unit, (
        SELECT array_agg(r) FROM json_populate_recordset(NULL::credits_new_grant, p_rows) r), p_low, p_at, p_repays);
END $$;
