r"""From the wire to stored rows and to the webhook: rate, CPU time, delay, memory, losses.

    PYTHONPATH=.:tests:bench python bench/end_to_end.py udp --mode clustered --rules 1000 \
        --rate 10000 --count 200000 [--repeat 3] [--idle 20] [--queue-only]

A daemon, Redis (AOF everysec), PostgreSQL (fsync on) and the sender (wire_load.py), each a process
of its own. One event in five is matched by the last of the rules, one in a thousand pages. With
--queue-only the store hangs while events are sent, so that the figures are of the durable queue
alone; then it comes back, and all of it has to be stored. Exits 1 when an event is missing or
stored twice.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from end_to_end_books import PostgresBooks, SqliteBooks, ranges_of
from process_costs import cpu_s, load_average, peak_mib, resident_mib
from running_daemon import (
    RunningDaemon,
    ScriptedWebhook,
    WebhookCall,
    a_rule,
    eventually,
    scripted_webhook,
)
from sender import Order, send
from servers.certificates import make_party
from servers.postgres_server import PostgresServer, database, postgres_server
from servers.redis_server import RedisServer, RedisSetup, redis_server
from stage_match import rule
from wire_load import INPUTS, MATCHED, PAGED, TRAP_USER

from muttd.rules.model import Rule

POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "'512MB'",
    "max_wal_size": "'2GB'",
    "track_commit_timestamp": "on",
}
REDIS = {"appendonly": "yes", "appendfsync": "everysec"}
LISTENERS = {
    "udp": "syslog_udp",
    "tcp": "syslog_tcp",
    "tls": "syslog_tls",
    "http": "http",
    "ndjson": "http",
    "trap-v2c": "snmp",
    "trap-v3": "snmp",
}
_NUMBER = re.compile(rb"seq=(\d{9})")
_SETTLE_S = 600
_LOOK_S = 0.2
_QUIET_S = 10.0


@dataclass
class Site:
    """A daemon and what it leans on."""

    daemon: RunningDaemon
    webhook: ScriptedWebhook
    delivered: list[tuple[int, float]]
    books: PostgresBooks | SqliteBooks
    servers: dict[str, int]
    postgres: PostgresServer | None
    ca: Path | None

    def costs(self) -> dict[str, float]:
        """CPU seconds of each so far."""
        pids = {"daemon": self.daemon.process.pid, **self.servers}
        return {name: cpu_s(pid) for name, pid in pids.items()}


@contextmanager
def clustered() -> Iterator[tuple[RedisServer, PostgresServer, str]]:
    """Redis, PostgreSQL and the URL of a database there."""
    with (
        redis_server(RedisSetup(settings=REDIS)) as redis,
        postgres_server(settings=POSTGRES) as postgres,
        database(postgres) as url,
    ):
        yield redis, postgres, url


@contextmanager
def running_site(args: argparse.Namespace) -> Iterator[Site]:
    """Start everything; nothing outlives the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        webhook = stack.enter_context(scripted_webhook())
        delivered: list[tuple[int, float]] = []

        def answer(call: WebhookCall) -> tuple[int, dict[str, str], str]:
            if found := _NUMBER.search(call.octets):
                delivered.append((int(found[1]), time.time()))
            return 200, {}, "{}"

        webhook.answer = answer
        users = directory / "users"
        users.touch(0o600)
        users.write_text(TRAP_USER)
        environ = {
            "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
            "MUTTD_MOOG_RATE_LIMIT": "5000",
            "MUTTD_SNMP_COMMUNITIES": "public",
            "MUTTD_SNMP_USERS_FILE": str(users),
            "MUTTD_QUEUE_MAX_EVENTS": "20000000",
        }
        state_dir, servers, ca, postgres = directory / "state", {}, None, None
        books: PostgresBooks | SqliteBooks = SqliteBooks(state_dir / "store.db")
        if args.mode == "clustered":
            redis, postgres, url = stack.enter_context(clustered())
            environ |= {"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": url}
            servers = {"redis": redis.pid, "postgres": postgres.pid}
            books = PostgresBooks(postgres.url(url.rpartition("/")[2]))
        if args.input == "tls":
            party = make_party(directory)
            ca = party.ca.cert
            environ |= {
                "MUTTD_TLS_CERT": str(party.server.cert),
                "MUTTD_TLS_KEY": str(party.server.key),
                "MUTTD_TLS_CA": str(ca),
                "MUTTD_SYSLOG_TLS": "[::]:0",
                "MUTTD_SYSLOG_TLS_CLIENT_CERT": "none",
                "MUTTD_HTTP_TLS": "off",
            }
        daemon = RunningDaemon(state_dir, environ)
        stack.callback(daemon.kill)
        daemon.wait_ready()
        write_rules(daemon, args.rules)
        yield Site(daemon, webhook, delivered, books, servers, postgres, ca)


def write_rules(daemon: RunningDaemon, count: int, *, within_s: float = 60.0) -> None:
    """As many as that: those of stage_match.py, and last the two that match."""
    source = random.Random(1)
    rules = [_as_json(rule(number, source)) for number in range(max(0, count - 2))]
    if count:
        rules.append(a_rule(name="one in five", match_string=MATCHED, prod_handling="Log_only"))
        rules.append(a_rule(name="one in a thousand", match_string=PAGED))
        daemon.post("/api/v2/rules/import", {"rules": rules})
        # In force within a second; compiled by then, or nearly.
        eventually(
            lambda: daemon.get("/api/v2/status")["rules"],
            lambda rules: rules["active"] == count,
            within_s=within_s,
        )


def _as_json(made: Rule) -> dict[str, Any]:
    names = ("name", "match_type", "match_string", "trap_oid", "team_assignment")
    handling = {"prod_handling": "Log_only", "dev_handling": "Log_only"}
    return {name: getattr(made, name) for name in names} | handling


def send_to(args: argparse.Namespace, site: Site) -> dict[str, Any]:
    """Let the sender send; what it wrote down, and what everybody had used before."""
    before: dict[str, float] = {}

    def begin() -> None:
        if site.postgres is not None and args.queue_only:
            site.postgres.suspend()
        before.update(site.costs())

    order = Order(
        input=args.input,
        port=site.daemon.ports[LISTENERS[args.input]],
        count=args.count,
        rate=args.rate,
        key=site.daemon.key("ingest"),
        ca=site.ca,
    )
    return {**send(order, begin), "before": before}


def row_of(status: dict[str, Any], listener: str) -> dict[str, Any]:
    """A listener's part of the status document."""
    return next(each for each in status["listeners"] if each["name"] == listener)


def settled(status: dict[str, Any], listener: str, sent: int, *, is_queued: bool) -> bool:
    """Whether nothing is under way any more."""
    row = row_of(status, listener)
    seen = row["queued"] + row["dropped"] + row["refused"]
    seen += row["kernel_dropped"] or 0
    waiting = status["intake"]["waiting_events"]
    waiting += 0 if is_queued else status["queue"]["ingest"]["items"]
    return seen >= sent and not waiting


def run_once(args: argparse.Namespace) -> tuple[bool, float]:
    """One run, printed; whether nothing was lost, and all CPU seconds per 100 000 events."""
    with running_site(args) as site:
        if args.idle:
            measure_idle(site, args.idle)
        site.books.start()
        told = send_to(args, site)
        listener = LISTENERS[args.input]
        sent = args.count - len(told["refused"])

        def wait(*, is_queued: bool) -> dict[str, Any]:
            deadline = time.monotonic() + _SETTLE_S
            # Seldom: what asks for the status is a part of the load.
            while not settled(
                status := site.daemon.get("/api/v2/status"), listener, sent, is_queued=is_queued
            ):
                if time.monotonic() > deadline:
                    raise SystemExit(f"never done: {status}")
                time.sleep(_LOOK_S)
            return status

        status = site.daemon.get("/api/v2/status")
        behind = status["queue"]["ingest"]["items"] + status["intake"]["waiting_events"]
        status = wait(is_queued=args.queue_only)
        costs = {name: spent - told["before"][name] for name, spent in site.costs().items()}
        if args.queue_only and site.postgres is not None:
            site.postgres.resume()
            status = wait(is_queued=False)
        told |= {"status": status, "behind": behind, "costs": costs, "drained": time.time()}
        return print_run(args, site, told)


def print_run(args: argparse.Namespace, site: Site, told: Mapping[str, Any]) -> tuple[bool, float]:
    """Everything; whether nothing was lost, and all CPU seconds per 100 000 events."""
    books = site.books.read(args.count)
    row = row_of(told["status"], LISTENERS[args.input])
    memory = peak_mib(site.daemon.process.pid)
    print_title(args)
    sending_s = told["ended"] - told["started"]
    drained_s = told["drained"] - told["ended"]
    stored_per_s = books.rows / (sending_s + drained_s)
    print(f"sent            {args.count} in {sending_s:.1f} s ({args.count / sending_s:,.0f}/s)")
    print(
        f"sustained       {stored_per_s:,.0f}/s to stored rows;"
        f" {told['behind']} waited at the end, drained {drained_s:.1f} s later"
    )
    total = print_costs(args, told["costs"], told["cpu_s"])
    print(f"wire to row     {delays_of(told, books.times)}")
    print(f"wire to webhook {delays_of(told, site.delivered)} of {len(site.delivered)}")
    print(f"memory          {memory:.0f} MiB at most")
    unfit = {name: row[name] for name in ("received", "dropped", "kernel_dropped", "malformed")}
    print(f"listener        {unfit}, refused {row['refused']}")
    held = not books.missing and not books.doubled
    print(
        f"stored          {books.rows}, missing {len(books.missing)}"
        f" {ranges_of(books.missing)}, doubled {books.doubled}"
    )
    return held, total


def print_title(args: argparse.Namespace) -> None:
    """What is measured, and beside what."""
    print(
        f"-- {args.input}, {args.mode}, {args.rules} rules, {args.rate}/s asked for"
        f"{', the queue alone' if args.queue_only else ''}; load {load_average()}"
    )


def print_costs(args: argparse.Namespace, costs: dict[str, float], sender_s: float) -> float:
    """CPU seconds per 100 000 events; those of all but the sender."""
    each = {name: spent * 1e5 / args.count for name, spent in costs.items()}
    total = sum(each.values())
    shown = ", ".join(f"{name} {spent:.2f}" for name, spent in each.items())
    print(
        f"CPU             {total:.2f} s per 100 000 events: {shown}"
        f" (sender {sender_s * 1e5 / args.count:.2f})"
    )
    return total


def delays_of(told: dict[str, Any], times: list[tuple[int, float]]) -> str:
    """p50, p99 and the longest."""
    sent_at, chunk = told["times"], told["chunk"]
    delays = sorted(moment - sent_at[number // chunk] for number, moment in times)
    if not delays:
        return "none"
    p50, p99 = (delays[int(len(delays) * share)] for share in (0.5, 0.99))
    return f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, longest {delays[-1] * 1e3:.0f} ms"


def measure_idle(site: Site, seconds: float) -> None:
    """What it uses when nobody sends anything, and the start and its rules are done with."""
    time.sleep(_QUIET_S)
    before = site.costs()
    time.sleep(seconds)
    shares = {name: (spent - before[name]) / seconds for name, spent in site.costs().items()}
    shown = ", ".join(f"{name} {share * 100:.2f} %" for name, share in shares.items())
    print(
        f"-- idle for {seconds:.0f} s: {shown} of a core, "
        f"{resident_mib(site.daemon.process.pid):.0f} MiB"
    )


def main() -> int:
    """Run it as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", choices=INPUTS)
    parser.add_argument("--mode", choices=("embedded", "clustered"), default="embedded")
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--idle", type=float, default=0.0)
    parser.add_argument("--queue-only", action="store_true")
    args = parser.parse_args()
    if args.queue_only and args.mode != "clustered":
        parser.error("--queue-only stops PostgreSQL: it needs --mode clustered")
    runs = [run_once(args) for _ in range(args.repeat)]
    if args.repeat > 1:
        print(f"-- least CPU of {args.repeat}: {min(total for _, total in runs):.2f} s")
    return 0 if all(held for held, _ in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
