"""muttd/workers/forwarder.py on a real queue and store, with a destination that has a script."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from forwarder_scene import CONCURRENCY, Scene
from interruption import wait_until
from prometheus_client import CollectorRegistry

from muttd.decision import (
    AlertState,
    encode_alerts,
)
from muttd.errors import DeliverLater, DestinationHeld, Undeliverable
from muttd.queue.breaker import BreakerLimits, BreakerState
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.letters import LetterKind, LetterQuery
from muttd.store.contract import Store
from muttd.workers.forwarder import STRIKES


@pytest.fixture
def scene(queue: Queue, store: Store, registry: CollectorRegistry) -> Scene:
    return Scene(queue, store, registry)


async def test_an_alert_that_is_queued_twice_is_sent_once(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.gate = trio.Event()
    alerts = await scene.raise_alerts("a", "b")
    # The ack that appends them was made again, because its answer got lost.
    await scene.queue.append(Stream.ALERT, [Batch(encode_alerts(alerts), len(alerts))])
    await scene.raise_alerts("c")
    nursery.start_soon(scene.forwarder.run)

    async def is_all_tried() -> bool:
        return len(scene.destination.attempts) == 3

    await wait_until(is_all_tried)
    scene.destination.gate.set()
    await scene.wait_empty()
    assert sorted(scene.destination.taken) == ["a", "b", "c"]


async def test_alerts_leave_in_the_order_they_were_raised(
    scene: Scene, nursery: trio.Nursery
) -> None:
    await scene.raise_alerts("a", "b")
    await scene.raise_alerts("c")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    assert scene.destination.taken == ["a", "b", "c"]
    assert set((await scene.states()).values()) == {AlertState.DELIVERED}
    assert scene.forwarder.tally() == {"delivered": 3, "retried": 0, "dead": 0}


async def test_a_failing_destination_gets_the_same_alert_until_it_takes_it(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.script = lambda text: (
        DeliverLater("status 503", status=503) if len(scene.destination.attempts) < 3 else None
    )
    alerts = await scene.raise_alerts("a", "b")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    # The second one was under way already when the first one failed.
    assert sorted(scene.destination.taken) == ["a", "b"]
    assert scene.destination.attempts == ["a", "b", "a", "b"]
    found = await scene.store.get_alert(alerts[0].alert_id)
    assert [each.outcome for each in found[1]] == [AlertState.RETRYING, AlertState.DELIVERED]
    assert [each.attempt for each in found[1]] == [1, 2]


async def test_an_alert_that_was_delivered_before_a_crash_is_not_sent_again(
    scene: Scene, queue: Queue, store: Store, nursery: trio.Nursery
) -> None:
    await scene.raise_alerts("a", "b")
    # The first life delivers one of the two; its entry is not acked when it ends.
    scene.destination.script = lambda text: DeliverLater("later") if text == "b" else None
    with trio.move_on_after(0.3):
        await scene.forwarder.run()
    second = Scene(queue, store, CollectorRegistry())
    nursery.start_soon(second.forwarder.run)
    await second.wait_empty()
    assert second.destination.attempts == ["b"]


@pytest.mark.parametrize(
    ("error", "state"),
    [(DeliverLater("status 503"), "retrying"), (DestinationHeld("status 401"), "held")],
)
async def test_the_state_says_why_alerts_wait(
    scene: Scene, nursery: trio.Nursery, error: Exception, state: str
) -> None:
    scene.destination.script = lambda text: error
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_so() -> bool:
        return scene.forwarder.state == state

    await wait_until(is_so)
    assert scene.forwarder.last_error == str(error)
    scene.destination.script = lambda text: None
    await scene.wait_empty()
    assert scene.forwarder.state in ("delivering", "idle")


async def test_an_undeliverable_alert_is_a_dead_letter_at_once(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.script = lambda text: (
        Undeliverable("status 400: bad field", status=400) if text == "a" else None
    )
    await scene.raise_alerts("a", "b")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.ALERT))
    assert (letter.reason, letter.error) == ("rejected", "status 400: bad field")
    assert await scene.states() == {"a": AlertState.DEAD, "b": AlertState.DELIVERED}


async def test_several_attempts_are_under_way_but_never_two_of_one_signature(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.gate = trio.Event()
    await scene.raise_alerts("a", "a!", "a!!", "b", "b!", "c", "d")
    nursery.start_soon(scene.forwarder.run)

    async def are_under_way() -> bool:
        return len(scene.destination.attempts) == CONCURRENCY

    await wait_until(are_under_way)
    assert scene.destination.attempts == ["a", "b", "c"]
    scene.destination.gate.set()
    await scene.wait_empty()
    assert scene.destination.most_at_once == CONCURRENCY
    of_a = [text for text in scene.destination.taken if text.startswith("a")]
    assert of_a == ["a", "a!", "a!!"]


async def test_a_slow_alert_holds_up_its_own_signature_alone(
    scene: Scene, nursery: trio.Nursery
) -> None:
    destination = scene.destination
    destination.gate, destination.gated = trio.Event(), "a"
    await scene.raise_alerts("a", "a!", "b", "c", "d", "e")
    nursery.start_soon(scene.forwarder.run)

    async def are_taken() -> bool:
        return len(destination.taken) == 4

    await wait_until(are_taken)
    assert sorted(destination.taken) == ["b", "c", "d", "e"]
    destination.gate.set()
    await scene.wait_empty()
    assert destination.taken[-2:] == ["a", "a!"]


async def test_an_alert_that_fails_while_others_are_taken_is_buried_and_its_order_kept(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.script = lambda text: DeliverLater("status 500") if text == "a" else None
    others = [f"b{n}" for n in range(20)]
    [alert, *_] = await scene.raise_alerts("a", "a!", *others)
    nursery.start_soon(scene.forwarder.run)

    async def is_dead() -> bool:
        await scene.raise_alerts("more")
        found = await scene.store.get_alert(alert.alert_id)
        return bool(found[0].state is AlertState.DEAD)

    await wait_until(is_dead)
    await scene.wait_empty()
    [letter] = await scene.queue.letters.find()
    assert (letter.reason, letter.error, letter.destination) == ("failing", "status 500", "moog")
    assert letter.attempts >= STRIKES
    taken = scene.destination.taken
    assert "a" not in taken
    assert "a!" in taken
    assert set(others) < set(taken)


async def test_dead_alerts_carry_their_past_over_a_replay(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.script = lambda text: Undeliverable("status 400", status=400)
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    [first] = await scene.queue.letters.find()
    await scene.queue.letters.replay([first.letter_id])
    await scene.wait_empty()
    [second] = await scene.queue.letters.find()
    assert (first.attempts, first.replays) == (1, 0)
    assert (second.attempts, second.replays) == (2, 1)
    assert second.first_failed_at == first.first_failed_at


async def test_an_open_breaker_makes_alerts_wait_and_one_probe_tries(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.limits = BreakerLimits(failures=4, open_s=0.3, attempt_s=30.0)
    scene.destination.script = lambda text: DeliverLater("status 503", status=503)
    texts = [f"alert {n}" for n in range(10)]
    await scene.raise_alerts(*texts)
    nursery.start_soon(scene.forwarder.run)

    async def is_open() -> bool:
        return scene.forwarder.state == "open"

    await wait_until(is_open)
    assert len(scene.destination.attempts) == 4
    assert scene.forwarder.breaker.state is BreakerState.OPEN

    async def is_probed() -> bool:
        return len(scene.destination.attempts) == 6

    await wait_until(is_probed)
    scene.destination.script = lambda text: None
    await scene.wait_empty()
    # Oldest first, but for the one that found out.
    taken = scene.destination.taken
    assert [text for text in taken if text != taken[0]] == [t for t in texts if t != taken[0]]
    assert await scene.queue.letters.count() == 0
    assert scene.forwarder.state in ("delivering", "idle")


async def test_a_poke_lets_an_open_breaker_try_at_once(scene: Scene, nursery: trio.Nursery) -> None:
    scene.limits = BreakerLimits(failures=1, open_s=3000.0, attempt_s=30.0)
    scene.destination.script = lambda text: DeliverLater("status 503", status=503)
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_open() -> bool:
        return scene.forwarder.state == "open"

    await wait_until(is_open)
    scene.destination.script = lambda text: None
    scene.forwarder.poke()
    await scene.wait_empty()


async def test_while_the_store_is_away_the_attempt_is_not_forgotten(
    scene: Scene, nursery: trio.Nursery
) -> None:
    def store_leaves(text: str) -> Exception | None:
        scene.store.is_away = True
        return None

    scene.destination.script = store_leaves
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_refused() -> bool:
        return scene.store.refused > 1

    await wait_until(is_refused)
    scene.store.is_away = False
    await scene.wait_empty()
    assert scene.destination.attempts == ["a"]
    assert await scene.states() == {"a": AlertState.DELIVERED}


async def test_stop_ends_a_pause(scene: Scene, nursery: trio.Nursery) -> None:
    scene.destination.script = lambda text: DeliverLater("later", retry_after_s=3000.0)
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_tried() -> Any:
        return scene.destination.attempts

    await wait_until(is_tried)
    scene.forwarder.stop()
    with trio.fail_after(10):
        await scene.forwarder.wait_stopped()
    assert (await scene.queue.depth(Stream.ALERT)).items == 1


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_what_is_left_at_a_stop_goes_to_another_at_once(
    scene: Scene, is_cancelled: bool
) -> None:
    scene.destination.script = lambda text: DeliverLater("later") if text != "a" else None
    await scene.raise_alerts("a", "b", "c")
    await scene.raise_alerts("d")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.forwarder.run)

        async def is_retrying() -> bool:
            return scene.forwarder.state == "retrying"

        await wait_until(is_retrying)
        scene.forwarder.stop()
        if is_cancelled:
            nursery.cancel_scope.cancel()
    taken = await scene.queue.take(Stream.ALERT, "another", count=10, wait_s=0)
    assert [(entry.item_count, entry.deliveries) for entry in taken] == [(3, 1), (1, 1)]


async def test_what_was_taken_while_the_store_is_away_is_handed_back(scene: Scene) -> None:
    await scene.raise_alerts("a")
    await scene.raise_alerts("b")
    scene.store.is_away = True
    scene.forwarder.leave_when_held_up()
    await scene.forwarder.run()
    assert len(await scene.queue.take(Stream.ALERT, "another", count=10, wait_s=0)) == 2


async def test_poke_ends_a_pause_too(scene: Scene, nursery: trio.Nursery) -> None:
    scene.destination.script = lambda text: (
        DeliverLater("later", retry_after_s=3000.0)
        if len(scene.destination.attempts) == 1
        else None
    )
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_retrying() -> bool:
        return scene.forwarder.state == "retrying"

    await wait_until(is_retrying)

    async def is_delivered() -> bool:
        scene.forwarder.poke()
        return scene.forwarder.tally()["delivered"] == 1

    await wait_until(is_delivered)


async def test_an_alert_that_makes_the_code_fail_is_a_dead_letter(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.destination.script = lambda text: (
        ZeroDivisionError("a fault of ours") if text == "a" else None
    )
    await scene.raise_alerts("a", "b")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.ALERT))
    assert letter.error == "ZeroDivisionError here; the log says what"
    assert scene.destination.taken == ["b"]


async def test_an_entry_claimed_back_from_ourselves_is_not_sent_twice(
    scene: Scene, nursery: trio.Nursery
) -> None:
    """The destination fails for longer than the idle limit, and the forwarder claims again."""
    scene.destination.script = lambda text: (
        DeliverLater("status 503") if len(scene.destination.attempts) < 30 else None
    )
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)
    await scene.wait_empty()
    assert scene.destination.taken == ["a"]


@pytest.mark.parametrize(
    ("then", "state"),
    [
        # It answers again; what was never sent says nothing about it.
        (Undeliverable("status 400", status=400), "idle"),
        (Undeliverable("the template makes no JSON"), "held"),
    ],
)
async def test_a_destination_is_held_until_it_answers(
    scene: Scene, nursery: trio.Nursery, then: Undeliverable, state: str
) -> None:
    error: Exception = DestinationHeld("status 401", status=401)
    scene.destination.script = lambda text: error
    await scene.raise_alerts("a")
    nursery.start_soon(scene.forwarder.run)

    async def is_held() -> bool:
        return scene.forwarder.state == "held"

    await wait_until(is_held)
    error = then
    await scene.wait_empty()

    async def is_as_expected() -> bool:
        return scene.forwarder.state == state

    # The alert leaves the queue before the forwarder comes to rest.
    await wait_until(is_as_expected)
