"""muttd/workers/letter_upkeep.py on a real queue and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from forwarder_scene import an_alert
from interruption import an_event, wait_until
from prometheus_client import CollectorRegistry

from muttd.decision import encode_alerts
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import encode_events, utc_now
from muttd.event_ids import EventIds
from muttd.queue.breaker import BreakerState, BreakerView
from muttd.queue.contract import Queue, Stream
from muttd.queue.letters import DeadLetter, LetterKind, LetterReason
from muttd.store.contract import ChangeQuery, Store, Window
from muttd.workers.dispatch import Dispatch
from muttd.workers.letter_upkeep import LetterMetrics, LetterUpkeep

_ids = EventIds()


@dataclass
class State:
    """As much of a forwarder as says whether its destination is well."""

    state: str = "idle"
    breaker: BreakerView = field(default_factory=BreakerView)


@dataclass
class Destinations:
    """As much of a dispatch as knows them."""

    forwarders: dict[str, State]


def a_letter(reason: LetterReason, **fields: Any) -> DeadLetter:
    is_event = reason in (LetterReason.POISON, LetterReason.UNDECODABLE)
    payload = encode_events([an_event("x")]) if is_event else encode_alerts([an_alert("x")])
    values: dict[str, Any] = {
        "letter_id": _ids.next(),
        "kind": LetterKind.EVENT if is_event else LetterKind.ALERT,
        "item_id": "item",
        "reason": reason,
        "error": "e",
        "attempts": 3,
        "first_failed_at": utc_now(),
        "last_failed_at": utc_now(),
        "origin": "d",
        "payload": payload,
        "destination": None if is_event else "moog",
        **fields,
    }
    return DeadLetter(**values)


@dataclass
class Scene:
    queue: Queue
    store: Store
    moog: State
    dynamic: Dynamic
    upkeep: LetterUpkeep

    async def left(self) -> set[str]:
        return {letter.letter_id for letter in await self.queue.letters.find()}


@pytest.fixture
def scene(queue: Queue, store: Store, registry: CollectorRegistry) -> Scene:
    moog = State()
    dynamic = Dynamic(DynamicSettings())
    dispatch = cast("Dispatch", Destinations({"moog": moog}))
    upkeep = LetterUpkeep(queue, store, dispatch, dynamic, LetterMetrics(registry))
    return Scene(queue, store, moog, dynamic, upkeep)


async def test_only_faults_of_a_destination_are_replayed_by_themselves(scene: Scene) -> None:
    failing = a_letter(LetterReason.FAILING, replays=2)
    others = [
        a_letter(LetterReason.REJECTED),
        a_letter(LetterReason.POISON),
        a_letter(LetterReason.UNDECODABLE),
        a_letter(LetterReason.FAILING, replays=3),
        a_letter(LetterReason.FAILING, destination="tickets"),
    ]
    await scene.queue.bury(Stream.ALERT, [], [failing, *others])
    await scene.upkeep.replay()
    assert await scene.left() == {letter.letter_id for letter in others}
    [entry] = await scene.queue.take(Stream.ALERT, "a", count=10, wait_s=0)
    assert entry.past is not None
    assert (entry.past.replays, entry.past.attempts) == (3, 3)
    changes = await scene.store.config_changes(ChangeQuery(table_name="dead_letters"), Window())
    assert [(each.changed_by, each.record_id) for each in changes.items] == [
        ("muttd", failing.letter_id)
    ]


@pytest.mark.parametrize(
    ("state", "breaker"),
    [
        ("retrying", BreakerView()),
        ("held", BreakerView()),
        ("open", BreakerView(BreakerState.OPEN, 10, 300.0)),
        ("idle", BreakerView(BreakerState.PROBING, 10, 0.0)),
    ],
)
async def test_nothing_is_replayed_while_the_destination_is_not_well(
    scene: Scene, state: str, breaker: BreakerView
) -> None:
    scene.moog.state, scene.moog.breaker = state, breaker
    letter = a_letter(LetterReason.FAILING)
    await scene.queue.bury(Stream.ALERT, [], [letter])
    await scene.upkeep.replay()
    assert await scene.left() == {letter.letter_id}


async def test_no_more_than_a_batch_goes_at_a_time_oldest_first(scene: Scene) -> None:
    scene.dynamic.replace(DynamicSettings(remediation_batch=2))
    letters = [a_letter(LetterReason.FAILING) for _ in range(5)]
    await scene.queue.bury(Stream.ALERT, [], letters)
    await scene.upkeep.replay()
    assert await scene.left() == {letter.letter_id for letter in letters[2:]}


async def test_letters_are_counted_and_old_ones_forgotten(
    scene: Scene, registry: CollectorRegistry, nursery: Any
) -> None:
    scene.dynamic.replace(DynamicSettings(dead_letter_days=1, remediation_interval=0))
    old = a_letter(LetterReason.POISON, last_failed_at=utc_now() - timedelta(days=2))
    young = a_letter(LetterReason.POISON)
    await scene.queue.bury(Stream.INGEST, [], [old, young])
    assert registry.get_sample_value("muttd_dead_letters", {"kind": "event"}) == 0
    nursery.start_soon(scene.upkeep.run)

    async def is_forgotten() -> bool:
        return registry.get_sample_value("muttd_dead_letters_forgotten_total") == 1

    await wait_until(is_forgotten)
    assert await scene.left() == {young.letter_id}
    assert registry.get_sample_value("muttd_dead_letters", {"kind": "event"}) == 2
