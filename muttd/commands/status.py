"""muttd status: what a person asks first, from GET /api/v2/status.

what is wrong, what comes in, what the queue holds, what the rules did, what went out; each
listener; each daemon of the cluster
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import EX_OK
from muttd.commands.terminal import Palette, age, table
from muttd.logs import printable

_LISTENER_COLUMNS = (
    "name",
    "address",
    "received",
    "queued",
    "refused",
    "dropped",
    "kernel_dropped",
    "malformed",
    "connections",
)
_PEER_HEAD = (
    "DAEMON",
    "INSTANCE",
    "VERSION",
    "STATE",
    "RECEIVED/S",
    "LAG S",
    "RECEIVED",
    "LOST",
    "SPOOLED",
    "DOWN",
)
_MIB = 1024 * 1024
_PEER_RECENT_S = 15.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command."""
    status = commands.add_parser("status", help="rates, depths, losses and deliveries of a daemon")
    status.add_argument("--json", action="store_true", help="for a machine")
    add_client_options(status)
    status.set_defaults(command=show_status)


def show_status(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Ask and show."""
    with open_client(args, environ) as client:
        status = client.call("GET", "/api/v2/status")
    if args.json:
        sys.stdout.write(json.dumps(status, indent=2) + "\n")
    else:
        sys.stdout.write(render_status(status, Palette(sys.stdout, environ)))
    return EX_OK


def render_status(status: Mapping[str, Any], palette: Palette) -> str:
    """The status document as text."""
    lines = [*_troubles(status, palette), *_pipeline(status, palette)]
    tables = [_listeners(status)]
    peers = status.get("peers", ())
    if len(peers) > 1:
        tables.append(_peers(peers))
    return "\n".join(["\n".join(lines) + "\n", *tables])


def _troubles(status: Mapping[str, Any], palette: Palette) -> Iterator[str]:
    daemon = status["daemon"]
    state = palette.paint(daemon["state"], "green" if daemon["state"] == "running" else "yellow")
    yield f"{daemon['name']}  muttd {daemon['version']}  {state} for {age(daemon['uptime_s'])}"
    for warning in status["warnings"]:
        yield palette.paint(printable(f"WARNING    {warning}"), "red")
    for name, dependency in status["dependencies"].items():
        if not dependency["ok"]:
            yield palette.paint(printable(f"DOWN       {name}: {dependency['error']}"), "red")


def _pipeline(status: Mapping[str, Any], palette: Palette) -> Iterator[str]:
    rates, queue, rules = status["rates"], status["queue"], status["rules"]
    yield (
        f"received   {rates['received_per_s_1m']:.1f}/s over 1 min, "
        f"{rates['received_per_s_15m']:.1f}/s over 15 min, "
        f"{rates['received_per_s_1h']:.1f}/s over 1 h"
    )
    for name in ("ingest", "alert"):
        depth = queue[name]
        oldest = depth["oldest_age_s"]
        if depth["items"] is None:
            yield f"{name:<7}    not known: the queue does not answer"
            continue
        waits = f", the oldest for {age(oldest)}" if depth["items"] else ""
        limit = f" of at most {queue['limit']}" if name == "ingest" else ""
        yield f"{name:<7}    {depth['items']} waiting{limit}{waits}"
    if spool := status.get("spool"):
        yield _spool(spool, palette)
    counts = status["pipeline"]
    yield f"rules      {rules['active']} active, revision {rules['revision']}"
    buried = f"{counts['buried']} buried"
    yield (
        f"decided    {counts['matched']} matched, {counts['unmatched']} unmatched, "
        + (palette.paint(buried, "red") if counts["buried"] else buried)
    )
    yield from _destinations(status, palette)


def _destinations(status: Mapping[str, Any], palette: Palette) -> Iterator[str]:
    # A daemon from before there were several says only what its one forwarder does.
    rows = status.get("destinations") or [status["forwarder"]]
    for row in rows:
        where = row.get("name") or row["destination"] or "no webhook is set"
        breaker = row.get("breaker")
        state = row["state"]
        if state == "open" and breaker is not None:
            state = f"open after {breaker['failures']} failures, next try in"
            state += f" {age(breaker['probe_in_s'])}"
        if row["state"] in ("held", "open"):
            state = palette.paint(state, "red")
        dead = f"{row['dead']} dead"
        waiting = f", {row['waiting']} waiting" if row.get("waiting") else ""
        yield (
            f"forwarder  {where}: {state}{waiting}, {row['delivered']} delivered, "
            f"{row['retried']} retried, " + (palette.paint(dead, "red") if row["dead"] else dead)
        )
        if row["last_error"]:
            yield palette.paint(printable(f"           {row['last_error']}"), "yellow")


def _spool(spool: Mapping[str, Any], palette: Palette) -> str:
    used = f"{spool['octets'] / _MIB:.1f} of {spool['limit_octets'] / _MIB:.0f} MiB"
    if not spool["since"]:
        return f"spool      empty, {used}"
    waits = f"spool      {spool['events']} events wait on disk since {spool['since']}, {used}"
    return palette.paint(waits, "yellow")


def _peer_state(peer: Mapping[str, Any]) -> str:
    if peer["is_silent"]:
        return f"silent for {age(peer['seen_s'])}"
    # With the queue away nobody is heard of, and nobody is silent by his own fault.
    if peer["seen_s"] > _PEER_RECENT_S:
        return f"seen {age(peer['seen_s'])} ago"
    return str(peer["state"])


def _peers(peers: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for peer in peers:
        lost = peer["listeners"]["dropped"] + peer["listeners"]["kernel_dropped"]
        broken = [name for name, each in peer["dependencies"].items() if not each["ok"]]
        rows.append(
            [
                peer["name"],
                peer["instance_id"],
                peer["version"],
                _peer_state(peer),
                f"{peer['received_per_s_1m']:.1f}",
                f"{peer['lag_s']:.1f}",
                peer["listeners"]["received"],
                lost,
                peer["spooled_events"],
                "not known" if peer["is_silent"] else ", ".join(broken) or "none",
            ]
        )
    return table(_PEER_HEAD, rows)


def _listeners(status: Mapping[str, Any]) -> str:
    head = [column.upper().replace("_", " ") for column in _LISTENER_COLUMNS]
    rows = [[one.get(column) for column in _LISTENER_COLUMNS] for one in status["listeners"]]
    return table(head, rows)
