"""The daemon beside rsyslogd and snmptrapd, the same load in one run: CPU time and its ratios.

    PYTHONPATH=.:tests:bench python bench/compare.py [--count 100000] [--rate 30000]

Needs rsyslog, rsyslog-hiredis, rsyslog-pgsql and snmptrapd. Each line is CPU seconds per 100 000
events of the program and its Redis and PostgreSQL, until the last event is stored. The peers take
all they are sent into memory and work it off; what they lost is printed.

rsyslogd gets what the daemon does as far as it goes: it parses, puts every message into Redis,
tries 1 000 conditions one after the other and inserts rows with two indexes.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import end_to_end
from peers import Peer, Work, rsyslogd, snmptrapd
from process_costs import cpu_s, load_average
from sender import Order, send
from stage_match import rule

# Peers that stand still for so long have lost the rest.
_STILL_S = 10.0
_LOOK_S = 0.5


def measure_peer(name: str, peer: Peer, order: Order) -> float:
    """CPU seconds per 100 000 events that it got through."""
    before: dict[str, float] = {}

    def begin() -> None:
        before.update({name: cpu_s(pid) for name, pid in peer.pids.items()})

    told = send(order, begin)
    done, still_since = peer.done(), time.monotonic()
    while done < order.count and time.monotonic() - still_since < _STILL_S:
        time.sleep(_LOOK_S)
        now = peer.done()
        if now != done:
            done, still_since = now, time.monotonic()
    took_s = time.time() - told["started"]
    costs = {n: (cpu_s(pid) - before[n]) * 1e5 / max(1, done) for n, pid in peer.pids.items()}
    shown = ", ".join(f"{n} {spent:.2f}" for n, spent in costs.items())
    print(f"-- {name}; load {load_average()}")
    print(
        f"CPU             {sum(costs.values()):.2f} s per 100 000 events: {shown};"
        f" {done / took_s:,.0f}/s, lost {order.count - done}",
        flush=True,
    )
    return sum(costs.values())


@contextmanager
def running_rsyslogd(rule_count: int, *, has_rows: bool) -> Iterator[Peer]:
    """With servers of its own."""
    source = random.Random(1)
    rules = [rule(number, source) for number in range(max(0, rule_count - 2))]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis, postgres, url = stack.enter_context(end_to_end.clustered())
        work = Work(
            rules=rules,
            redis=redis,
            postgres=postgres if has_rows else None,
            database=url if has_rows else None,
        )
        yield stack.enter_context(rsyslogd(directory, work))


def measure_daemon(args: argparse.Namespace, **what: object) -> float:
    """The same of the daemon, everything else checked and printed."""
    run = {"mode": "clustered", "rules": 1000, "idle": 0.0, "queue_only": False}
    run |= {"count": args.count, "rate": args.rate} | what
    held, total = end_to_end.run_once(argparse.Namespace(**run))
    sys.stdout.flush()
    if not held:
        raise SystemExit("the daemon lost or doubled events")
    return total


def compare_syslog(args: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """By what is compared: the daemon's and the peer's."""
    order = {"input": "udp", "count": args.count, "rate": args.rate}
    full = measure_daemon(args, input="udp")
    queued = measure_daemon(args, input="udp", queue_only=True)
    costs = {}
    for rule_count, has_rows in ((1000, True), (0, True), (0, False)):
        with running_rsyslogd(rule_count, has_rows=has_rows) as peer:
            to = "Redis and PostgreSQL" if has_rows else "Redis alone"
            name = f"rsyslogd, udp to {to}, {rule_count} conditions"
            costs[rule_count, has_rows] = measure_peer(name, peer, Order(port=peer.port, **order))
    return {
        "1 000 rules, Redis and PostgreSQL (goal 0.15)": (full, costs[1000, True]),
        "the same, rsyslogd without conditions (goal 0.35)": (full, costs[0, True]),
        "the queue alone (goal 2)": (queued, costs[0, False]),
    }


def compare_traps(args: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """By version: the daemon's and snmptrapd's."""
    found = {}
    for version in ("trap-v2c", "trap-v3"):
        ours = measure_daemon(args, input=version)
        queued = measure_daemon(args, input=version, queue_only=True)
        with tempfile.TemporaryDirectory() as directory, snmptrapd(Path(directory)) as peer:
            order = Order(input=version, port=peer.port, count=args.count, rate=args.rate)
            theirs = measure_peer(f"snmptrapd, {version} to a file", peer, order)
        found[f"{version}, rules and rows beside a file (goal 0.6)"] = (ours, theirs)
        found[f"{version}, the queue alone beside a file"] = (queued, theirs)
    return found


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=30_000)
    parser.add_argument("--only", choices=("syslog", "traps"))
    args = parser.parse_args()
    found = {}
    if args.only != "traps":
        found |= compare_syslog(args)
    if args.only != "syslog":
        found |= compare_traps(args)
    print("-- ratios of CPU time, daemon / peer")
    for name, (ours, theirs) in found.items():
        print(f"{name:58} {ours:6.2f} / {theirs:6.2f} = {ours / theirs:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
