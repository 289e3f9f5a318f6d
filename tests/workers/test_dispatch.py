"""muttd/workers/dispatch.py: several destinations, on a real queue and real webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio
from forwarder_scene import an_alert
from interruption import wait_until
from prometheus_client import CollectorRegistry
from running_daemon import ScriptedWebhook, scripted_webhook

from muttd.decision import AlertState, Decided, encode_alerts
from muttd.queue.breaker import BreakerLimits, LocalBreaker
from muttd.queue.contract import Batch, Queue, alert_stream
from muttd.queue.counters import LocalRateLimit, Pace
from muttd.store.contract import Store
from muttd.workers.dispatch import Dispatch, Line
from muttd.workers.forwarder import ForwarderPolicy, Gates
from muttd.workers.forwarder_metrics import ForwarderMetrics
from muttd.workers.payload import moogsoft_body
from muttd.workers.routing import Router, Routes
from muttd.workers.webhook import WebhookSettings


@pytest.fixture
def webhooks() -> Iterator[tuple[ScriptedWebhook, ScriptedWebhook]]:
    with scripted_webhook() as first, scripted_webhook() as second:
        yield first, second


def a_line(name: str, webhook: ScriptedWebhook, *, key: str = "k") -> Line:
    limits = BreakerLimits(failures=1000, open_s=1.0, attempt_s=30.0)
    return Line(
        config=(name, webhook.url, key),
        policy=ForwarderPolicy(
            name=name,
            consumer="test",
            backoff_base_s=0.01,
            backoff_cap_s=0.05,
            claim_idle_s=0.5,
            concurrency=2,
        ),
        gates=Gates(
            breaker=LocalBreaker(lambda: limits), limit=LocalRateLimit(lambda: Pace(1000, 1.0))
        ),
        webhook=WebhookSettings(
            url=webhook.url,
            auth_header="Authorization",
            api_keys=lambda: [key],
            timeout_s=10.0,
            body=partial(moogsoft_body, daemon_name="test"),
        ),
    )


def routes(*names: str) -> Routes:
    return Routes(default=names[0] if names else None, names=frozenset(names))


class Scene:
    """A dispatch and what is around it."""

    def __init__(self, queue: Queue, store: Store, registry: CollectorRegistry) -> None:
        self.queue, self.store, self.registry = queue, store, registry
        self.dispatch = Dispatch(
            queue, store, Router(), ForwarderMetrics(registry), consumer="test", orphan_grace_s=0.0
        )

    async def raise_alert(self, text: str, destination: str) -> None:
        alert = an_alert(text)
        decided = [Decided(alert.event, alert.decision)]
        await self.store.record(decided, [alert], AlertState.QUEUED)
        batch = Batch(encode_alerts([alert]), 1)
        await self.queue.append(alert_stream(destination), [batch])


@pytest.fixture
def scene(queue: Queue, store: Store, registry: CollectorRegistry) -> Scene:
    return Scene(queue, store, registry)


async def are_accepted(webhook: ScriptedWebhook, *texts: str) -> None:
    async def is_so() -> bool:
        # Several attempts are under way at a time: these are alerts of several signatures.
        return sorted(call.body["description"] for call in webhook.accepted) == list(texts)

    await wait_until(is_so)


async def test_one_destination_that_is_down_delays_no_other(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    moog, tickets = webhooks
    moog.answer = lambda call: (503, {}, "")
    lines = {"moog": a_line("moog", moog), "tickets": a_line("tickets", tickets)}
    scene.dispatch.replace(lines, routes(*lines))
    nursery.start_soon(scene.dispatch.run)
    for n in range(3):
        await scene.raise_alert(f"m{n}", "moog")
        await scene.raise_alert(f"t{n}", "tickets")
    await are_accepted(tickets, "t0", "t1", "t2")

    async def is_retrying() -> bool:
        return scene.dispatch.forwarders["moog"].state == "retrying"

    await wait_until(is_retrying)
    assert moog.accepted == []
    assert scene.dispatch.names == ["moog", "tickets"]
    moog.answer = lambda call: (200, {}, "")
    await are_accepted(moog, "m0", "m1", "m2")
    delivered = scene.registry.get_sample_value
    assert delivered("muttd_forwarder_delivered_total", {"destination": "tickets"}) == 3


async def test_what_a_reload_does_not_change_goes_on_and_what_it_changes_is_opened_anew(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    first, second = webhooks
    lines = {"moog": a_line("moog", first), "tickets": a_line("tickets", second)}
    scene.dispatch.replace(lines, routes(*lines))
    nursery.start_soon(scene.dispatch.run)
    await scene.raise_alert("a", "moog")
    await are_accepted(first, "a")
    before = dict(scene.dispatch.forwarders)
    other = {"moog": a_line("moog", first, key="new"), "tickets": a_line("tickets", second)}
    scene.dispatch.replace(other, routes(*other))
    await scene.raise_alert("b", "moog")
    await are_accepted(first, "a", "b")
    keys = [call.headers["Authorization"] for call in first.accepted]
    assert keys == ["Bearer k", "Bearer new"]
    assert scene.dispatch.forwarders["tickets"] is before["tickets"]
    assert scene.dispatch.forwarders["moog"] is not before["moog"]


async def test_what_waits_for_a_destination_that_is_gone_goes_where_the_routes_say(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    first, _ = webhooks
    await scene.raise_alert("in the hands of the dead", "gone")
    # A daemon that was killed holds it, and no forwarder is there to take it over.
    assert len(await scene.queue.take(alert_stream("gone"), "killed", count=1, wait_s=0.0)) == 1
    await scene.raise_alert("for nobody", "gone")
    await scene.raise_alert("for moog", "moog")
    scene.dispatch.replace({"tickets": a_line("tickets", first)}, routes("tickets"))
    nursery.start_soon(scene.dispatch.run)

    async def are_taken() -> Any:
        return len(first.accepted) == 3

    await wait_until(are_taken)
    texts = {call.body["description"] for call in first.accepted}
    assert texts == {"for nobody", "for moog", "in the hands of the dead"}


async def test_without_any_destination_alerts_stay_where_they_are(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    await scene.raise_alert("a", "gone")
    scene.dispatch.replace({}, routes())
    nursery.start_soon(scene.dispatch.run)

    async def is_seen() -> bool:
        return scene.dispatch.orphans == {"gone": 1}

    await wait_until(is_seen)
    # Configured again, it is delivered.
    moog, _ = webhooks
    scene.dispatch.replace({"gone": a_line("gone", moog)}, routes("gone"))
    await are_accepted(moog, "a")


async def test_a_stop_waits_for_the_attempts_under_way(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    moog, _ = webhooks
    scene.dispatch.replace({"moog": a_line("moog", moog)}, routes("moog"))
    nursery.start_soon(scene.dispatch.run)
    await scene.raise_alert("a", "moog")
    await are_accepted(moog, "a")

    async def is_idle() -> bool:
        return not await scene.dispatch.is_busy()

    await wait_until(is_idle)
    with trio.fail_after(10):
        await scene.dispatch.stop()


async def test_a_destination_that_is_held_and_then_gone_is_held_no_longer(
    scene: Scene, webhooks: tuple[ScriptedWebhook, ScriptedWebhook], nursery: trio.Nursery
) -> None:
    first, second = webhooks
    second.answer = lambda call: (401, {}, "")
    lines = {"moog": a_line("moog", first), "tickets": a_line("tickets", second)}
    scene.dispatch.replace(lines, routes("moog", "tickets"))
    nursery.start_soon(scene.dispatch.run)

    def held() -> float | None:
        labels = {"destination": "tickets"}
        return scene.registry.get_sample_value("muttd_forwarder_held", labels)

    async def is_held() -> bool:
        return held() == 1

    async def is_well() -> bool:
        return held() == 0

    await scene.raise_alert("a", "tickets")
    await wait_until(is_held)
    # Another configuration: whether that one is right is not known yet.
    second.answer = lambda call: (200, {}, "")
    changed = lines | {"tickets": a_line("tickets", second, key="another")}
    scene.dispatch.replace(changed, routes("moog", "tickets"))
    await wait_until(is_well)
    scene.dispatch.replace({"moog": lines["moog"]}, routes("moog"))
    assert held() is None
