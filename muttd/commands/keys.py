"""muttd keys create, list, revoke: API keys, over the REST API of a running daemon.

    create NAME --role viewer [--expires 90d]     prints the key, once, on stdout and nothing else
    list                                          who has one; never the keys
    revoke ID                                     it stops working on every daemon in a second

To rotate a key: create another of the same name, hand it over, revoke the old one.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table

ROLES = ("ingest", "viewer", "operator", "admin")
_PATH = "/api/v2/keys"
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    keys = commands.add_parser("keys", help="create, list or revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")

    creating = actions.add_parser("create", help="make a key and print it, once")
    creating.add_argument("name", help="who will use it: the actor in the audit")
    creating.add_argument("--role", required=True, choices=ROLES)
    creating.add_argument(
        "--expires", metavar="WHEN", help="12h, 90d, 4w, or a time like 2030-01-31T00:00:00Z"
    )
    creating.add_argument("--reason", help="why, for the audit")
    creating.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(creating)
    creating.set_defaults(command=create_key)

    listing = actions.add_parser("list", help="show who has a key")
    listing.add_argument("--all", action="store_true", help="revoked and expired ones too")
    listing.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(listing)
    listing.set_defaults(command=list_keys)

    revoking = actions.add_parser("revoke", help="end a key and its sessions")
    revoking.add_argument("id", type=int, help="as list shows it")
    revoking.add_argument("--reason", help="why, for the audit")
    add_client_options(revoking)
    revoking.set_defaults(command=revoke_key)


def create_key(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Make a key and print it."""
    body = {"name": args.name, "role": args.role, "change_reason": args.reason}
    if args.expires:
        body["expires_at"] = _moment(args.expires, datetime.now(UTC))
    with open_client(args, environ) as client:
        made = client.call("POST", _PATH, body=body)
    if args.json:
        sys.stdout.write(json.dumps(made, indent=2) + "\n")
        return EX_OK
    sys.stdout.write(made["key"] + "\n")
    sys.stderr.write(
        f"key {made['id']} for {made['name']} ({made['role']}); it is not shown again\n"
    )
    return EX_OK


def list_keys(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show who has a key."""
    with open_client(args, environ) as client:
        keys = client.call("GET", _PATH)["keys"]
    if not args.all:
        keys = [key for key in keys if key["is_valid"]]
    if args.json:
        sys.stdout.write(json.dumps(keys, indent=2) + "\n")
        return EX_OK
    rows = [
        (
            key["id"],
            key["name"],
            key["role"],
            "valid" if key["is_valid"] else "revoked" if key["revoked_at"] else "expired",
            key["source"],
            key["created_at"],
            key["created_by"],
            key["expires_at"],
        )
        for key in keys
    ]
    head = ("ID", "NAME", "ROLE", "STATE", "SOURCE", "CREATED", "BY", "EXPIRES")
    sys.stdout.write(table(head, rows))
    return EX_OK


def revoke_key(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Revoke a key."""
    params = {"change_reason": args.reason} if args.reason else None
    with open_client(args, environ) as client:
        client.call("DELETE", f"{_PATH}/{args.id}", params=params)
    sys.stderr.write(f"key {args.id} is revoked\n")
    return EX_OK


def _moment(text: str, now: datetime) -> str:
    span = _SPAN.fullmatch(text)
    if span is not None:
        return (now + int(span[1]) * _UNITS[span[2]]).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CommandFailed(f"--expires: {text!r} is neither 90d nor a time", EX_USAGE) from exc
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()
