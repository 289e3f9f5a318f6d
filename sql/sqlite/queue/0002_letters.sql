-- entries.past: of an entry that was a dead letter, what it went through before (muttd.queue.letters,
-- Past, as MessagePack). Written once, when the entry is made.
ALTER TABLE entries ADD COLUMN past BLOB;

-- Where an alert should have gone; NULL for an event.
ALTER TABLE dead_letters ADD COLUMN destination TEXT;
-- How often it was put back before, since somebody last edited it.
ALTER TABLE dead_letters ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;

CREATE INDEX dead_letters_by_age ON dead_letters (last_failed_at);
