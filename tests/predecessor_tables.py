"""The predecessor's tables as it made them, with rows of every kind that an import meets."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE alert_rules (
    id serial PRIMARY KEY,
    match_string varchar(255),
    trap_oid varchar(255),
    syslog_severity int CHECK (syslog_severity BETWEEN 0 AND 7),
    match_type varchar(20) NOT NULL DEFAULT 'contains'
        CHECK (match_type IN ('contains', 'regex', 'oid_prefix')),
    priority int NOT NULL DEFAULT 100,
    prod_handling varchar(100) NOT NULL,
    dev_handling varchar(100) NOT NULL,
    team_assignment varchar(100) NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (match_string IS NOT NULL OR trap_oid IS NOT NULL)
);
CREATE TABLE development_hosts (hostname varchar(255) PRIMARY KEY);
CREATE TABLE device_teams (
    hostname varchar(255) PRIMARY KEY, team_assignment varchar(100) NOT NULL
);
CREATE TABLE event_audit_log (
    id bigserial NOT NULL,
    event_timestamp timestamptz NOT NULL,
    hostname varchar(255) NOT NULL,
    matched_rule_id int NOT NULL REFERENCES alert_rules (id),
    handling_decision varchar(100) NOT NULL,
    forwarded_to_moog boolean NOT NULL DEFAULT false,
    raw_message text,
    PRIMARY KEY (id, event_timestamp)
) PARTITION BY RANGE (event_timestamp);
CREATE TABLE event_audit_log_default PARTITION OF event_audit_log DEFAULT
"""

ROWS = r"""
INSERT INTO alert_rules (match_string, trap_oid, syslog_severity, match_type, priority,
    prod_handling, dev_handling, team_assignment, is_active) VALUES
    ('LINK-3-UPDOWN', NULL, NULL, 'contains', 10, 'Page_and_ticket', 'Ignore', 'NETO', true),
    ('tab' || chr(9) || 'back\slash', NULL, 3, 'contains', 100,
        'Ticket_only', 'Ignore', 'SRE', true),
    (NULL, '.1.3.6.1.4.1.9.9.41.*', 2, 'oid_prefix', 5, 'Page_only', 'Log_only', 'NETO', true),
    ('disk (\d+) failed', NULL, NULL, 'regex', 20, 'Ticket_only', 'Ignore', 'Unix', false),
    ('(?=back)tracks', NULL, NULL, 'regex', 30, 'Page_only', 'Ignore', 'NETO', true),
    ('typo', NULL, NULL, 'contains', 40, 'Page_an_ticket', 'Ignore', 'NETO', true);
INSERT INTO development_hosts VALUES ('lab-1'), ('LAB-1'), ('lab two'), ('10.9.0.1');
INSERT INTO device_teams VALUES ('core-1', 'NETO'), ('CORE-1', 'SRE'), ('db-1', 'DBA');
INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id, handling_decision)
    VALUES (now(), 'core-1', 1, 'Page_and_ticket')
"""
