-- What became of an alert that the rule wanted: NULL it was raised, "clear" it ended a problem,
-- "held ALERT_ID" that other alert stands for it.

ALTER TABLE event_audit_log ADD COLUMN verdict TEXT;
