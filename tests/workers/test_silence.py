"""Silent sources: one alert when nothing is heard for too long, and its clear on return."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from interruption import an_event, wait_until
from meta_scene import QUEUES, Daemon, Scene

from muttd.decision import Alert, Handling
from muttd.event import Event
from muttd.queue.contract import Queue
from muttd.rules.model import ExpectedSource, TeamEntry
from muttd.store.contract import Change, EventQuery, Store, Window
from muttd.workers.own_alerts import OWN_RULE_ID
from muttd.workers.payload import moogsoft_payload

BY = Change("test")


@pytest.fixture(params=QUEUES)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    async with request.param(tmp_path) as queue:
        yield queue


@pytest.fixture
def scene(queue: Queue, store: Store, tmp_path: Path) -> Scene:
    return Scene(queue, store, tmp_path)


async def expect(scene: Scene, hostname: str, every_s: int = 100, **fields: Any) -> None:
    entry = ExpectedSource(hostname=hostname, expect_every_s=every_s, **fields)
    await scene.store.add_expected_source(entry, BY)


async def hear(scene: Scene, hostname: str, **fields: Any) -> Event:
    """An event of that host, decided, at the time of the scene."""
    event = an_event("hello", hostname=hostname, received_at=scene.clock(), **fields)
    await scene.append([event])
    await scene.wait_decided()
    return event


async def wait_rules(scene: Scene, *daemons: Daemon) -> None:
    revision = await scene.store.rule_book_revision()

    async def is_so() -> bool:
        return all(daemon.rules.revision == revision for daemon in daemons)

    await wait_until(is_so)


def told(alert: Alert) -> tuple[str, bool]:
    return alert.event.hostname, alert.decision.is_clear


async def test_a_silent_host_raises_one_alert_and_its_return_clears_it(scene: Scene) -> None:
    await expect(scene, "sw1", severity=2, team_assignment="LAN")
    async with scene.daemons("a", "b") as daemons:
        await wait_rules(scene, *daemons)
        await scene.pass_time(20, *daemons)
        event = await hear(scene, "SW1")
        await scene.pass_time(80, *daemons)
        assert await scene.alert_count() == 0
        await scene.pass_time(300, *daemons)
        [silent] = await scene.wait_alerts(1)
        last = event.received_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert silent.event.message == (
            f"nothing is heard of sw1 since {last}; expected every 0:01:40"
        )
        assert (silent.event.severity, silent.decision.team) == (2, "LAN")
        assert silent.decision.handling is Handling.PAGE_AND_TICKET
        await hear(scene, "sw1")
        await scene.pass_time(20, *daemons)
        [back] = await scene.wait_alerts(2)
        assert back.signature == silent.signature
        assert moogsoft_payload(back, daemon_name="d")["severity"] == 0
        await scene.pass_time(60, *daemons)
        assert await scene.alert_count() == 2
    audited = await scene.store.search_events(EventQuery(rule_id=OWN_RULE_ID), Window())
    assert [each.decision.is_clear for each in audited.items] == [True, False]


async def test_a_host_that_never_said_anything_is_missed_too(scene: Scene) -> None:
    await expect(scene, "core-1")
    await expect(scene, "lab-*")
    await expect(scene, "192.0.2.99")
    await scene.store.add_device_team(TeamEntry(hostname="core-*", team_assignment="CORE"), BY)
    async with scene.daemons("a") as (daemon,):
        await wait_rules(scene, daemon)
        await scene.pass_time(200, daemon)
        [silent] = await scene.wait_alerts(1)
        assert (told(silent), silent.decision.team) == (("core-1", False), "CORE")
        assert await scene.alert_count() == 1


async def test_hosts_of_a_pattern_are_expected_once_they_were_heard(scene: Scene) -> None:
    await expect(scene, "sw*")
    await expect(scene, "sw-quiet*", every_s=100_000)
    await expect(scene, "198.51.100.0/24")
    async with scene.daemons("a") as (daemon,):
        for name in ("sw7", "sw-quiet", "other"):
            await hear(scene, name)
        await hear(scene, "by-address", source_ip="198.51.100.3")
        await scene.pass_time(200, daemon)
        alerts = await scene.wait_alerts(2)
        assert sorted(map(told, alerts)) == [("by-address", False), ("sw7", False)]


async def test_after_an_absence_every_host_has_its_whole_time_again(scene: Scene) -> None:
    await expect(scene, "sw*")
    async with scene.daemons("a"):
        for n in range(5):
            await hear(scene, f"sw{n}")
    # Everybody was away for an hour.
    await scene.pass_time(3600)
    async with scene.daemons("a") as (daemon,):
        await wait_rules(scene, daemon)
        await scene.pass_time(80, daemon)
        assert await scene.alert_count() == 0
        await hear(scene, "sw0")
        await scene.pass_time(80, daemon)
        alerts = await scene.wait_alerts(4)
        assert sorted(map(told, alerts)) == [(f"sw{n}", False) for n in range(1, 5)]


async def test_another_daemon_watches_when_the_one_that_did_is_gone(scene: Scene) -> None:
    await expect(scene, "sw*")
    async with scene.daemons("a"):
        await hear(scene, "sw1")
        await scene.pass_time(20)
    async with scene.daemons("b") as (other,):
        await wait_rules(scene, other)
        await scene.pass_time(15)
        # Less than the whole time that a new beginning would give it.
        await scene.pass_time(80, other)
        assert len(await scene.wait_alerts(1)) == 1


async def test_who_is_not_expected_any_more_is_not_missed(scene: Scene) -> None:
    await expect(scene, "sw1")
    await expect(scene, "sw2")
    async with scene.daemons("a") as (daemon,):
        await hear(scene, "sw1")
        await scene.pass_time(80, daemon)
        await scene.store.remove_expected_source("sw2", BY)
        await wait_rules(scene, daemon)
        await scene.pass_time(100, daemon)
        [silent] = await scene.wait_alerts(1)
        assert told(silent) == ("sw1", False)
        await scene.store.remove_expected_source("SW1", BY)
        await wait_rules(scene, daemon)
        await scene.pass_time(20, daemon)
        [cleared] = await scene.wait_alerts(2)
        assert told(cleared) == ("sw1", True)


async def test_events_that_wait_in_the_queue_are_not_taken_for_silence(scene: Scene) -> None:
    await expect(scene, "sw1")
    async with scene.daemons("a") as (daemon,):
        await hear(scene, "sw1")
        scene.store.is_away = True
        # Appended at the real time; the time of the scene runs ahead of it.
        await scene.append([an_event("waits", hostname="sw1", received_at=scene.clock())])
        await scene.pass_time(300, daemon)
        assert await scene.alert_count() == 0
        assert daemon.meta.summary()["silent_hosts"] == 0
        scene.store.is_away = False
        await scene.wait_decided()


async def test_a_backlog_tells_when_hosts_were_heard(scene: Scene) -> None:
    await expect(scene, "sw1")
    async with scene.daemons("a") as (daemon,):
        late = an_event("late", hostname="sw1", received_at=scene.clock() - timedelta(seconds=80))
        await scene.append([late])
        await scene.wait_decided()
        await scene.pass_time(60, daemon)
        # It began to watch now: nobody is missed for what was before.
        assert await scene.alert_count() == 0
        await scene.pass_time(60, daemon)
        assert len(await scene.wait_alerts(1)) == 1
