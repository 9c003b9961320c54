-- The rows of as many grants as there are customers, without asking anything: no keys looked up, nobody locked, no
-- state or news worked out. The limit of what PostgreSQL can do with these tables, their indexes and their triggers.
WITH fresh AS MATERIALIZED (
    SELECT 'raw:' || gen_random_uuid() AS key, uuidv7() AS entry_id,
           nextval(pg_get_serial_sequence('ledger_account', 'id')) AS account_id, id AS purse_id, user_id
      FROM credits_purse
), entries AS (
    INSERT INTO ledger_entry (id, kind) SELECT entry_id, 'credits.grant' FROM fresh
), keys AS (
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint)
    SELECT 'grant:' || key, entry_id, gen_random_uuid() FROM fresh
), accounts AS (
    INSERT INTO ledger_account (id, name, unit, guarded, balance)
    SELECT account_id, 'grant:' || key, 'CREDIT', true, 500 FROM fresh
), transfers AS (
    INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
    SELECT entry_id, 0, credits_house('issued', 'CREDIT'), account_id, 500 FROM fresh
), grants AS (
    INSERT INTO credits_grant (account_id, purse_id, entry_id, source, amount, is_promotional)
    SELECT account_id, purse_id, entry_id, 'plan', 500, false FROM fresh
)
INSERT INTO events_event (type, user_id, data)
SELECT 'credits.granted', user_id, jsonb_build_object(
           'grant', entry_id, 'unit', 'CREDIT', 'amount', 500, 'source', 'plan', 'expires_at', NULL)
  FROM fresh
