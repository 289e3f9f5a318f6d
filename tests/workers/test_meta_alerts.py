"""Meta-alerts: from unmatched events to an audit row and an alert, once, on every backend."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from interruption import an_event
from meta_scene import QUEUES, Scene
from msgspec.structs import replace

from muttd.decision import Handling
from muttd.dynamic import DynamicSettings
from muttd.event import Event, Transport, utc_now
from muttd.queue.contract import Queue
from muttd.queue.ledger import MOST
from muttd.rules.model import RuleDraft, TeamEntry
from muttd.store.contract import Change, EventQuery, Store, Window
from muttd.workers.own_alerts import OWN_RULE_ID

BY = Change("test")
RULE_WITH_BOTH = RuleDraft(
    name="port down",
    match_string="down",
    clear_match=" up",
    repeat_interval_s=3600.0,
    prod_handling=Handling.PAGE_ONLY,
    dev_handling=Handling.PAGE_ONLY,
    team_assignment="NETO",
)


@pytest.fixture(params=QUEUES)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    async with request.param(tmp_path) as queue:
        yield queue


@pytest.fixture
def scene(queue: Queue, store: Store, tmp_path: Path) -> Scene:
    return Scene(queue, store, tmp_path)


def failed_logins(count: int, **fields: Any) -> list[Event]:
    """They differ in PID, port, user and address."""
    source = random.Random(7)

    def one() -> Event:
        address = ".".join(str(source.randrange(1, 255)) for _ in range(4))
        user = source.choice(["bob", "admin", "x" * source.randrange(1, 9)])
        return an_event(
            f"Failed password for invalid user {user} from {address}"
            f" port {source.randrange(1024, 65536)} ssh2",
            app_name="sshd",
            procid=str(source.randrange(1, 99_999)),
            severity=4,
            **fields,
        )

    return [one() for _ in range(count)]


async def test_five_hundred_failed_logins_are_one_meta_alert_at_the_hundredth(
    scene: Scene,
) -> None:
    await scene.store.add_device_team(TeamEntry(hostname="sw*", team_assignment="LAN"), BY)
    async with scene.daemons("a", "b") as (daemon, other):
        await scene.append(failed_logins(99))
        await scene.wait_decided()
        await daemon.meta.look()
        assert await scene.alert_count() == 0
        await scene.append(failed_logins(401))
        [alert] = await scene.wait_alerts(1)
        await scene.wait_decided()
        for each in (daemon, other):
            await each.meta.look()
    assert await scene.alert_count() == 1
    about = alert.event.attributes
    assert 100 <= about["count"] <= 500
    assert about["template"] == (
        "sshd: Failed password for invalid user <user> from <ip> port <num> ssh2"
    )
    for part in ("sw1", about["template"], about["sample"], str(about["count"])):
        assert part in alert.event.message
    assert "Failed password for invalid user" in about["sample"]
    assert (alert.decision.team, alert.decision.handling) == ("LAN", Handling.TICKET_ONLY)
    audited = await scene.store.search_events(EventQuery(rule_id=OWN_RULE_ID), Window())
    assert [each.event for each in audited.items] == [alert.event]
    assert await scene.store.get_event(about["sample_event_id"]) is not None
    kept = await scene.store.get_alert(alert.alert_id)
    assert kept is not None
    assert kept[0].alert == alert


async def test_a_lower_threshold_fires_at_once_without_another_event(scene: Scene) -> None:
    async with scene.daemons("a", "b") as daemons:
        await scene.append(failed_logins(50))
        await scene.wait_decided()
        for daemon in daemons:
            await daemon.meta.look()
        assert await scene.alert_count() == 0
        with trio.fail_after(1):
            for daemon in daemons:
                daemon.dynamic.replace(DynamicSettings(unhandled_threshold=40))
            [alert] = await scene.wait_alerts(1)
        assert alert.event.attributes["count"] == 50
        assert alert.decision.team == "NETO"
    assert await scene.alert_count() == 1


async def test_each_host_and_each_template_is_a_group(scene: Scene) -> None:
    async with scene.daemons("a"):
        await scene.append(failed_logins(99) + failed_logins(99, hostname="sw2"))
        await scene.append([an_event(f"fan {n} ok", hostname="SW2") for n in range(100)])
        [alert] = await scene.wait_alerts(1)
        assert alert.event.attributes["template"] == "fan <num> ok"
        await scene.append(failed_logins(1, hostname="sw2"))
        assert len(await scene.wait_alerts(2)) == 1


async def test_notifications_are_grouped_by_their_name(scene: Scene) -> None:
    async with scene.daemons("a"):
        traps = [
            an_event(
                f"IF-MIB::linkUp ifIndex.{n}={n} ifDescr.{n}=port number {n % 7}",
                trap_oid="1.3.6.1.6.3.1.1.5.4",
                transport=Transport.SNMP,
            )
            for n in range(100)
        ]
        await scene.append(traps)
        [alert] = await scene.wait_alerts(1)
    assert alert.event.attributes["template"] == "IF-MIB::linkUp"


async def test_events_of_a_backlog_count_when_they_were_received(scene: Scene) -> None:
    now = utc_now()
    events = [
        replace(event, received_at=now - timedelta(hours=n))
        for n, event in enumerate(failed_logins(120))
    ]
    async with scene.daemons("a") as (daemon,):
        await scene.append(events[::-1])
        await scene.wait_decided()
        await daemon.meta.look()
    assert await scene.alert_count() == 0


@pytest.mark.parametrize("step", ["ack", "record", "settle"])
async def test_a_crash_between_two_steps_leaves_one_meta_alert(scene: Scene, step: str) -> None:
    """As by kill -9: what another daemon finds is what the backends have."""
    async with scene.daemons("a"):
        await scene.append(failed_logins(98))
        await scene.wait_decided()
    reached = trio.Event()
    door: Any = {"ack": scene.queue, "record": scene.store, "settle": scene.queue.ledger}[step]
    whole = getattr(door, step)

    async def cut(*args: Any, **kwargs: Any) -> Any:
        done = await whole(*args, **kwargs)
        if step != "record" or args[1]:
            reached.set()
            await trio.sleep_forever()
        return done

    setattr(door, step, cut)
    async with scene.daemons("a"):
        await scene.append(failed_logins(2))
        with trio.fail_after(10):
            await reached.wait()
    setattr(door, step, whole)
    async with scene.daemons("a", "b") as daemons:
        await scene.wait_decided()
        [alert] = await scene.wait_alerts(1)
        for daemon in daemons:
            await daemon.meta.look()
    assert await scene.alert_count() == 1
    assert alert.event.attributes["count"] == 100
    audited = await scene.store.search_events(EventQuery(matched=True), Window())
    assert audited.total == 1


async def test_many_templates_are_bounded_and_the_noisy_one_is_still_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MOST, "groups", 200)
    letters = "abcdefghijklmnopqrstuvwxyz"
    async with scene.daemons("a") as (daemon,):
        await scene.append(failed_logins(90))
        await scene.wait_decided()
        words = [a + b + c for a in letters[:4] for b in letters for c in letters]
        await scene.append([an_event(f"say {word}") for word in words])
        await scene.wait_decided()
        await daemon.meta.look()
        summary = daemon.meta.summary()
        assert (summary["groups"], summary["groups_evicted"]) == (200, 4 * 26 * 26 + 1 - 200)
        await scene.append(failed_logins(10))
        [alert] = await scene.wait_alerts(1)
    assert alert.event.attributes["count"] == 100


async def test_what_comes_back_while_held_back_is_raised_by_the_one_who_looks(
    scene: Scene,
) -> None:
    # The rule's alerts stand for an hour, and that hour is over by now.
    then = utc_now() - timedelta(hours=2)
    await scene.store.create_rule(RULE_WITH_BOTH, BY)
    states = ["down", "up", "down", "down"]
    events = [
        an_event(f"port Gi0/1 {state}", received_at=then + timedelta(seconds=n))
        for n, state in enumerate(states)
    ]
    async with scene.daemons("a"):
        await scene.append(events)
        await scene.wait_decided()
        alerts = await scene.wait_alerts(3)
    assert [(a.event.message[-4:], a.held_back) for a in alerts] == [
        ("down", 0),
        ("1 up", 0),
        ("down", 1),
    ]
    assert alerts[2].event == events[3]
    assert len({alert.signature for alert in alerts}) == 1
