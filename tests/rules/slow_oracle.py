"""What the rules mean, written down as plainly as can be: a loop, and no set matching."""

from __future__ import annotations

import fnmatch
import ipaddress

import re2

from muttd.event import Event
from muttd.rules.model import MatchType, Rule, SeverityOp


def matching(rules: list[Rule], event: Event) -> list[Rule]:
    """Every rule that matches, in (priority, id) order."""
    return [rule for rule in sorted(rules, key=lambda r: (r.priority, r.id)) if _holds(rule, event)]


def is_listed(entries: list[str], event: Event) -> bool:
    return any(_names(entry, event) for entry in entries)


def _holds(rule: Rule, event: Event) -> bool:
    if not rule.is_active:
        return False
    if rule.syslog_severity is not None:
        if rule.severity_op is SeverityOp.EQ and event.severity != rule.syslog_severity:
            return False
        if rule.severity_op is SeverityOp.AT_LEAST and event.severity > rule.syslog_severity:
            return False
    if rule.host_pattern is not None and not _names(rule.host_pattern, event):
        return False
    if rule.match_string is None and rule.trap_oid is None:
        return True
    oids = [rule.trap_oid]
    if rule.match_type is MatchType.OID_PREFIX:
        oids.append(rule.match_string)
    elif rule.match_string is not None and _text_holds(rule, event):
        return True
    return any(_is_prefix(oid, event.trap_oid) for oid in oids if oid is not None)


def _text_holds(rule: Rule, event: Event) -> bool:
    header = event.app_name
    if header is not None and event.procid is not None:
        header = f"{header}[{event.procid}]"
    texts = [event.message, event.msgid]
    if header is not None:
        texts.append(f"{header}: {event.message}")
    return any(_one_text_holds(rule, text) for text in texts if text is not None)


def _one_text_holds(rule: Rule, text: str) -> bool:
    assert rule.match_string is not None
    if rule.match_type is MatchType.CONTAINS:
        return rule.match_string.casefold() in text.casefold()
    options = re2.Options()
    options.case_sensitive = False
    return re2.search(rule.match_string, text, options) is not None


def _is_prefix(prefix: str, oid: str | None) -> bool:
    if oid is None:
        return False
    arcs = prefix.split(".")
    return oid.split(".")[: len(arcs)] == arcs


def _names(entry: str, event: Event) -> bool:
    if "/" in entry:
        network = ipaddress.ip_network(entry)
        return any(
            ipaddress.ip_address(text) in network
            for text in (event.hostname, event.source_ip)
            if text[0].isdigit() or ":" in text
        )
    return fnmatch.fnmatchcase(event.hostname.lower(), entry.lower())
