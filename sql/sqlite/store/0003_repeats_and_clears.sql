-- What a rule says of repetitions, of the end of a problem, and of where its alerts go.

ALTER TABLE alert_rules ADD COLUMN repeat_interval_s REAL;
ALTER TABLE alert_rules ADD COLUMN clear_match TEXT;
ALTER TABLE alert_rules ADD COLUMN destination TEXT;
