"""muttd config list, set, unset: what operators change while the daemons run, over the REST API.

list                          every setting: value, default, where it comes from, who set it
set KEY=VALUE ...             all or none
unset KEY ...                 back to the default
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import EX_OK, EX_USAGE, CommandFailed
from muttd.commands.terminal import table

_PATH = "/api/v2/config"
_HEAD = ("KEY", "VALUE", "UNIT", "DEFAULT", "SOURCE", "CHANGED BY", "AT")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    config = commands.add_parser("config", help="list or change what can change at run time")
    actions = config.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show every setting that can change at run time")
    listing.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(listing)
    listing.set_defaults(command=list_config)

    setting = actions.add_parser("set", help="change settings, all or none")
    setting.add_argument("pairs", nargs="+", metavar="KEY=VALUE")
    setting.set_defaults(command=set_config)
    unsetting = actions.add_parser("unset", help="take settings back to their defaults")
    unsetting.add_argument("keys", nargs="+", metavar="KEY")
    unsetting.set_defaults(command=unset_config)
    for change in (setting, unsetting):
        change.add_argument("--reason", help="why, for the audit")
        add_client_options(change)


def list_config(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show every setting."""
    with open_client(args, environ) as client:
        settings = client.call("GET", _PATH)["config"]
    if args.json:
        sys.stdout.write(json.dumps(settings, indent=2) + "\n")
        return EX_OK

    sys.stdout.write(table(_HEAD, [_row(each) for each in settings]))
    return EX_OK


def set_config(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Change settings."""
    values = {}
    for pair in args.pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise CommandFailed(f"{pair!r} is not KEY=VALUE", EX_USAGE)
        if key in values:
            raise CommandFailed(f"{key} is given twice", EX_USAGE)
        values[key] = _value_of(text)
    return _change(args, environ, values)


def unset_config(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Take settings back to their defaults."""
    return _change(args, environ, dict.fromkeys(args.keys))


def _change(
    args: argparse.Namespace, environ: Mapping[str, str], values: Mapping[str, object]
) -> int:
    body = {"values": values, "change_reason": args.reason}
    with open_client(args, environ) as client:
        settings = client.call("PUT", _PATH, body=body)["config"]

    rows = [_row(each) for each in settings if each["key"] in values]
    sys.stdout.write(table(_HEAD, rows))
    return EX_OK


def _value_of(text: str) -> int | float | str:
    """A number where it is one; the daemon knows which it must be."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    # JSON has no word for the others; the daemon says what it wants instead.
    return number if math.isfinite(number) else text


def _row(setting: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        setting["key"],
        setting["value"],
        setting["unit"],
        setting["default"],
        setting["source"],
        setting["changed_by"],
        setting["changed_at"],
    )
