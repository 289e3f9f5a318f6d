"""The live feed: ticks, sampling, decisions, buffers. No socket, no store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry, Counter

from muttd.decision import Decided, Decision, Environment, Handling
from muttd.event import Event, Transport
from muttd.queue.fanout import SUBSCRIBER_BATCHES, DecidedBatch, LocalFanout, Received
from muttd.web.live_feed import SHOWN_PER_S, LiveFeed, LiveMetrics, Viewer, text_frame
from muttd.web.live_filter import LiveFilter

MATCHED = Decision(
    environment=Environment.PROD,
    rule_id=7,
    rule_name="down",
    rule_revision=1,
    handling=Handling.PAGE_ONLY,
    team="NETO",
)


def an_event(number: int, **fields: Any) -> Event:
    values: dict[str, Any] = {
        "event_id": f"e{number:06}",
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        "source_ip": "192.0.2.1",
        "hostname": "h",
        "transport": Transport.SYSLOG_UDP,
        "severity": 5,
        "message": f"event {number}",
        "raw": b"\xff",
    }
    return Event(**(values | fields))


def documents(octets: bytes) -> Iterator[dict[str, Any]]:
    """The JSON texts in a row of frames, read by the book (RFC 6455, 5.2)."""
    while octets:
        assert octets[0] == 0x81
        length, start = octets[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(octets[2:start], "big")
        yield json.loads(octets[start : start + length])
        octets = octets[start + length :]


class Desk:
    """A feed that the test ticks, and its viewers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.fanout = LocalFanout()
        self.metrics = LiveMetrics.register(self.registry)
        self.feed = LiveFeed(self.fanout, self.metrics)

    def viewer(self, wanted: LiveFilter | None = None, **options: int) -> Viewer:
        viewer = Viewer(self.metrics.missed, **options)
        self.feed.join(viewer, wanted or LiveFilter())
        return viewer

    def tick(
        self, received: Sequence[Event] = (), decided: Sequence[Event] = (), now: float = 0.0
    ) -> None:
        self.feed.tick(
            [Received(received), DecidedBatch([Decided(event, MATCHED) for event in decided])], now
        )


async def read(viewer: Viewer) -> list[dict[str, Any]]:
    """What waits for the viewer; nothing must be waited for."""
    await trio.lowlevel.checkpoint()
    with trio.fail_after(1):
        return list(documents(await viewer.wait_frames()))


async def is_silent(viewer: Viewer) -> bool:
    with trio.move_on_after(0) as scope:
        await viewer.wait_frames()
    return scope.cancelled_caught


@pytest.mark.parametrize("length", [8, 125, 126, 65_535, 65_536])
def test_a_frame_says_its_length_in_the_shortest_form(length: int) -> None:
    document = {"x": "y" * (length - len('{"x":""}'))}
    frame = text_frame(document)
    assert len(frame) - length in {2, 4, 10}
    assert list(documents(frame)) == [document]


async def test_an_event_shows_at_receipt_and_its_decision_follows() -> None:
    desk = Desk()
    viewer = desk.viewer()
    event = an_event(1)
    desk.tick([event])
    [message] = await read(viewer)
    assert (message["type"], message["sampled"]) == ("events", 1)
    [shown] = message["events"]
    assert (shown["event_id"], shown["pending"], shown["matched"]) == ("e000001", True, None)
    assert shown["raw"] == "/w=="
    desk.tick([], [event])
    [message] = await read(viewer)
    assert message == {
        "type": "decisions",
        "decisions": [
            {
                "event_id": "e000001",
                "matched": True,
                "rule_id": 7,
                "rule_name": "down",
                "rule_revision": 1,
                "handling": "Page_only",
                "environment": "prod",
                "team": "NETO",
                "is_clear": False,
                "held_by": None,
            }
        ],
    }
    desk.tick([], [event])
    assert await is_silent(viewer)


async def test_an_event_decided_within_its_tick_shows_decided_at_once() -> None:
    desk = Desk()
    viewer = desk.viewer()
    desk.tick([an_event(1)], [an_event(1)])
    [message] = await read(viewer)
    assert message["events"][0]["pending"] is False
    assert message["events"][0]["team"] == "NETO"


async def test_a_decision_that_overtakes_its_event_is_not_lost() -> None:
    desk = Desk()
    viewer = desk.viewer()
    desk.tick([], [an_event(1)])
    desk.tick([an_event(1)])
    [message] = await read(viewer)
    assert message["events"][0]["rule_id"] == 7


async def test_a_filter_on_the_decision_shows_each_event_once_after_it() -> None:
    desk = Desk()
    viewer = desk.viewer(LiveFilter(team="NETO"))
    other = desk.viewer(LiveFilter(team="SRE"))
    desk.tick([an_event(1)])
    assert await is_silent(viewer)
    desk.tick([], [an_event(1)])
    [message] = await read(viewer)
    assert message["events"][0]["pending"] is False
    assert await is_silent(other)


async def test_a_viewer_gets_what_it_filters_for_and_may_change_it() -> None:
    desk = Desk()
    viewer = desk.viewer(LiveFilter(severity=3))
    desk.tick([an_event(1), an_event(2, severity=3)])
    [message] = await read(viewer)
    assert [event["event_id"] for event in message["events"]] == ["e000002"]
    desk.feed.join(viewer, LiveFilter(severity=5))
    desk.tick([an_event(3), an_event(4, severity=3)])
    [message] = await read(viewer)
    assert [event["event_id"] for event in message["events"]] == ["e000003"]
    assert desk.feed.viewer_count == 1


async def test_under_flood_one_event_in_n_is_shown_and_n_is_said() -> None:
    desk = Desk()
    viewer = desk.viewer()
    shown = stood_for = 0
    ticks = 200
    for number in range(ticks):
        desk.tick([an_event(n) for n in range(200)], now=number * 0.02)
        for message in await read(viewer):
            shown += len(message["events"])
            stood_for += len(message["events"]) * message["sampled"]
    seconds = ticks * 0.02
    assert shown <= SHOWN_PER_S * (seconds + 1) * 1.1
    assert shown >= SHOWN_PER_S * seconds * 0.9
    # Honest: what is shown, times n, is what came.
    assert stood_for == pytest.approx(ticks * 200, rel=0.05)


async def test_a_burst_within_a_second_is_shown_whole() -> None:
    desk = Desk()
    viewer = desk.viewer()
    desk.tick([an_event(n) for n in range(SHOWN_PER_S)])
    [message] = await read(viewer)
    assert (len(message["events"]), message["sampled"]) == (SHOWN_PER_S, 1)


async def test_a_paused_viewer_gets_nothing_and_afterwards_the_decisions_of_what_it_saw() -> None:
    desk = Desk()
    viewer = desk.viewer()
    desk.tick([an_event(1)])
    await read(viewer)
    viewer.pause()
    desk.tick([an_event(2)], [an_event(1)])
    assert await is_silent(viewer)
    assert viewer.missed == 0
    viewer.resume()
    [message] = await read(viewer)
    assert [each["event_id"] for each in message["decisions"]] == ["e000001"]


async def test_a_viewer_that_does_not_keep_up_misses_events_and_they_are_counted() -> None:
    desk = Desk()
    slow = desk.viewer(max_octets=2000)
    quick = desk.viewer()
    for number in range(10):
        desk.tick([an_event(number)], now=number)
        assert len((await read(quick))[0]["events"]) == 1
    got = len(await read(slow))
    assert 0 < got < 10
    assert slow.missed == 10 - got
    assert quick.missed == 0
    assert desk.registry.get_sample_value("muttd_live_missed_total") == 10 - got
    assert desk.registry.get_sample_value("muttd_live_shown_total") == 10 + got


async def test_large_events_do_not_make_a_frame_that_no_buffer_holds() -> None:
    desk = Desk()
    viewer = desk.viewer()
    desk.tick([an_event(n, message="x" * 65_536) for n in range(100)])
    [message] = await read(viewer)
    assert len(message["events"]) == 3
    assert viewer.missed == 97


async def test_waiting_for_decisions_is_bounded() -> None:
    desk = Desk()
    viewer = desk.viewer()
    for number in range(3000):
        desk.tick([an_event(number)], now=float(number))
    await read(viewer)
    desk.tick([], [an_event(0), an_event(2999)])
    [message] = await read(viewer)
    assert [each["event_id"] for each in message["decisions"]] == ["e002999"]


async def test_viewers_with_one_filter_share_their_frames() -> None:
    desk = Desk()
    viewers = [desk.viewer(), desk.viewer(LiveFilter())]
    desk.tick([an_event(1)])
    first, second = [await viewer.wait_frames() for viewer in viewers]
    assert first == second


async def test_the_feed_is_subscribed_only_while_somebody_looks(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    desk = Desk()
    nursery.start_soon(desk.feed.serve)
    for _ in range(2):
        await trio.testing.wait_all_tasks_blocked()
        assert desk.fanout.subscriber_count == 0
        viewer = desk.viewer()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.fanout.subscriber_count == 1
        desk.fanout.publish(Received([an_event(1)]))
        [message] = list(documents(await viewer.wait_frames()))
        assert message["type"] == "events"
        desk.feed.leave(viewer)
        desk.feed.leave(viewer)
        await trio.sleep(2)


async def test_stats_come_once_a_second(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    desk = Desk()
    viewer = desk.viewer()
    paused = desk.viewer()
    paused.pause()
    nursery.start_soon(desk.feed.serve)
    await trio.testing.wait_all_tasks_blocked()
    desk.fanout.publish(Received([an_event(n) for n in range(50)]))
    await trio.sleep(1.5)
    events, stats = list(documents(await viewer.wait_frames()))
    assert len(events["events"]) == 50
    assert stats["type"] == "stats"
    assert stats["received_per_s"] == pytest.approx(50, rel=0.05)
    assert stats["shown_per_s"] == pytest.approx(50, rel=0.05)
    assert stats["missed"] == 0
    await trio.sleep(3)
    assert [each["received_per_s"] for each in documents(await viewer.wait_frames())] == [0.0] * 3
    paused.resume()
    assert await is_silent(paused)


async def test_what_the_feed_itself_misses_is_counted_for_its_viewers(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    desk = Desk()
    viewer = desk.viewer()
    nursery.start_soon(desk.feed.serve)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(SUBSCRIBER_BATCHES + 11):
        desk.fanout.publish(Received([an_event(1)]))
    await trio.sleep(0.1)
    # One of them is in the hands of the receiver that waited for it.
    assert viewer.missed == 10


def test_a_viewer_counts_into_what_it_is_given() -> None:
    total = Counter("missed", "Missed.", registry=CollectorRegistry())
    viewer = Viewer(total, max_octets=1)
    assert viewer.offer(b"xx", event_count=3) is False
    assert viewer.missed == 3
