"""muttd keys create, list, revoke: API keys, over the REST API of a running daemon or without one.

    create NAME --role viewer [--expires 90d]     prints the key, once, on stdout and nothing else
    list                                          who has one; never the keys
    revoke ID                                     it stops working on every daemon in a second
    ... --store                                   in the store itself: no daemon, no key needed

To rotate a key: create another of the same name, hand it over, revoke the old one.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from muttd.commands.client import DEFAULT_URL, Client, add_client_options, open_client
from muttd.commands.outcome import (
    EX_NOPERM,
    EX_OK,
    EX_UNAVAILABLE,
    EX_USAGE,
    CommandFailed,
)
from muttd.commands.terminal import table

if TYPE_CHECKING:
    from muttd.commands.keys_in_store import KeysInStore

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
    _add_source(creating)
    creating.set_defaults(command=create_key)

    listing = actions.add_parser("list", help="show who has a key")
    listing.add_argument("--all", action="store_true", help="revoked and expired ones too")
    listing.add_argument("--json", action="store_true", help="for a machine")
    _add_source(listing)
    listing.set_defaults(command=list_keys)

    revoking = actions.add_parser("revoke", help="end a key and its sessions")
    revoking.add_argument("id", type=int, help="as list shows it")
    revoking.add_argument("--reason", help="why, for the audit")
    _add_source(revoking)
    revoking.set_defaults(command=revoke_key)


def _add_source(parser: argparse.ArgumentParser) -> None:
    add_client_options(parser)
    parser.add_argument(
        "--store",
        action="store_true",
        help="work in the store that the daemon's settings choose, by the right to write there: "
        "when the daemon is down, or nobody has an admin key any more",
    )


class _KeysOfDaemon:
    """The keys, asked of a daemon that runs."""

    # Which store that is the daemon knows.
    where = ""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> list[dict[str, Any]]:
        keys: list[dict[str, Any]] = self._client.call("GET", _PATH)["keys"]
        return keys

    def create(
        self, name: str, role: str, *, expires_at: datetime | None, reason: str | None
    ) -> dict[str, Any]:
        body = {"name": name, "role": role, "change_reason": reason}
        if expires_at is not None:
            body["expires_at"] = expires_at.isoformat()
        return self._client.call("POST", _PATH, body=body)

    def revoke(self, key_id: int, *, reason: str | None) -> None:
        params = {"change_reason": reason} if reason else None
        self._client.call("DELETE", f"{_PATH}/{key_id}", params=params)


@contextmanager
def _open_keys(
    args: argparse.Namespace, environ: Mapping[str, str]
) -> Iterator[_KeysOfDaemon | KeysInStore]:
    if args.store:
        if args.url != DEFAULT_URL or args.ca or args.key_file:
            raise CommandFailed("--store goes with none of --url, --ca, --key-file", EX_USAGE)
        # Here and not above: it is much to import, and few need it.
        from muttd.commands.keys_in_store import KeysInStore

        yield KeysInStore(environ, args.state_dir)
        return
    try:
        with open_client(args, environ) as client:
            yield _KeysOfDaemon(client)
    except CommandFailed as exc:
        if exc.exit_code not in (EX_NOPERM, EX_UNAVAILABLE):
            raise
        raise CommandFailed(f"{exc}; --store needs neither daemon nor key", exc.exit_code) from exc


def create_key(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Make a key and print it."""
    expires_at = _moment(args.expires, datetime.now(UTC)) if args.expires else None
    with _open_keys(args, environ) as keys:
        made = keys.create(args.name, args.role, expires_at=expires_at, reason=args.reason)
    if args.json:
        sys.stdout.write(json.dumps(made, indent=2) + "\n")
        return EX_OK
    sys.stdout.write(made["key"] + "\n")
    whose = f"{made['name']} ({made['role']})"
    sys.stderr.write(f"key {made['id']} for {whose}{keys.where}; it is not shown again\n")
    return EX_OK


def list_keys(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show who has a key."""
    with _open_keys(args, environ) as source:
        keys = source.list()
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
    with _open_keys(args, environ) as keys:
        keys.revoke(args.id, reason=args.reason)
    sys.stderr.write(f"key {args.id} is revoked{keys.where}\n")
    return EX_OK


def _moment(text: str, now: datetime) -> datetime:
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now + int(span[1]) * _UNITS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CommandFailed(f"--expires: {text!r} is neither 90d nor a time", EX_USAGE) from exc
    return moment if moment.tzinfo else moment.astimezone()
