-- One entry with its key, its two transfers and the seller's balance, without asking anything: no rule looked up, no
-- sale and no event written, no wallet locked. The limit of what PostgreSQL can do with these tables and their triggers.
WITH entry AS (
    INSERT INTO ledger_entry (id, kind) VALUES (uuidv7(), 'bench') RETURNING id
), key AS (
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint) SELECT %(key)s, id, gen_random_uuid() FROM entry
), seller AS (
    UPDATE ledger_account SET balance = balance + 900 WHERE name = %(wallet)s RETURNING id
)
INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
SELECT entry.id, 0, outside.id, seller.id, 900
  FROM entry, seller, ledger_account outside WHERE outside.name = 'gateway:bench:EUR'
 UNION ALL
SELECT entry.id, 1, outside.id, ours.id, 100
  FROM entry, ledger_account outside, ledger_account ours
 WHERE outside.name = 'gateway:bench:EUR' AND ours.name = 'commission:EUR'
