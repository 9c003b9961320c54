-- What the database refuses by itself, to everybody, whatever the code above it does.

-- Balances change all day: leave room on the page, so that the new version of a row stays beside the old one (HOT).
ALTER TABLE ledger_account SET (fillfactor = 80);

-- Django makes a second index of every text key, for LIKE under other collations; under "C" the first one serves both.
DROP INDEX ledger_entrykey_key_577da17e_like;

CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

-- Books are written once.
CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('a correction is another entry');
CREATE TRIGGER key_is_append_only BEFORE UPDATE OR DELETE ON ledger_entrykey
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('a key stays with its entry');
CREATE TRIGGER transfer_is_append_only BEFORE UPDATE OR DELETE ON ledger_transfer
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('a correction is another entry');

-- An account stays what it is. That it can neither go away nor change its unit is why a transfer need not lock it.
CREATE TRIGGER account_stays BEFORE DELETE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('an account stays in the books');
-- Fires only for statements that name these columns: an update of a balance never comes here.
CREATE TRIGGER account_keeps_its_nature BEFORE UPDATE OF id, unit, guarded ON ledger_account
    FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.unit <> NEW.unit OR OLD.guarded <> NEW.guarded)
    EXECUTE FUNCTION ledger_refuse('an account keeps its unit and its nature');

-- A hold is resolved once, and is the same hold until then.
CREATE TRIGGER hold_is_resolved_once BEFORE UPDATE ON ledger_hold
    FOR EACH ROW WHEN (
        OLD.state <> 'open' OR OLD.id <> NEW.id OR OLD.key <> NEW.key OR OLD.number <> NEW.number
        OR OLD.account_id <> NEW.account_id OR OLD.amount <> NEW.amount
    ) EXECUTE FUNCTION ledger_refuse('a hold is resolved once and never changed');
CREATE TRIGGER hold_stays BEFORE DELETE ON ledger_hold
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('a hold is voided, not deleted');

-- A transfer belongs to an entry and joins two accounts of one unit. Foreign keys would say the first part, for
-- no less time, but they lock what they look at: every spend would leave its mark on one house account's row.
CREATE FUNCTION ledger_transfer_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    source_unit text;
    target_unit text;
BEGIN
    -- One query says that all is well; only a misfit pays for finding out why.
    IF EXISTS (
        SELECT FROM ledger_account source, ledger_account target, ledger_entry entry
         WHERE source.id = NEW.source_id AND target.id = NEW.target_id AND entry.id = NEW.entry_id
           AND source.unit = target.unit
    ) THEN
        RETURN NULL;
    END IF;
    SELECT unit INTO source_unit FROM ledger_account WHERE id = NEW.source_id;
    SELECT unit INTO target_unit FROM ledger_account WHERE id = NEW.target_id;
    IF source_unit IS NULL OR target_unit IS NULL THEN
        RAISE EXCEPTION 'transfer %/% names an account that is not in the books', NEW.entry_id, NEW.number
            USING ERRCODE = 'foreign_key_violation';
    ELSIF source_unit <> target_unit THEN
        RAISE EXCEPTION 'transfer %/% goes from % to %', NEW.entry_id, NEW.number, source_unit, target_unit
            USING ERRCODE = 'check_violation';
    END IF;
    RAISE EXCEPTION 'transfer %/% has no entry', NEW.entry_id, NEW.number USING ERRCODE = 'foreign_key_violation';
END $$;
-- AFTER, so that one statement may write accounts, entries and transfers together.
CREATE TRIGGER transfer_fits AFTER INSERT ON ledger_transfer
    FOR EACH ROW EXECUTE FUNCTION ledger_transfer_fits();

-- Value is held on an account that has a balance of its own.
CREATE FUNCTION ledger_hold_fits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger_account WHERE id = NEW.account_id AND guarded) THEN
        RAISE EXCEPTION 'hold % is not on a guarded account', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER hold_fits AFTER INSERT ON ledger_hold FOR EACH ROW EXECUTE FUNCTION ledger_hold_fits();
