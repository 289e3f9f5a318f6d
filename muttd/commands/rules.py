"""muttd rules list, export, import: over the REST API of a running daemon.

    export > rules.yaml      every rule, without what only that daemon knows (id, revision, times)
    import rules.yaml        by name: a new name is created, a changed rule updated, the rest left
    import --dry-run         says what import would do

Importing what was exported changes nothing: that is what makes a rules file fit for a repository.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from muttd.commands.client import Client, add_client_options, base_url, find_key
from muttd.commands.outcome import EX_DATAERR, EX_NOINPUT, EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table
from muttd.rules.model import RuleDraft

_DRAFT_FIELDS = RuleDraft.__struct_fields__
# What an older export or the API itself may carry, and what means nothing on another daemon.
_THEIRS = ("id", "revision", "created_at", "updated_at")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    rules = commands.add_parser("rules", help="list, export or import the rules")
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


def _all_rules(client: Client, **params: str) -> list[dict[str, Any]]:
    return list(client.pages("/api/v2/rules", "rules", params))


def _client(args: argparse.Namespace, environ: Mapping[str, str]) -> Client:
    return Client(base_url(args.url), find_key(args, environ))


def list_rules(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the rules."""
    params = {"q": args.q, "team": args.team, "is_active": "true" if args.active else None}
    with _client(args, environ) as client:
        rules = _all_rules(client, **{name: value for name, value in params.items() if value})
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
    with _client(args, environ) as client:
        drafts = [_draft_of(rule) for rule in _all_rules(client)]
    document = {"rules": drafts}
    if args.format == "json":
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        yaml.safe_dump(document, sys.stdout, sort_keys=False, allow_unicode=True)
    return EX_OK


def _draft_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rule[name] for name in _DRAFT_FIELDS if name in rule}


def import_rules(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Create or update rules, and count what was done."""
    if args.file == "-" and args.key_file == "-":
        raise CommandFailed("the rules and the key cannot both be on stdin", EX_USAGE)
    wanted = _rules_in(args.file)
    done = {"created": 0, "updated": 0, "unchanged": 0, "refused": 0}
    with _client(args, environ) as client:
        present: dict[str, list[dict[str, Any]]] = {}
        for rule in _all_rules(client):
            present.setdefault(rule["name"], []).append(rule)
        for number, draft in enumerate(wanted, start=1):
            try:
                done[_import_one(client, draft, present, args)] += 1
            except CommandFailed as exc:
                if exc.exit_code != EX_DATAERR:
                    raise
                # One bad rule does not keep the good ones out, as in a batch of events.
                done["refused"] += 1
                sys.stderr.write(f"muttd: rule {number} ({draft.get('name')}): {exc}\n")
    would = "would be " if args.dry_run else ""
    sys.stdout.write(", ".join(f"{count} {would}{what}" for what, count in done.items()) + "\n")
    return EX_DATAERR if done["refused"] else EX_OK


def _import_one(
    client: Client,
    draft: dict[str, Any],
    present: Mapping[str, list[dict[str, Any]]],
    args: argparse.Namespace,
) -> str:
    namesakes = present.get(str(draft.get("name")), [])
    if len(namesakes) > 1:
        ids = ", ".join(str(rule["id"]) for rule in namesakes)
        raise CommandFailed(f"several rules have this name: {ids}; rename them first", EX_DATAERR)
    body = draft if args.reason is None else {**draft, "change_reason": args.reason}
    if not namesakes:
        if not args.dry_run:
            client.call("POST", "/api/v2/rules", body=body)
        return "created"
    [rule] = namesakes
    if all(rule.get(name) == value for name, value in draft.items()):
        return "unchanged"
    if not args.dry_run:
        client.call("PUT", f"/api/v2/rules/{rule['id']}", body=body)
    return "updated"


def _rules_in(path: str) -> list[dict[str, Any]]:
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as rules_file:
                text = rules_file.read()
        # JSON is YAML: one reader for both.
        document = yaml.safe_load(text)
    except OSError as exc:
        raise CommandFailed(f"cannot read {path}: {exc.strerror}", EX_NOINPUT) from exc
    except (UnicodeDecodeError, yaml.YAMLError) as exc:
        what = " ".join(str(exc).split())
        raise CommandFailed(f"{path} is neither YAML nor JSON: {what}", EX_DATAERR) from exc
    return list(_drafts_of(document, path))


def _drafts_of(document: object, path: str) -> Iterator[dict[str, Any]]:
    rules = document.get("rules") if isinstance(document, dict) else document
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise CommandFailed(f"{path} holds no list of rules", EX_DATAERR)
    for rule in rules:
        # A key that no rule has is sent on: the daemon refuses it by name.
        yield {name: value for name, value in rule.items() if name not in _THEIRS}
