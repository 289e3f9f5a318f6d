"""Repetitions and clears through the alerter, on a queue that is embedded or shared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from interruption import Interruption, an_event, wait_until
from meta_scene import QUEUES
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.decision import Alert, Handling, decode_alerts
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, encode_events, utc_now
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.fanout import LocalFanout
from muttd.rules.model import RuleDraft
from muttd.store.contract import Change, EventQuery, Store, Window
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.payload import moogsoft_payload
from muttd.workers.routing import Router, Routes
from muttd.workers.rules_watch import RulesWatch

A_RULE = RuleDraft(
    name="link down",
    match_string="changed state to down",
    prod_handling=Handling.PAGE_AND_TICKET,
    dev_handling=Handling.LOG_ONLY,
    team_assignment="NETO",
)
NOON = utc_now()
CLEARS: dict[str, Any] = {"clear_match": "changed state to up"}
HELD: dict[str, Any] = {"repeat_interval_s": 60.0}


def a_link(state: str, at_s: float = 0, port: int = 1) -> Event:
    text = f"%LINK-3-UPDOWN: Interface Gi0/{port}, changed state to {state}"
    return an_event(text, received_at=NOON + timedelta(seconds=at_s))


class Scene:
    """A queue and a store with one rule, and alerters that come and go."""

    def __init__(self, queue: Queue, store: Store, directory: Path) -> None:
        self.queue, self.store = Interruption(queue), Interruption(store)
        self._directory = directory

    @asynccontextmanager
    async def alerter(self) -> AsyncIterator[Alerter]:
        rules = RulesWatch(
            self.store, check_interval_s=0.05, snapshot=self._directory / "rules.snapshot"
        )
        registry = CollectorRegistry()
        alerter = Alerter(
            Neighbours(
                queue=self.queue,
                store=self.store,
                fanout=LocalFanout(),
                rules=rules,
                accounts=Accounts(registry),
            ),
            AlerterPolicy(
                consumer="test",
                batch_entries=8,
                claim_idle_s=0.1,
                dynamic=Dynamic(DynamicSettings()),
                router=Router(Routes(default="moog", names=frozenset({"moog"}))),
            ),
            AlerterMetrics(registry),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rules.run)
            nursery.start_soon(alerter.run)
            yield alerter
            nursery.cancel_scope.cancel()

    async def append(self, *events: Event) -> None:
        await self.queue.append(Stream.INGEST, [Batch(encode_events(events), len(events))])

    async def wait_done(self) -> None:
        async def is_so() -> bool:
            return not (await self.queue.depth(Stream.INGEST)).items

        await wait_until(is_so)

    async def decide(self, *events: Event) -> list[Alert]:
        """The alerts that these events make, in order."""
        await self.append(*events)
        await self.wait_done()
        return await self.alerts()

    async def alerts(self) -> list[Alert]:
        entries = await self.queue.take(Stream.ALERT, "test", count=100, wait_s=0)
        await self.queue.ack(Stream.ALERT, [entry.entry_id for entry in entries])
        return [alert for entry in entries for alert in decode_alerts(entry.payload)]


@pytest.fixture(params=QUEUES)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    async with request.param(tmp_path) as queue:
        yield queue


@pytest.fixture
def scene(queue: Queue, store: Store, tmp_path: Path) -> Scene:
    return Scene(queue, store, tmp_path)


async def with_rule(scene: Scene, **fields: Any) -> None:
    await scene.store.create_rule(replace(A_RULE, **fields), Change("test"))


async def test_one_alert_goes_out_and_the_next_says_how_many_were_held_back(scene: Scene) -> None:
    await with_rule(scene, **HELD)
    async with scene.alerter():
        events = [a_link("down", at) for at in range(5)]
        [first] = await scene.decide(*events)
        assert (first.event, first.held_back) == (events[0], 0)
        # Another fault of the same host is another signature.
        assert len(await scene.decide(a_link("down", 5, port=2))) == 1
        [next_one] = await scene.decide(a_link("down", 61))
        assert next_one.held_back == 4
        assert moogsoft_payload(next_one, daemon_name="d")["custom_info"]["held_back"] == 4
    stored = (await scene.store.search_events(EventQuery(), Window())).items
    held = [each.event.event_id for each in stored if each.decision.held_by == first.alert_id]
    assert sorted(held) == [event.event_id for event in events[1:]]
    found = await scene.store.search_alerts(state=None, hostname=None, window=Window())
    assert sorted(each.alert.held_back for each in found.items) == [0, 0, 4]


async def test_a_clear_has_the_signature_of_the_problem_it_ends(scene: Scene) -> None:
    await with_rule(scene, **CLEARS)
    async with scene.alerter():
        assert await scene.decide(a_link("up", 0)) == []
        [problem] = await scene.decide(a_link("down", 1))
        assert await scene.decide(a_link("up", 2, port=2)) == []
        [clear] = await scene.decide(a_link("up", 3))
        assert clear.signature == problem.signature
        assert moogsoft_payload(clear, daemon_name="d")["severity"] == 0
        assert await scene.decide(a_link("up", 4)) == []
    decided = await scene.store.get_event(clear.event.event_id)
    assert decided.decision.is_clear


async def test_one_message_may_end_several_problems_of_its_host(scene: Scene) -> None:
    await with_rule(scene, clear_match="all interfaces up")
    async with scene.alerter():
        problems = await scene.decide(*(a_link("down", n, port=n) for n in range(3)))
        elsewhere = replace(a_link("down", 4), hostname="sw9")
        assert len(await scene.decide(elsewhere)) == 1
        end = an_event("all interfaces up", received_at=NOON + timedelta(seconds=5))
        clears = await scene.decide(end)
    assert [c.signature for c in clears] == [p.signature for p in problems]
    assert len({clear.alert_id for clear in clears}) == 3


async def test_a_problem_behind_its_clear_is_followed_by_it(scene: Scene) -> None:
    await with_rule(scene, **CLEARS)
    async with scene.alerter():
        assert await scene.decide(a_link("up", 2)) == []
        [problem, clear] = await scene.decide(a_link("down", 1))
    assert (problem.decision.is_clear, clear.decision.is_clear) == (False, True)
    assert problem.signature == clear.signature


@pytest.mark.parametrize("step", ["judge", "record_rows", "ack"])
async def test_a_round_that_is_cut_short_has_its_effects_once(scene: Scene, step: str) -> None:
    """As by kill -9: what another alerter finds is what the backends have."""
    await with_rule(scene, **CLEARS, **HELD)
    events = [a_link("down"), a_link("down", 1), a_link("up", 2), a_link("down", 3)]
    after = trio.Event()
    door: Any = {"judge": scene.queue.ledger, "record_rows": scene.store, "ack": scene.queue}[step]
    whole = getattr(door, step)

    async def cut(*args: Any, **kwargs: Any) -> Any:
        await whole(*args, **kwargs)
        after.set()
        await trio.sleep_forever()

    setattr(door, step, cut)
    async with scene.alerter():
        await scene.append(*events)
        with trio.fail_after(10):
            await after.wait()
    setattr(door, step, whole)
    async with scene.alerter():
        await scene.wait_done()
        alerts = await scene.alerts()
        assert [alert.decision.is_clear for alert in alerts] == [False, True]
        [again] = await scene.decide(a_link("down", 70))
        assert again.held_back == 2
    found = await scene.store.search_alerts(state=None, hostname=None, window=Window())
    assert found.total == 3
