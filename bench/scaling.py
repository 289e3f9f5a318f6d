r"""One, two and four daemons that share a port, Redis and PostgreSQL: measured beside a model.

    PYTHONPATH=.:tests:bench python bench/scaling.py [--daemons 1 2 4] [--rules 1000] \
        [--rate 40000] [--count 200000] [--repeat 2]

What one daemon, Redis and PostgreSQL need for an event is measured with one daemon, in a backlog;
from that the model says what N of them do, and N of them are measured:

    throughput(N) = u * min(N / d, 1 / r, C / (d + r + p + s))

    u            the share of its processor that one daemon uses when it has all it wants of it: the
                 rest of the time it waits for Redis and PostgreSQL
    d, r, p, s   seconds of CPU an event takes in the daemon, Redis, PostgreSQL, and the sender
    N / d        a daemon decides on one processor
    1 / r        Redis executes commands on one
    C            processors of the host on which all of them run, less what others use meanwhile

With every part on a host of its own, s is nothing and each has processors of its own:
u * min(N / d, 1 / r, processors of PostgreSQL / p).

Exits 1 when an event is missing or stored twice.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from end_to_end import clustered, row_of, write_rules
from end_to_end_books import PostgresBooks, ranges_of
from process_costs import busy_s, cpu_s, load_average, peak_mib
from running_daemon import RunningDaemon, scripted_webhook
from sender import Order, send
from servers.postgres_server import PostgresServer
from servers.redis_server import RedisServer

# So many that the kernel's choice, which is by chance, is nearly even.
SOURCE_PORTS = 256
# What is sent faster than it is taken waits here: the rates are those of a backlog.
BUFFER_OCTETS = 1 << 28
_SETTLE_S = 600
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of CPU that one event takes."""

    daemon: float
    redis: float
    postgres: float
    sender: float

    @property
    def total(self) -> float:
        """Of all of them."""
        return self.daemon + self.redis + self.postgres + self.sender


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it cost, how fast it was.

    Attributes:
        costs: Per event.
        daemons: What each daemon used for 100 000 events of all.
        per_s: Events stored a second, from the first that was sent to the last that was stored.
        free_cores: Processors that others left.
        is_whole: Nothing is missing, nothing is doubled.
    """

    costs: Costs
    daemons: list[float]
    per_s: float
    free_cores: float
    is_whole: bool

    @property
    def share(self) -> float:
        """What it used of one processor: of interest where there is one daemon."""
        return self.per_s * self.costs.daemon


def predict(count: int, alone: Run, cores: float) -> tuple[float, str]:
    """Events a second of so many daemons, from what one does; and what keeps them from more."""
    costs = alone.costs
    limits = {
        "daemons": count / costs.daemon,
        "Redis": 1 / costs.redis,
        "processors": cores / costs.total,
    }
    name = min(limits, key=limits.__getitem__)
    return alone.share * limits[name], name


class Farm:
    """Daemons on one port and what they lean on."""

    def __init__(self, stack: ExitStack, count: int, rules: int) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        webhook = stack.enter_context(scripted_webhook())
        self._redis, self._postgres, url = stack.enter_context(clustered())
        self.books = PostgresBooks(self._postgres.url(url.rpartition("/")[2]))
        environ = {
            "MUTTD_REDIS_URL": self._redis.url(),
            "MUTTD_DATABASE_URL": url,
            "MUTTD_REUSE_PORT": "true",
            "MUTTD_UDP_RECEIVE_BUFFER_OCTETS": str(BUFFER_OCTETS),
            "MUTTD_QUEUE_MAX_EVENTS": "20000000",
            "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
            "MUTTD_MOOG_RATE_LIMIT": "5000",
        }
        self.daemons: list[RunningDaemon] = []
        port = 0
        for number in range(count):
            own = {"MUTTD_DAEMON_NAME": f"bench-{number}", "MUTTD_SYSLOG_UDP": f"[::]:{port}"}
            daemon = RunningDaemon(directory / str(number), environ | own)
            stack.callback(daemon.kill)
            self.daemons.append(daemon.wait_ready())
            port = daemon.ports["syslog_udp"]
        write_rules(self.daemons[0], rules)
        # The others have them within a second.
        time.sleep(3)

    @property
    def servers(self) -> tuple[RedisServer, PostgresServer]:
        """Redis and PostgreSQL."""
        return self._redis, self._postgres

    def spent(self) -> list[float]:
        """CPU seconds of Redis, PostgreSQL and each daemon."""
        pids = [each.pid for each in self.servers]
        pids += [daemon.process.pid for daemon in self.daemons]
        return [cpu_s(pid) for pid in pids]

    def wait_settled(self, sent: int) -> None:
        """Wait until nothing is under way any more."""
        deadline = time.monotonic() + _SETTLE_S
        while not self._is_settled(sent):
            if time.monotonic() > deadline:
                raise SystemExit("never done")
            # Seldom: what asks for the status is a part of the load.
            time.sleep(_LOOK_S)

    def _is_settled(self, sent: int) -> bool:
        seen = waiting = 0
        for daemon in self.daemons:
            status = daemon.get("/api/v2/status")
            row = row_of(status, "syslog_udp")
            seen += row["queued"] + row["dropped"] + row["refused"] + (row["kernel_dropped"] or 0)
            waiting += status["intake"]["waiting_events"] + status["queue"]["ingest"]["items"]
        return seen >= sent and not waiting


def run_once(args: argparse.Namespace, count: int) -> Run:
    """Send to so many daemons and see what becomes of it."""
    with ExitStack() as stack:
        farm = Farm(stack, count, args.rules)
        before: list[float] = []
        began: list[float] = []

        def begin() -> None:
            before.extend(farm.spent())
            began.extend((time.time(), busy_s()))

        order = Order(
            input="udp",
            port=farm.daemons[0].ports["syslog_udp"],
            count=args.count,
            rate=args.rate,
            ports=SOURCE_PORTS,
        )
        told = send(order, begin)
        farm.wait_settled(args.count)
        used = [after - earlier for earlier, after in zip(before, farm.spent(), strict=True)]
        others_s = busy_s() - began[1] - sum(used) - told["cpu_s"]
        free_cores = (os.cpu_count() or 1) - max(0.0, others_s) / (time.time() - began[0])
        books = farm.books.read(args.count)
        if books.missing or books.doubled:
            print(f"missing {ranges_of(books.missing)}, doubled {books.doubled}")
        redis, postgres, *daemons = (each / args.count for each in used)
        run = Run(
            Costs(sum(daemons), redis, postgres, told["cpu_s"] / args.count),
            [each * 1e5 for each in daemons],
            books.rows / (max(moment for _, moment in books.times) - told["started"]),
            free_cores,
            not books.missing and not books.doubled,
        )
        memory = max(peak_mib(daemon.process.pid) for daemon in farm.daemons)
        print_run(count, run, memory)
        return run


def print_run(count: int, run: Run, memory: float) -> None:
    """What was seen."""
    costs = run.costs
    each = " + ".join(f"{spent:.2f}" for spent in run.daemons)
    print(
        f"-- {count} daemon{'s' if count > 1 else ''}, load {load_average()},"
        f" {run.free_cores:.2f} processors left by others\n"
        f"   {run.per_s:,.0f}/s to stored rows; CPU s per 100 000 events:"
        f" daemons {each}, Redis {costs.redis * 1e5:.2f}, PostgreSQL {costs.postgres * 1e5:.2f},"
        f" sender {costs.sender * 1e5:.2f}; {memory:.0f} MiB at most"
    )


def best_of(args: argparse.Namespace, count: int) -> Run:
    """The cheapest of some runs: what others do on the machine only ever makes it dearer."""
    runs = [run_once(args, count) for _ in range(args.repeat)]
    assert all(run.is_whole for run in runs), "an event is missing or doubled"
    return min(runs, key=lambda run: run.costs.total)


def main() -> int:
    """Measure one daemon, predict the others, measure them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--daemons", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=40_000)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    runs = {count: best_of(args, count) for count in sorted({1, *args.daemons})}
    print("\n| daemons | predicted | by | measured | error |\n|---|---|---|---|---|")
    alone = runs.pop(1)
    print(f"| 1 | | | {alone.per_s:,.0f}/s | |")
    for count, run in runs.items():
        expected, limit = predict(count, alone, run.free_cores)
        error = run.per_s / expected - 1
        print(f"| {count} | {expected:,.0f}/s | {limit} | {run.per_s:,.0f}/s | {error:+.0%} |")
    costs, share = alone.costs, alone.share
    print(f"\nu = {share:.2f}; on hosts of their own, events a second:")
    print(f"   a daemon {share / costs.daemon:,.0f}")
    print(f"   Redis {share / costs.redis:,.0f}, {costs.daemon / costs.redis:.1f} daemons")
    print(f"   PostgreSQL {share / costs.postgres:,.0f} for each of its processors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
