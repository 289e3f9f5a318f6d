"""Dry runs over many stored events: seconds of the clock and of the processor, by kind of rule.

    python bench/dry_run.py [EVENTS] [--postgres] [--rules RULES]

1000000 events and 1000 rules unless told otherwise, both as in stage_match.py: the last rule
matches one event in five. --postgres makes a PostgreSQL of its own, and tells its CPU time from
ours.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from servers.postgres_server import database, postgres_server
from stage_match import a_rule, event, rule
from stage_store import START, Server

from muttd.decision import AlertState, Decided
from muttd.event_ids import EventIds
from muttd.rules.compile import compile_rules
from muttd.rules.dry_run import DryRun
from muttd.rules.engine import RuleSet
from muttd.rules.model import MatchType, Rule, RuleBook
from muttd.rules.validate import draft_rule
from muttd.store.contract import Store
from muttd.store.postgres import open_postgres_store
from muttd.store.postgres_options import PostgresOptions
from muttd.store.sqlite import open_store
from muttd.web.api.dry_run import Scan

BATCH_EVENTS = 1024
# As many different events; each is stored many times.
DIFFERENT = 20_000

DRAFTS: dict[str, dict[str, Any]] = {
    "contains, rare": {"match_string": "port 4711 ssh2"},
    "contains, 1 in 5": {"match_string": "Failed password"},
    "contains, not ASCII": {"match_string": "é"},
    "regex with a literal": {
        "match_type": "regex",
        "match_string": r"killed process \d+ \(k\w+\)",
    },
    "regex without one": {"match_type": "regex", "match_string": r"\d{5} [a-e]{4}\b"},
    "OID": {"trap_oid": "1.3.6.1.4.1.77"},
    "one host": {"host_pattern": "sw77.example.net"},
    "network": {"host_pattern": "10.3.0.0/16", "match_string": "out of memory"},
    "severity alone": {"syslog_severity": 1},
    "everything": {"syslog_severity": 7, "severity_op": "at_least"},
}
FIXED = {"name": "draft", "prod_handling": "Page_only", "dev_handling": "Log_only"}


def decided(count: int, rule_set: RuleSet) -> Iterator[Decided]:
    source, ids = random.Random(2), EventIds()
    patterns = []
    for number in range(min(count, DIFFERENT)):
        made = event(number, source)
        line = f"<189>Mar  3 19:57:17 {made.hostname} {made.app_name}: {made.message}"
        patterns.append(Decided(replace(made, raw=line.encode()), rule_set.decide(made)))
    for number in range(count):
        pattern = patterns[number % DIFFERENT]
        received_at = START + timedelta(microseconds=50 * number)
        stored = replace(pattern.event, event_id=ids.next(), received_at=received_at)
        yield Decided(stored, pattern.decision)


def some_rules(count: int) -> list[Rule]:
    source = random.Random(1)
    rules = [rule(number, source) for number in range(1, count)]
    return [*rules, a_rule(count, MatchType.CONTAINS, "changed state to down", None)]


async def measure(store: Store, count: int, rule_set: RuleSet, server: Server | None) -> None:
    source = decided(count, rule_set)
    while batch := list(itertools.islice(source, BATCH_EVENTS)):
        await store.record(batch, [], AlertState.QUEUED)
    end = START + timedelta(microseconds=50 * count)
    # The first who reads all of what was just written pays for that, and not for the dry run.
    await store.count_events(start=START, end=end)
    for name, values in DRAFTS.items():
        draft = draft_rule({**FIXED, "team_assignment": "NETO", **values})
        began, began_cpu = time.perf_counter(), time.process_time()
        began_server = server.cpu_s() if server else 0.0
        run = DryRun(draft, rule_set)
        scan = Scan(store, run, start=START, end=end)
        await scan.go(within_s=600)
        scanned = await scan.count()
        wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        theirs = f" + server {server.cpu_s() - began_server:5.2f}" if server else ""
        print(
            f"{name:22} {wall:6.2f} s, CPU {cpu:5.2f}{theirs};"
            f" {run.outcome().matched} of {scanned} match",
            flush=True,
        )


async def on_sqlite(count: int, rule_set: RuleSet) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        async with open_store(Path(scratch) / "store.db") as store:
            await measure(store, count, rule_set, None)


async def on_postgres(count: int, rule_set: RuleSet) -> None:
    settings = {"shared_buffers": "'512MB'", "max_wal_size": "'2GB'"}
    with postgres_server(settings=settings) as server, database(server) as url:
        async with open_postgres_store(PostgresOptions(url=url)) as store:
            await measure(store, count, rule_set, Server(server.pid))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("events", type=int, nargs="?", default=1_000_000)
    arguments.add_argument("--postgres", action="store_true")
    arguments.add_argument("--rules", type=int, default=1000)
    chosen = arguments.parse_args()
    book = RuleBook(revision=1, rules=tuple(some_rules(chosen.rules)))
    trio.run(on_postgres if chosen.postgres else on_sqlite, chosen.events, compile_rules(book))
