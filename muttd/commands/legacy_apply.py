"""Imported rules, hosts and teams, given to a daemon over its REST API; what it has is left.

Hosts and teams are added one by one: each is whole by itself, and the next import goes on where one
was cut off. Rules go in one transaction, after them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from muttd.commands.client import Client
from muttd.commands.rules import all_rules, draft_of
from muttd.legacy.rows_map import TablePlan
from muttd.rules.exchange import rules_to_json
from muttd.rules.model import RuleDraft

_REASON = "imported from the predecessor"
# Ten thousand rules are compiled in a second or two.
_IMPORT_TIMEOUT_S = 120.0


def apply(client: Client, plan: TablePlan, *, dry_run: bool) -> dict[str, str]:
    """Give the daemon what it does not have; what was done, by kind.

    Raises:
        CommandFailed: It does not answer, or says no.
    """
    # Rules last: before it is known which hosts are for development, theirs would page.
    return {
        "development hosts": _hosts(client, plan, dry_run=dry_run),
        "teams": _teams(client, plan, dry_run=dry_run),
        "rules": _rules(client, plan, dry_run=dry_run),
    }


def _said(done: dict[str, int], *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    return ", ".join(f"{count} {would}{what}" for what, count in done.items())


def _rules(client: Client, plan: TablePlan, *, dry_run: bool) -> str:
    done = {"created": 0, "updated": 0, "unchanged": 0}
    wanted = _without_renamed(client, plan.rules) if plan.rules else []
    if wanted:
        answer = client.call(
            "POST",
            "/api/v2/rules/import",
            params={"dry_run": "true" if dry_run else "false", "change_reason": _REASON},
            body=json.loads(rules_to_json(wanted)),
            timeout_s=_IMPORT_TIMEOUT_S,
        )
        done = {what: answer[what] for what in done}
    done["unchanged"] += len(plan.rules) - len(wanted)
    return _said(done, dry_run=dry_run)


def _without_renamed(client: Client, rules: Sequence[RuleDraft]) -> list[RuleDraft]:
    """The rules that the daemon does not have under a name that somebody gave them since."""
    present = [draft_of(rule) for rule in all_rules(client)]
    kept_names = {rule.name for rule in present}
    ours = {rule.name for rule in rules}
    renamed = Counter(_nameless(rule) for rule in present if rule.name not in ours)
    wanted = []
    for rule in rules:
        # Each stands for one: of two equal rows, one of which was renamed, both are kept.
        if rule.name not in kept_names and renamed[_nameless(rule)]:
            renamed[_nameless(rule)] -= 1
        else:
            wanted.append(rule)
    return wanted


def _nameless(rule: RuleDraft) -> RuleDraft:
    return msgspec.structs.replace(rule, name="")


def _hosts(client: Client, plan: TablePlan, *, dry_run: bool) -> str:
    done = {"added": 0, "unchanged": 0}
    if plan.hosts:
        answer = client.call("GET", "/api/v2/dev-hosts")
        present = {entry["hostname"].lower() for entry in answer["hosts"]}
        for host in plan.hosts:
            if host.lower() in present:
                done["unchanged"] += 1
                continue
            if not dry_run:
                body = {"hostname": host, "change_reason": _REASON}
                client.call("POST", "/api/v2/dev-hosts", body=body)
            done["added"] += 1
    return _said(done, dry_run=dry_run)


def _teams(client: Client, plan: TablePlan, *, dry_run: bool) -> str:
    done = {"added": 0, "updated": 0, "unchanged": 0}
    if plan.teams:
        answer = client.call("GET", "/api/v2/teams")
        present = {entry["hostname"].lower(): entry for entry in answer["teams"]}
        for entry in plan.teams:
            was = present.get(entry.hostname.lower())
            body = {"team_assignment": entry.team_assignment, "change_reason": _REASON}
            if was is not None and was["team_assignment"] == entry.team_assignment:
                done["unchanged"] += 1
                continue
            done["added" if was is None else "updated"] += 1
            if dry_run:
                continue
            if was is None:
                client.call("POST", "/api/v2/teams", body={"hostname": entry.hostname, **body})
            else:
                path = f"/api/v2/teams/{quote(was['hostname'], safe='')}"
                client.call("PUT", path, body=body)
    return _said(done, dry_run=dry_run)
