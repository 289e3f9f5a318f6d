"""Lives to be killed: alerter and forwarder on an embedded queue and store, up to a fault point.

    {"directory": ..., "url": ..., "point": "after store.record_rows", "is_first": true}    line in
    -9                                                                                   line out

Every line is one life, in a process of its own, forked from this one, which has all imported.
A point is before or after a call that leaves the process: there it kills itself, as kill -9 would.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import trio
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.decision import Handling
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport, encode_events
from muttd.queue.breaker import BreakerLimits, LocalBreaker
from muttd.queue.contract import Batch, Stream
from muttd.queue.counters import LocalRateLimit, Pace
from muttd.queue.fanout import LocalFanout
from muttd.queue.sqlite import open_queue
from muttd.rules.model import RuleDraft
from muttd.store.contract import Change, RuleQuery, Window
from muttd.store.sqlite import open_store
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.forwarder import Forwarder, ForwarderPolicy, Gates
from muttd.workers.forwarder_metrics import ForwarderMetrics
from muttd.workers.payload import moogsoft_body
from muttd.workers.routing import Router, Routes
from muttd.workers.rules_watch import RulesWatch
from muttd.workers.webhook import WebhookSettings, open_webhook

# What the alerter takes: some page, one is refused by the receiver, two of one signature go
# out as one, one is unmatched. An entry that is no batch at all comes behind them.
TEXTS = ["page 1", "page two", "page refused", "often", "often", "nothing"]


class FaultPoint:
    """Stands before a neighbour: kills this process before or after one of its calls.

    Args:
        neighbour: A queue, a store, a destination.
        name: What a point calls it.
        point: "before NAME.METHOD [STREAM]" or "after ...".
    """

    def __init__(self, neighbour: Any, name: str, point: str) -> None:
        self._neighbour = neighbour
        self._name = name
        self._point = point

    def __getattr__(self, method: str) -> Any:
        """A method, behind the point."""
        attribute = getattr(self._neighbour, method)
        if not callable(attribute):
            return FaultPoint(attribute, method, self._point)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*args: Any, **kwargs: Any) -> Any:
            here = f"{self._name}.{method}"
            if args and isinstance(args[0], str) and self._name == "queue":
                here += f" {args[0]}"
            self._reach(f"before {here}")
            try:
                result = await attribute(*args, **kwargs)
            except trio.Cancelled:
                raise
            except Exception:
                self._reach(f"after {here}")
                raise
            # A take that brought nothing is no step.
            if result or method != "take":
                self._reach(f"after {here}")
            return result

        return call

    def _reach(self, point: str) -> None:
        if point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


def events() -> list[Event]:
    return [
        Event(
            event_id=f"0195e4f0-0000-7000-8000-{number:012d}",
            received_at=datetime(2025, 3, 30, tzinfo=UTC),
            source_ip="192.0.2.7",
            hostname="sw1",
            transport=Transport.SYSLOG_TCP,
            severity=3,
            message=text,
            raw=b"",
        )
        for number, text in enumerate(TEXTS, 1)
    ]


async def live(directory: Path, url: str, point: str, *, is_first: bool) -> None:
    """One life: until it is killed, or until there is nothing left to do."""
    limits = dict.fromkeys(Stream, 1000)
    async with (
        open_queue(directory / "queue.db", limits=limits) as real_queue,
        open_store(directory / "store.db") as real_store,
        open_webhook(webhook_settings(url)) as real_webhook,
    ):
        if is_first:
            await make_ready(real_queue, real_store)
        queue = FaultPoint(real_queue, "queue", point)
        store = FaultPoint(real_store, "store", point)
        webhook = FaultPoint(real_webhook, "webhook", point)
        rules = RulesWatch(real_store, check_interval_s=1.0, snapshot=directory / "rules")
        forwarder = a_forwarder(queue, store, webhook)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rules.run)
            nursery.start_soon(an_alerter(queue, store, rules).run)
            nursery.start_soon(forwarder.run)
            while True:
                depths = [await real_queue.depth(stream) for stream in Stream]
                if not any(depth.entries for depth in depths):
                    nursery.cancel_scope.cancel()
                await trio.sleep(0.01)


async def make_ready(queue: Any, store: Any) -> None:
    change = Change(actor="test")
    assert not (await store.search_rules(RuleQuery(), Window())).items
    for text, repeat_s in (("page", None), ("often", 3600)):
        await store.create_rule(
            RuleDraft(
                name=text,
                match_string=text,
                prod_handling=Handling.PAGE_ONLY,
                dev_handling=Handling.PAGE_ONLY,
                team_assignment="NETO",
                repeat_interval_s=repeat_s,
            ),
            change,
        )
    await queue.append(Stream.INGEST, [Batch(encode_events(events()), len(TEXTS)), Batch(b"x", 1)])


def webhook_settings(url: str) -> WebhookSettings:
    return WebhookSettings(
        url=url,
        auth_header="Authorization",
        api_keys=list,
        timeout_s=10.0,
        body=partial(moogsoft_body, daemon_name="child"),
    )


def an_alerter(queue: Any, store: Any, rules: RulesWatch) -> Alerter:
    registry = CollectorRegistry()
    return Alerter(
        Neighbours(
            queue=queue,
            store=store,
            fanout=LocalFanout(),
            rules=rules,
            accounts=Accounts(registry),
        ),
        AlerterPolicy(
            consumer="child",
            batch_entries=8,
            claim_idle_s=0.1,
            router=Router(Routes(default="moog", names=frozenset({"moog"}))),
            dynamic=Dynamic(DynamicSettings()),
        ),
        AlerterMetrics(registry),
    )


def a_forwarder(queue: Any, store: Any, webhook: Any) -> Forwarder:
    breaker = BreakerLimits(failures=100, open_s=1.0, attempt_s=60.0)
    return Forwarder(
        queue,
        store,
        webhook,
        Gates(breaker=LocalBreaker(lambda: breaker), limit=LocalRateLimit(lambda: Pace(1000, 1.0))),
        ForwarderPolicy(
            name="moog",
            consumer="child",
            backoff_base_s=0.01,
            backoff_cap_s=0.05,
            claim_idle_s=0.1,
            # One: a point is about the attempt that reaches it, and no other is under way.
            concurrency=1,
        ),
        ForwarderMetrics(CollectorRegistry()),
    )


def main() -> None:
    """A life for each line."""
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            directory = Path(asked["directory"])
            trio.run(
                partial(live, directory, asked["url"], asked["point"], is_first=asked["is_first"])
            )
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
