-- What granting each due period writes, without asking anything: its grant with all that belongs to it, and the row that
-- says it was granted. No rules looked at, nobody locked, no state or news worked out.
WITH due AS MATERIALIZED (
    SELECT p.id AS period_id, s.reference || ':' || p.rule || ':' || p.number AS key, uuidv7() AS entry_id,
           nextval(pg_get_serial_sequence('ledger_account', 'id')) AS account_id, u.id AS purse_id, s.user_id,
           p.amount
      FROM credits_grantperiod p
      JOIN credits_grantschedule s ON s.id = p.schedule_id
      JOIN credits_purse u ON u.user_id = s.user_id AND u.unit = p.unit
     WHERE p.state = 'due' AND p.starts_at <= clock_timestamp()
), entries AS (
    INSERT INTO ledger_entry (id, kind) SELECT entry_id, 'credits.grant' FROM due
), keys AS (
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint)
    SELECT 'grant:' || key, entry_id, gen_random_uuid() FROM due
), accounts AS (
    INSERT INTO ledger_account (id, name, unit, guarded, balance)
    SELECT account_id, 'grant:' || key, 'CREDIT', true, amount FROM due
), transfers AS (
    INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
    SELECT entry_id, 0, credits_house('issued', 'CREDIT'), account_id, amount FROM due
), grants AS (
    INSERT INTO credits_grant (account_id, purse_id, entry_id, source, amount, is_promotional)
    SELECT account_id, purse_id, entry_id, 'plan', amount, false FROM due
), events AS (
    INSERT INTO events_event (type, user_id, data)
    SELECT 'credits.granted', user_id, jsonb_build_object(
               'grant', entry_id, 'unit', 'CREDIT', 'amount', amount, 'source', 'plan', 'expires_at', NULL)
      FROM due
)
UPDATE credits_grantperiod p SET state = 'granted', decided_at = clock_timestamp(), grant_id = due.account_id
  FROM due WHERE due.period_id = p.id
