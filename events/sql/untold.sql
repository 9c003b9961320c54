-- Every event that is written, by whomever, waits in events_untold until `dispatch` has looked at it.
CREATE OR REPLACE FUNCTION events_note_untold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_untold (event_id) SELECT id FROM fresh;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER event_is_untold AFTER INSERT ON events_event
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION events_note_untold();
