DROP TRIGGER event_is_untold ON events_event;
DROP FUNCTION events_note_untold();
