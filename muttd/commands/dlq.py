"""muttd dlq list, show, replay, discard: dead letters, over the REST API of a running daemon.

list --kind alert --reason rejected      newest first
show ID                                  with its event and, for an alert, the alert
replay ID... | --all                     back to where they came from; parked ones stay
discard ID... | --all                    for good
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import EX_DATAERR, EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table

_PATH = "/api/v2/dead-letters"
_KINDS = ("event", "alert")
_REASONS = ("poison", "undecodable", "rejected", "failing")
# Of an error in a table.
_ERROR_CHARS = 60


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    dlq = commands.add_parser("dlq", help="list, show, replay or discard dead letters")
    actions = dlq.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show what was given up on, newest first")
    _add_filter(listing)
    parked = listing.add_mutually_exclusive_group()
    parked.add_argument("--parked", action="store_true", help="only those that were parked")
    parked.add_argument("--not-parked", action="store_true", help="only those that were not")
    _finish(listing, list_letters)

    show = actions.add_parser("show", help="show one with everything that is in it")
    show.add_argument("id", help="of the letter")
    _finish(show, show_letter)

    for name, text in (
        ("replay", "put letters back to where they came from"),
        ("discard", "forget letters for good"),
    ):
        many = actions.add_parser(name, help=text)
        many.add_argument("ids", nargs="*", metavar="ID", help="of the letters")
        many.add_argument("--all", action="store_true", help="all that the filter leaves")
        _add_filter(many)
        many.add_argument("--reason-text", metavar="TEXT", help="why, for the audit")
        if name == "replay":
            many.add_argument("--parked", action="store_true", help="parked ones as well")
        _finish(many, replay_letters if name == "replay" else discard_letters)


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=_KINDS)
    parser.add_argument("--reason", choices=_REASONS)
    parser.add_argument("--destination", metavar="NAME", help="only alerts for this one")


def _finish(parser: argparse.ArgumentParser, command: object) -> None:
    parser.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(parser)
    parser.set_defaults(command=command)


def _filter(args: argparse.Namespace) -> dict[str, str]:
    given = {"kind": args.kind, "reason": args.reason, "destination": args.destination}
    return {name: value for name, value in given.items() if value}


def list_letters(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the letters."""
    params: dict[str, Any] = _filter(args)
    if args.parked or args.not_parked:
        params["parked"] = str(args.parked).lower()
    with open_client(args, environ) as client:
        letters = list(client.pages(_PATH, "dead_letters", params))
    if args.json:
        _write_json(letters)
        return EX_OK
    head = ("ID", "KIND", "REASON", "LAST FAILED", "TRIES", "REPLAYS", "TO", "HOST", "ERROR")
    sys.stdout.write(table(head, [_row(letter) for letter in letters]))
    return EX_OK


def _row(letter: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        letter["letter_id"],
        letter["kind"],
        letter["reason"],
        letter["last_failed_at"][:19] + "Z",
        letter["attempts"],
        f"{letter['replays']} parked" if letter["is_parked"] else letter["replays"],
        letter["destination"],
        letter["hostname"],
        letter["error"][:_ERROR_CHARS],
    )


def show_letter(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show one letter."""
    with open_client(args, environ) as client:
        letter = client.call("GET", f"{_PATH}/{quote(args.id, safe='')}")
    # For a person too: it is deep, and JSON shows control characters as what they are.
    _write_json(letter)
    return EX_OK


def replay_letters(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Put letters back."""
    body = _chosen(args)
    if args.parked:
        body["parked"] = True
    done = _call(args, environ, "replay", body)
    if not args.json:
        sys.stdout.write(
            f"{done['replayed']} replayed, {done['parked']} parked and left alone,"
            f" {done['unknown']} unknown{_left(done)}\n"
        )
    return EX_DATAERR if done["unknown"] or done["parked"] else EX_OK


def discard_letters(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Forget letters."""
    done = _call(args, environ, "discard", _chosen(args))
    if not args.json:
        said = f"{done['discarded']} discarded, {done['unknown']} unknown{_left(done)}\n"
        sys.stdout.write(said)
    return EX_DATAERR if done["unknown"] else EX_OK


def _left(done: Mapping[str, Any]) -> str:
    return f", {done['left']} left: say it again" if done["left"] else ""


def _chosen(args: argparse.Namespace) -> dict[str, Any]:
    chosen = _filter(args)
    if bool(args.ids) == args.all:
        raise CommandFailed("give either the ids of letters or --all", EX_USAGE)
    if args.ids and chosen:
        raise CommandFailed("--kind, --reason and --destination go with --all", EX_USAGE)
    body: dict[str, Any] = {"all": True, "filter": chosen} if args.all else {"ids": args.ids}
    if args.reason_text is not None:
        body["change_reason"] = args.reason_text
    return body


def _call(
    args: argparse.Namespace, environ: Mapping[str, str], action: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    with open_client(args, environ) as client:
        done = client.call("POST", f"{_PATH}/{action}", body=body)
    if args.json:
        _write_json(done)
    return done


def _write_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
