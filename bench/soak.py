r"""A daemon under a steady load for minutes or hours: nothing is lost, grows or drifts.

    PYTHONPATH=.:tests:bench python bench/soak.py clustered --hours 4 --rate 15000
    PYTHONPATH=.:tests:bench python bench/soak.py embedded --minutes 5 --rate 2000
    PYTHONPATH=.:tests:bench python bench/soak.py clustered --seconds 130 --rate 8000 \
        --hosts 10000 --templates 1000000 --window 20

Events are numbered, and taken out of the store some seconds after they came. While it runs a number
that has not been stored after a minute ends it; with --beside-others it and the daemon's start may
take three. Of the time after the first fifth it must hold:

    memory of daemon and Redis, octets of the queue's files    grow by less than GROWTH_MIB (by a
                                                               line fitted to all samples)
    descriptors, threads, keys in Redis, events that wait      at the end no more than at the start
    p99 from the wire to the store                             the last third as the first; not
                                                               judged with --beside-others

The last command is a day of 10 000 hosts and 1 000 000 templates in two minutes: what counts them
towards meta-alerts forgets them after --window seconds, instead of a day.

Exits 1 when anything of that does not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import linear_regression, quantiles

import redis
from end_to_end import clustered, row_of, write_rules
from process_costs import cpu_s, load_average
from running_daemon import RunningDaemon, resident_octets, scripted_webhook
from soak_books import Numbers, PostgresTaker, SqliteTaker, Taker
from soak_load import MARK

GROWTH_MIB = 12.0
# Sockets and threads come and go; a leak is one of them an hour, or one for each event.
MORE_OF_THEM = 3
SAMPLES = 240
# After which an event is taken out, and after which it is lost.
SETTLED_S, LOST_S = 5.0, 60.0
# Beside others, niced, a second of CPU may take twenty: for the start, for the rules, for an event.
PATIENCE_S = 180.0
LATENCIES = 300_000
_MEBI = 1 << 20
_LOAD = Path(__file__).with_name("soak_load.py")


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is of everything at one moment."""

    at_s: float
    daemon_mib: float
    descriptors: int
    threads: int
    waiting_events: int
    redis_mib: float
    redis_keys: int
    queue_files_mib: float


@dataclass
class Site:
    """A daemon, and how to look at it."""

    daemon: RunningDaemon
    taker: Taker
    redis: redis.Redis | None
    pids: dict[str, int]

    def sample(self, at_s: float) -> Sample:
        """Look."""
        status = self.daemon.get("/api/v2/status")
        pid = self.daemon.process.pid
        redis_mib, redis_keys = 0.0, 0
        if self.redis is not None:
            redis_mib = self.redis.info("memory")["used_memory"] / _MEBI
            redis_keys = self.redis.dbsize()
        files = [each for each in self.daemon.state_dir.iterdir() if "store" not in each.name]
        return Sample(
            at_s=at_s,
            daemon_mib=resident_octets(pid) / _MEBI,
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=len(os.listdir(f"/proc/{pid}/task")),
            waiting_events=status["intake"]["waiting_events"] + status["queue"]["ingest"]["items"],
            redis_mib=redis_mib,
            redis_keys=redis_keys,
            queue_files_mib=sum(each.stat().st_size for each in files if each.is_file()) / _MEBI,
        )


@contextmanager
def running_site(args: argparse.Namespace) -> Iterator[Site]:
    """Start everything; nothing outlives the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        webhook = stack.enter_context(scripted_webhook())
        environ = {"MUTTD_MOOG_WEBHOOK_URL": webhook.url, "MUTTD_MOOG_RATE_LIMIT": "5000"}
        if args.window:
            environ["MUTTD_UNHANDLED_WINDOW_SECONDS"] = str(args.window)
        pids: dict[str, int] = {}
        client: redis.Redis | None = None
        if args.mode == "clustered":
            queue, postgres, url = stack.enter_context(clustered())
            environ |= {"MUTTD_REDIS_URL": queue.url(), "MUTTD_DATABASE_URL": url}
            pids = {"redis": queue.pid, "postgres": postgres.pid}
            client = stack.enter_context(queue.client())

        daemon = RunningDaemon(directory / "state", environ)
        stack.callback(daemon.kill)
        daemon.wait_ready(within_s=args.patience)
        write_rules(daemon, args.rules, within_s=args.patience)
        taker: Taker = (
            PostgresTaker(postgres.url(url.rpartition("/")[2]))
            if args.mode == "clustered"
            else SqliteTaker(daemon.state_dir / "store.db")
        )
        stack.callback(taker.close)
        yield Site(daemon, taker, client, {"daemon": daemon.process.pid, **pids})


class Marks:
    """When which number was sent, as the sender writes it down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self.chunk = 1
        self._times: list[float] = []
        self._read_octets = 0

    def refresh(self) -> None:
        """Read what was added."""
        with self.path.open("rb") as file:
            file.seek(self._read_octets)
            octets = file.read()
        octets = octets[: len(octets) - len(octets) % MARK.size]
        self._read_octets += len(octets)
        self._times += [moment for (moment,) in MARK.iter_unpack(octets)]

    @property
    def sent(self) -> int:
        """How many were sent, or are just being sent."""
        return len(self._times) * self.chunk

    def sent_at(self, number: int) -> float:
        """When that one was."""
        return self._times[number // self.chunk]


@dataclass
class Watch:
    """Everything that is written down while it runs."""

    marks: Marks
    stride: int
    numbers: Numbers = field(default_factory=Numbers)
    samples: list[Sample] = field(default_factory=list)
    # (when it was sent, how long it took)
    delays: list[tuple[float, float]] = field(default_factory=list)

    def collect(self, taker: Taker, older_than_s: float) -> None:
        """Take what is stored out of the store and into the books."""
        self.marks.refresh()
        for number in taker.take(older_than_s):
            self.numbers.add(number)
        for number, moment in taker.stored():
            if number % self.stride == 0 and number < self.marks.sent:
                sent_at = self.marks.sent_at(number)
                self.delays.append((sent_at, moment - sent_at))

    def is_lost(self, after_s: float) -> bool:
        """Whether the oldest that is not stored should have been long since."""
        low = self.numbers.low
        return low < self.marks.sent and time.time() - self.marks.sent_at(low) > after_s


def run(site: Site, args: argparse.Namespace, marks: Marks) -> tuple[Watch, dict[str, float]]:
    """Send for as long as asked, looking all the while; then wait for the last of it."""
    watch = Watch(marks, max(1, int(args.rate * args.seconds / LATENCIES)))
    port = site.daemon.ports["syslog_udp"]
    command = [sys.executable, _LOAD, f"127.0.0.1:{port}", "--marks", marks.path]
    for name in ("rate", "seconds", "hosts", "templates"):
        command += [f"--{name}", getattr(args, name)]
    before = {name: cpu_s(pid) for name, pid in site.pids.items()}
    began = time.monotonic()
    with subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        assert sender.stdout is not None
        marks.chunk = int(sender.stdout.readline())
        while sender.poll() is None and not watch.is_lost(args.patience):
            # Seldom: what asks for the status is a part of the load.
            time.sleep(max(1.0, args.seconds / SAMPLES))
            watch.collect(site.taker, SETTLED_S)
            watch.samples.append(site.sample(time.monotonic() - began))
    last_low, last_seen = -1, time.monotonic()
    while watch.numbers.low < marks.sent and time.monotonic() - last_seen < args.patience:
        watch.collect(site.taker, 0.0)
        if watch.numbers.low != last_low:
            last_low, last_seen = watch.numbers.low, time.monotonic()
        time.sleep(0.2)
    spent = {name: cpu_s(pid) - before[name] for name, pid in site.pids.items()}
    return watch, spent


def judge(watch: Watch, listener: dict[str, int], *, is_timed: bool) -> list[str]:
    """What does not hold, in words; prints what was seen."""
    faults = []
    missing = watch.marks.sent - watch.numbers.low - len(watch.numbers.above)
    if missing or watch.numbers.doubled:
        lost = {name: listener[name] for name in ("dropped", "refused", "kernel_dropped")}
        faults.append(f"{missing} missing, {watch.numbers.doubled} doubled; told of: {lost}")
    after = watch.samples[len(watch.samples) // 5 :]
    third = max(1, len(after) // 3)
    print("| what | first third | last third | fitted growth |\n|---|---|---|---|")
    for each in fields(Sample)[1:]:
        values = [getattr(sample, each.name) for sample in after]
        growth = fitted_growth([sample.at_s for sample in after], values)
        first, last = median(values[:third]), median(values[-third:])
        print(f"| {each.name} | {first:,.1f} | {last:,.1f} | {growth:+,.1f} |")
        bound = GROWTH_MIB if each.name.endswith("_mib") else MORE_OF_THEM
        if each.name == "waiting_events":
            # A second's worth more is a matter of when one looks.
            bound = watch.marks.sent / after[-1].at_s
        grown = growth if each.name.endswith("_mib") else last - first
        if grown > bound:
            faults.append(f"{each.name} grew from {first:,.1f} to {last:,.1f} (by {grown:+,.1f})")
    first, last = p99_of_thirds(watch.delays)
    print(f"| p99 wire to store, ms | {first * 1e3:,.0f} | {last * 1e3:,.0f} | |")
    if is_timed and last > 2 * first + 0.05:
        faults.append(f"p99 drifted from {first:.3f} to {last:.3f} s")
    return faults


def fitted_growth(moments: Sequence[float], values: Sequence[float]) -> float:
    """By how much a line through the values rises from the first moment to the last."""
    return linear_regression(moments, values).slope * (moments[-1] - moments[0])


def median(values: Sequence[float]) -> float:
    """The one in the middle."""
    return sorted(values)[len(values) // 2]


def p99_of_thirds(delays: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The 99th percentile of the first third after a fifth, and of the last one."""
    taken = [delay for _, delay in sorted(delays)]
    taken = taken[len(taken) // 5 :]
    third = max(2, len(taken) // 3)
    return quantiles(taken[:third], n=100)[98], quantiles(taken[-third:], n=100)[98]


def main() -> int:
    """Run it, and say what does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("embedded", "clustered"))
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float)
    length.add_argument("--minutes", type=float)
    length.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--templates", type=int, default=0)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--beside-others", action="store_true")
    args = parser.parse_args()
    args.patience = PATIENCE_S if args.beside_others else LOST_S
    args.seconds = args.seconds or (args.minutes or 0) * 60 or (args.hours or 0) * 3600
    with running_site(args) as site:
        marks = Marks(site.daemon.state_dir.parent / "marks")
        watch, spent = run(site, args, marks)
        listener = row_of(site.daemon.get("/api/v2/status"), "syslog_udp")
        each = ", ".join(f"{name} {s * 1e5 / marks.sent:.2f}" for name, s in spent.items())
        print(
            f"-- {args.mode}, {args.rate}/s for {args.seconds:.0f} s: {marks.sent:,} events;"
            f" CPU s per 100 000: {each}; load {load_average()}"
        )
        faults = judge(watch, listener, is_timed=not args.beside_others)
    for fault in faults:
        print(f"DOES NOT HOLD: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
