"""What a cluster does when its parts die, stop and hang, at full rate and with minutes between.

    PYTHONPATH=.:tests:tests/cluster python bench/cluster_failover.py [SCENARIO ...]
        [--rate 2000] [--gap 60] [--outage 60]

    restarts       SIGTERM to one daemon after the other, and a start
    deaths         the Redis primary, the PostgreSQL primary and a daemon are killed, one by one
    redis-away     all of Redis is stopped and started again
    postgres-away  all of PostgreSQL is stopped and started again
    switch-overs   SENTINEL FAILOVER, three times
    hangs          SIGSTOP to each primary

Each on servers and daemons of its own; without names, all of them. Prints the recovery times and
the books; fails when an acknowledged event is missing, or anything is stored twice or unaccounted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from cluster_scenarios import FULL, SCENARIOS, Pace
from cluster_stack import Cluster, make_rules, running_stack
from running_daemon import scripted_webhook


def play(name: str, pace: Pace) -> None:
    """One scenario, from nothing to nothing."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "stack").mkdir()
        servers = stack.enter_context(running_stack(directory / "stack"))
        cluster = Cluster(
            directory=directory,
            servers=servers,
            webhook=stack.enter_context(scripted_webhook()),
            settings={"MUTTD_QUEUE_CLAIM_IDLE_S": "10"},
        )
        stack.callback(cluster.close)
        for daemon in ("alpha", "beta"):
            cluster.start(daemon).wait_ready()
        make_rules(cluster.daemons)
        started_at = time.monotonic()
        run = SCENARIOS[name](cluster, servers, pace)
        print(
            f"== {name}: {time.monotonic() - started_at:.0f} s, {run.load.sent_count} events sent"
        )
        for fault, seconds in run.recoveries.items():
            print(f"   {fault:48} {seconds:6.1f} s")
        print(f"   {'calls repeated under a known external_id':48} {run.repeated_calls:6}")
        print(run.books, flush=True)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    parser.add_argument("--rate", type=float, default=FULL.rate_per_s)
    parser.add_argument("--gap", type=float, default=FULL.gap_s)
    parser.add_argument("--outage", type=float, default=FULL.outage_s)
    args = parser.parse_args()
    pace = replace(FULL, rate_per_s=args.rate, gap_s=args.gap, outage_s=args.outage)
    for name in args.scenario or SCENARIOS:
        play(name, pace)
    return 0


if __name__ == "__main__":
    sys.exit(main())
