"""muttd tail: live events in a terminal, with the filters of the Live page.

Events go to stdout, one a line; remarks (a flood, a lost connection) go to stderr.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import trio

from muttd.commands.client import add_client_options, base_url, find_key, find_trust
from muttd.commands.live_tail import Server, Tail, sole
from muttd.commands.outcome import EX_OK
from muttd.commands.severity import severity_number
from muttd.commands.terminal import Palette, event_line
from muttd.event import Transport
from muttd.logs import printable

_FILTER = ("q", "hostname", "severity", "max_severity", "transport", "rule_id", "team", "matched")


# How soon `muttd tail | head -1` ends when nothing more comes.
_READER_CHECK_S = 0.25


class _Enough(Exception):
    """No error: as many events were shown as --count asks for, or nobody reads them any more."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command."""
    tail = commands.add_parser("tail", help="follow events live, with the filters of the Live page")
    tail.add_argument("--q", metavar="TEXT", help="text in the message")
    tail.add_argument("--host", dest="hostname", help="host name; * and ? are wildcards")
    tail.add_argument("--severity", type=severity_number, help="exactly this one: 0-7 or a name")
    tail.add_argument("--max-severity", type=severity_number, help="this one or more severe")
    tail.add_argument("--transport", choices=[transport.value for transport in Transport])
    tail.add_argument("--rule", dest="rule_id", type=int, metavar="ID", help="decided by this rule")
    tail.add_argument("--team", help="of this team")
    which = tail.add_mutually_exclusive_group()
    which.add_argument("--matched", action="store_true", default=None, help="only matched events")
    which.add_argument(
        "--unmatched", dest="matched", action="store_false", help="only events no rule matched"
    )
    tail.add_argument("--count", type=int, metavar="N", help="stop after N events")
    tail.add_argument("--json", action="store_true", help="one JSON object a line")
    add_client_options(tail)
    tail.set_defaults(command=follow_events)


def follow_events(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show events until interrupted, or until --count of them were shown."""
    palette = Palette(sys.stdout, environ)
    shown = 0

    def show(event: Mapping[str, Any]) -> None:
        nonlocal shown
        line = json.dumps(event) if args.json else event_line(event, palette)
        try:
            sys.stdout.write(f"{line}\n")
            # Line by line even into a pipe: what is followed live must not wait in a buffer.
            sys.stdout.flush()
        except BrokenPipeError as exc:
            # Our reader left, not our server: that is no reason to connect again.
            raise _Enough from exc
        shown += 1
        if shown == args.count:
            raise _Enough

    def remark(text: str) -> None:
        sys.stderr.write(f"muttd: {printable(text)}\n")

    wanted = {name: getattr(args, name) for name in _FILTER if getattr(args, name) is not None}
    server = Server(base_url(args.url), find_key(args, environ), find_trust(args, environ))
    tail = Tail(server, wanted, show=show, remark=remark)
    with suppress(_Enough):
        trio.run(_follow_while_read, tail)
    return EX_OK


async def _follow_while_read(tail: Tail) -> None:
    """Follow until our reader leaves, which no event may tell for hours."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch_reader, sys.stdout)
            await tail.follow()
    except BaseExceptionGroup as group:
        raise sole(group) from None


async def _watch_reader(stream: TextIO) -> None:
    try:
        poll = select.poll()
        # POLLERR comes unasked: nobody holds the reading end (poll(2)).
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):
        # No file at all; nor will anybody leave.
        return
    while True:
        # wait_readable would say nothing: on a writing end there is nothing to be read.
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            raise _Enough
        await trio.sleep(_READER_CHECK_S)
