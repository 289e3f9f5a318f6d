"""What one event takes where it is kept: octets on disk and in memory.

    PYTHONPATH=.:tests:bench python bench/storage.py [--count 100000]

Sends syslog messages of 150 octets by UDP to daemons of its own: to an embedded one and one on
PostgreSQL, half of them before and half after a rule that matches them all was made, and to one
whose PostgreSQL is away, so that they wait in Redis.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from servers.postgres_server import SUPERUSER, database, postgres_server
from servers.redis_server import RedisSetup, redis_server
from udp_conservation import send, start, status

RATE = 10_000
# Port 1 (tcpmux) is nobody's.
AWAY = "postgresql://mutt@127.0.0.1:1/mutt"
RULE = {
    "name": "all",
    "match_string": "interface changed state",
    "prod_handling": "Ticket_only",
    "dev_handling": "Ignore",
    "team_assignment": "NETO",
}
_DEADLINE_S = 120.0


class Running:
    """A daemon that takes messages."""

    def __init__(self, state_dir: Path, **environ: str) -> None:
        self.state_dir = state_dir
        self._process, self._ports = start(state_dir, **environ)
        self._sent = 0

    def take(self, count: int, *, is_waiting: bool = False) -> None:
        """Send so many, and wait until each is stored, or waits in the queue."""
        send(self._ports["syslog_udp"], count, RATE)
        self._sent += count
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            document = status(self._ports, self.state_dir)
            row = next(each for each in document["listeners"] if each["name"] == "syslog_udp")
            is_idle = is_waiting or not document["queue"]["ingest"]["items"]
            if row["queued"] == self._sent and is_idle:
                return
            time.sleep(0.2)
        raise SystemExit(f"after {_DEADLINE_S} s: {row}")

    def make_rule(self) -> None:
        """Match everything from now on."""
        key = (self.state_dir / "admin.key").read_text().strip()
        url = f"http://127.0.0.1:{self._ports['http']}/api/v2/rules"
        headers = {"X-API-KEY": key, "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(RULE).encode(), headers))
        while not status(self._ports, self.state_dir)["rules"]["active"]:
            time.sleep(0.1)

    def end(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()


def files_octets(state_dir: Path) -> int:
    """Of the store's file, with what was not moved into it yet."""
    return sum(path.stat().st_size for path in state_dir.glob("store.db*"))


def both_kinds(name: str, running: Running, octets: Callable[[], int], count: int) -> None:
    """Print what unmatched and matched events take."""
    empty = octets()
    running.take(count)
    unmatched = octets()
    running.make_rule()
    running.take(count)
    matched = octets()
    running.end()
    print(f"{name}: unmatched {(unmatched - empty) / count:.0f} octets an event,", end=" ")
    print(f"matched with its alert {(matched - unmatched) / count:.0f}")


def embedded(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        running = Running(Path(directory))
        both_kinds("SQLite", running, lambda: files_octets(Path(directory)), count)
        archive = subprocess.run(
            ["gzip", "-c", Path(directory) / "store.db"], capture_output=True, check=True
        ).stdout
        print(f"store.db, gzipped: {len(archive) / (2 * count):.0f} octets an event")


def on_postgres(count: int) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        postgres_server() as server,
        database(server) as url,
    ):
        name = url.rpartition("/")[2]

        def octets() -> int:
            [(size,)] = server.execute(f"SELECT pg_database_size('{name}')", database=SUPERUSER)
            return int(str(size))

        running = Running(Path(directory), MUTTD_DATABASE_URL=url)
        both_kinds("PostgreSQL", running, octets, count)


def waiting(count: int) -> None:
    setup = RedisSetup(settings={"appendonly": "yes"})
    with (
        tempfile.TemporaryDirectory() as directory,
        redis_server(setup) as server,
        server.client() as client,
    ):
        running = Running(Path(directory), MUTTD_REDIS_URL=server.url(), MUTTD_DATABASE_URL=AWAY)
        before = client.info("memory")["used_memory"]
        running.take(count, is_waiting=True)
        used = client.info("memory")["used_memory"] - before
        file = client.info("persistence")["aof_current_size"]
        running.end()
    print(f"waiting in Redis: {used / count:.0f} octets of memory an event, AOF {file / count:.0f}")


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    args = parser.parse_args()
    embedded(args.count)
    on_postgres(args.count)
    waiting(args.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
