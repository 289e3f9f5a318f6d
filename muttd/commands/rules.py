"""muttd rules list, export, import, test: over the REST API of a running daemon.

    export > rules.yaml      every rule, without what only that daemon knows (id, revision, times)
    import rules.yaml        by name: a new name is created, a changed rule updated, the rest left
    import --dry-run         says what import would do
    test                     what a rule would have matched: dry_run.py

Importing what was exported changes nothing: that is what makes a rules file fit for a repository.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from muttd.commands import dry_run
from muttd.commands.client import Client, add_client_options, open_client
from muttd.commands.outcome import EX_DATAERR, EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table
from muttd.errors import InvalidInput
from muttd.rules.exchange import drafts_from_text, rules_to_json, rules_to_yaml
from muttd.rules.model import RuleDraft
from muttd.rules.validate import draft_rule

Present = Mapping[str, list[tuple[int, RuleDraft]]]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    rules = commands.add_parser("rules", help="list, export, import or test rules")
    actions = rules.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show the rules in the order they are tried")
    listing.add_argument("--q", metavar="TEXT", help="only rules that contain this text")
    listing.add_argument("--team", help="only rules of this team")
    listing.add_argument("--active", action="store_true", help="only rules that take part")
    listing.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(listing)
    listing.set_defaults(command=list_rules)

    export = actions.add_parser("export", help="write every rule as YAML or JSON")
    export.add_argument("--format", choices=("yaml", "json"), default="yaml")
    add_client_options(export)
    export.set_defaults(command=export_rules)

    importing = actions.add_parser("import", help="create or update rules from a file, by name")
    importing.add_argument("file", help='YAML or JSON as export writes it; "-" is stdin')
    importing.add_argument("--dry-run", action="store_true", help="change nothing, say what would")
    importing.add_argument("--reason", help="why, for the audit")
    add_client_options(importing)
    importing.set_defaults(command=import_rules)

    dry_run.add_to(actions)


def all_rules(client: Client, **params: str) -> list[dict[str, Any]]:
    """Every rule that the daemon has."""
    return list(client.pages("/api/v2/rules", "rules", params))


def list_rules(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the rules."""
    params = {"q": args.q, "team": args.team, "is_active": "true" if args.active else None}
    with open_client(args, environ) as client:
        rules = all_rules(client, **{name: value for name, value in params.items() if value})
    if args.json:
        sys.stdout.write(json.dumps(rules, indent=2) + "\n")
        return EX_OK
    head = ("ID", "PRIO", "ACTIVE", "NAME", "PATTERN", "CONDITIONS", "PROD", "DEV", "TEAM")
    sys.stdout.write(table(head, [_row(rule) for rule in rules]))
    return EX_OK


def _row(rule: Mapping[str, Any]) -> tuple[object, ...]:
    patterns = []
    if rule["match_string"] is not None:
        patterns.append(f"{rule['match_type']} {rule['match_string']!r}")
    if rule["trap_oid"] is not None:
        patterns.append(f"oid {rule['trap_oid']}")
    conditions = []
    if rule["syslog_severity"] is not None:
        sign = "=" if rule["severity_op"] == "eq" else "<="
        conditions.append(f"severity {sign} {rule['syslog_severity']}")
    if rule["host_pattern"] is not None:
        conditions.append(f"host {rule['host_pattern']}")
    if rule.get("clear_match") is not None:
        conditions.append(f"until {rule['clear_match']!r}")
    return (
        rule["id"],
        rule["priority"],
        "yes" if rule["is_active"] else "no",
        rule["name"],
        " or ".join(patterns) or None,
        " and ".join(conditions) or None,
        rule["prod_handling"],
        rule["dev_handling"],
        rule["team_assignment"],
    )


def export_rules(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Write every rule."""
    with open_client(args, environ) as client:
        drafts = [draft_of(rule) for rule in all_rules(client)]
    sys.stdout.write(rules_to_json(drafts) if args.format == "json" else rules_to_yaml(drafts))
    return EX_OK


def draft_of(rule: Mapping[str, Any]) -> RuleDraft:
    """What of a rule means the same on another daemon."""
    try:
        return draft_rule(rule)
    except InvalidInput as exc:
        # Only a daemon that is newer than this program has such a rule.
        raise CommandFailed(f"cannot read rule {rule.get('id')}: {exc}", EX_DATAERR) from exc


def import_rules(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Create or update rules, and count what was done."""
    if args.file == "-" and args.key_file == "-":
        raise CommandFailed("the rules and the key cannot both be on stdin", EX_USAGE)
    try:
        wanted = drafts_from_text(dry_run.text_of(args.file), form="yaml")
    except InvalidInput as exc:
        # Before the first call: a file with a mistake in it changes nothing.
        for field, what in exc.problems:
            sys.stderr.write(f"muttd: {field}: {' '.join(what.split())}\n")
        return EX_DATAERR
    done = {"created": 0, "updated": 0, "unchanged": 0, "refused": 0}
    with open_client(args, environ) as client:
        present = _by_name(all_rules(client))
        for draft in wanted:
            try:
                done[_import_one(client, draft, present, args)] += 1
            except CommandFailed as exc:
                if exc.exit_code != EX_DATAERR:
                    raise
                done["refused"] += 1
                sys.stderr.write(f"muttd: rule {draft.name!r}: {exc}\n")
    would = "would be " if args.dry_run else ""
    sys.stdout.write(", ".join(f"{count} {would}{what}" for what, count in done.items()) + "\n")
    return EX_DATAERR if done["refused"] else EX_OK


def _by_name(rules: Iterable[Mapping[str, Any]]) -> Present:
    present: dict[str, list[tuple[int, RuleDraft]]] = {}
    for rule in rules:
        present.setdefault(rule["name"], []).append((rule["id"], draft_of(rule)))
    return present


def _import_one(
    client: Client, draft: RuleDraft, present: Present, args: argparse.Namespace
) -> str:
    namesakes = present.get(draft.name, [])
    if len(namesakes) > 1:
        ids = ", ".join(str(rule_id) for rule_id, _ in namesakes)
        raise CommandFailed(f"several rules have this name: {ids}; rename them first", EX_DATAERR)
    body = msgspec.to_builtins(draft)
    if args.reason is not None:
        body["change_reason"] = args.reason
    if not namesakes:
        if not args.dry_run:
            client.call("POST", "/api/v2/rules", body=body)
        return "created"
    [(rule_id, was)] = namesakes
    if was == draft:
        return "unchanged"
    if not args.dry_run:
        client.call("PUT", f"/api/v2/rules/{rule_id}", body=body)
    return "updated"
