"""muttd rules test: what a rule would have matched among the events that a daemon has stored.

    muttd rules test --contains "I/O error"          a pattern alone
    muttd rules test rule.yaml --rule-id 7           a rule of a file, in the place of rule 7

Nothing is changed. The answer is that of POST /api/v2/rules/test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import EX_DATAERR, EX_NOINPUT, EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table
from muttd.errors import InvalidInput
from muttd.rules.exchange import drafts_from_text

# A daemon answers with what it has seen after 25 s, and another run may come first.
TIMEOUT_S = 60.0
SHOWN_HOSTS = 10
# What a pattern alone lacks to be a rule; none of it decides what matches.
_FILLED_IN = {
    "name": "dry run",
    "prod_handling": "Log_only",
    "dev_handling": "Log_only",
    "team_assignment": "none",
}


def add_to(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to those of the rules."""
    test = actions.add_parser("test", help="show what a rule would have matched; changes nothing")
    test.add_argument("file", nargs="?", help='YAML or JSON with one rule; "-" is stdin')
    test.add_argument("--contains", metavar="TEXT", help="instead of a file: events with this text")
    test.add_argument("--regex", metavar="EXPRESSION", help="events that this expression matches")
    test.add_argument("--oid", metavar="OID", help="traps with this OID or one below it")
    test.add_argument("--severity", help="at least as severe: 0 to 7, or a name such as err")
    test.add_argument("--host", metavar="PATTERN", help="a name, a glob, an address or a network")
    test.add_argument("--priority", type=int, help="where it would stand; 100 without it")
    test.add_argument("--rule-id", type=int, metavar="N", help="the rule that it would replace")
    test.add_argument("--from", dest="since", metavar="TIME", help="ISO 8601; else 24 hours ago")
    test.add_argument("--to", dest="until", metavar="TIME", help="ISO 8601; else now")
    test.add_argument("--samples", type=int, default=10, metavar="N", help="events shown (10)")
    test.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(test)
    test.set_defaults(command=test_rule)


def test_rule(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Ask the daemon, and show what it says."""
    body = {
        "rule": _rule(args),
        "rule_id": args.rule_id,
        "from": args.since,
        "to": args.until,
        "samples": args.samples,
    }
    with open_client(args, environ) as client:
        result = client.call("POST", "/api/v2/rules/test", body=body, timeout_s=TIMEOUT_S)
    if args.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(result)) + "\n")
    return EX_OK


def _rule(args: argparse.Namespace) -> dict[str, Any]:
    patterns = {
        "match_string": args.contains if args.regex is None else args.regex,
        "match_type": None if args.regex is None else "regex",
        "trap_oid": args.oid,
        "syslog_severity": args.severity,
        "severity_op": None if args.severity is None else "at_least",
        "host_pattern": args.host,
    }
    given = {name: value for name, value in patterns.items() if value is not None}
    if args.contains is not None and args.regex is not None:
        raise CommandFailed("--contains and --regex are two rules", EX_USAGE)
    if bool(given) == (args.file is not None):
        raise CommandFailed("name a file with a rule, or patterns; one of the two", EX_USAGE)
    if args.priority is not None:
        given["priority"] = args.priority
    if args.file is None:
        return _FILLED_IN | given
    if args.file == "-" and args.key_file == "-":
        raise CommandFailed("the rule and the key cannot both be on stdin", EX_USAGE)
    return _rule_in(text_of(args.file)) | given


def _rule_in(text: str) -> dict[str, Any]:
    try:
        drafts = drafts_from_text(text, form="yaml")
    except InvalidInput as exc:
        raise CommandFailed(" ".join(str(exc).split()), EX_DATAERR) from exc
    if len(drafts) != 1:
        raise CommandFailed(f"the file has {len(drafts)} rules; test one at a time", EX_DATAERR)
    rule: dict[str, Any] = msgspec.to_builtins(drafts[0])
    return rule


def text_of(path: str) -> str:
    """The text of a file of rules: YAML, or JSON, which is YAML too."""
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as rules_file:
            return rules_file.read()
    except OSError as exc:
        raise CommandFailed(f"cannot read {path}: {exc.strerror}", EX_NOINPUT) from exc
    except UnicodeDecodeError as exc:
        raise CommandFailed(f"{path} is not UTF-8 text", EX_DATAERR) from exc


def _lines(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{result['matched']} of {result['scanned']} events match,"
        f" received from {result['range_start']} to {result['range_end']}"
    ]
    if not result["is_complete"]:
        lines.append(f"out of time: only those were looked at since {result['scanned_back_to']}")
    lines.append(f"{result['newly']} that no rule decides now, {result['kept']} that stay its own")
    for name, what in (("taken_over", "taken over from"), ("taken_first", "decided before by")):
        lines += [f"{each['count']} {what} {_named(each)}" for each in result[name]]
    hosts = result["hosts"][:SHOWN_HOSTS]
    if hosts:
        lines += ["", _table(("HOST", "EVENTS"), [(e["hostname"], e["count"]) for e in hosts])]
        if result["host_count"] > len(hosts):
            lines.append(f"and {result['host_count'] - len(hosts)} more hosts")
    if result["hours"]:
        hours = [(each["hour"][:13] + "h", each["count"]) for each in result["hours"]]
        lines += ["", _table(("HOUR", "EVENTS"), hours)]
    if result["samples"]:
        samples = [
            (each["received_at"][:19], each["hostname"], each["winner_id"], each["line"])
            for each in result["samples"]
        ]
        lines += ["", _table(("RECEIVED", "HOST", "RULE NOW", "LINE"), samples)]
    return lines


def _named(count: Mapping[str, Any]) -> str:
    return f"rule {count['rule_id']} ({' '.join(count['rule_name'].split())})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return table(head, rows).rstrip("\n")
