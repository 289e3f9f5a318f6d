"""muttd/workers/alerter.py and guard.py on a real queue and store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from interruption import Interruption, an_event, wait_until
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.arrivals import Arrivals, Origin, decode_entry, encode_arrivals
from muttd.decision import AlertState, Decision, Environment, Handling, decode_alerts
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport, encode_events, utc_now
from muttd.event_ids import EventIds
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.fanout import DecidedBatch, LocalFanout
from muttd.queue.letters import LetterKind, LetterQuery
from muttd.rules.model import RuleDraft
from muttd.store.contract import Change, EventQuery, Rows, Store, Window
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.routing import Router, Routes
from muttd.workers.rules_watch import RulesWatch

A_RULE = RuleDraft(
    name="link down",
    match_string="LINK-3-UPDOWN",
    prod_handling=Handling.PAGE_AND_TICKET,
    dev_handling=Handling.LOG_ONLY,
    team_assignment="NETO",
)


@dataclass
class Scene:
    """An alerter that runs, and what is around it."""

    alerter: Alerter
    queue: Interruption
    store: Interruption
    rules: RulesWatch
    fanout: LocalFanout

    async def append(self, *events: Event) -> None:
        await self.queue.append(Stream.INGEST, [Batch(encode_events(events), len(events))])

    async def wait_items(self, stream: Stream, count: int) -> None:
        async def is_so() -> bool:
            depth = await self.queue.depth(stream)
            return bool(depth.items == count)

        await wait_until(is_so)

    async def wait_held_up(self) -> None:
        async def is_so() -> bool:
            return self.alerter.is_held_up

        await wait_until(is_so)

    async def stored(self) -> list[str]:
        page = await self.store.search_events(EventQuery(), Window())
        return [decided.event.message for decided in page.items]


Start = Callable[..., Any]


@pytest.fixture
async def start(
    queue: Queue,
    store: Store,
    registry: CollectorRegistry,
    accounts: Accounts,
    nursery: trio.Nursery,
    tmp_path: Path,
) -> Start:
    """Start an alerter on a store with one rule."""

    async def start(**policy: Any) -> Scene:
        await store.create_rule(A_RULE, Change(actor="test"))
        doors = Interruption(queue), Interruption(store)
        rules = RulesWatch(doors[1], check_interval_s=0.05, snapshot=tmp_path / "rules.snapshot")
        fanout = LocalFanout()
        alerter = Alerter(
            Neighbours(
                queue=doors[0], store=doors[1], fanout=fanout, rules=rules, accounts=accounts
            ),
            AlerterPolicy(
                **{
                    "consumer": "test",
                    "batch_entries": 8,
                    "claim_idle_s": 0.1,
                    "dynamic": Dynamic(DynamicSettings(alerter_max_retries=3)),
                    "router": Router(Routes(default="moog", names=frozenset({"moog"}))),
                    **policy,
                }
            ),
            AlerterMetrics(registry),
        )
        nursery.start_soon(rules.run)
        nursery.start_soon(alerter.run)
        return Scene(alerter, *doors, rules, fanout)

    return start


def arrivals(*messages: bytes) -> Arrivals:
    origin = Origin(
        transport=Transport.SYSLOG_UDP, received_at=utc_now(), zone="UTC", max_octets=480
    )
    return Arrivals(EventIds().first_of(len(messages)), origin, ["192.0.2.1"], list(messages))


async def alerts_in(scene: Scene) -> list[str]:
    entries = await scene.queue.take(Stream.ALERT, "test", count=10, wait_s=0)
    return [alert.alert_id for entry in entries for alert in decode_alerts(entry.payload)]


async def test_a_matched_event_is_audited_and_its_alert_is_in_the_alert_stream(
    start: Start,
) -> None:
    scene = await start()
    event = an_event("LINK-3-UPDOWN now")
    await scene.append(event, an_event("nothing"))
    await scene.wait_items(Stream.ALERT, 1)
    assert sorted(await scene.stored()) == ["LINK-3-UPDOWN now", "nothing"]
    [alert_id] = await alerts_in(scene)
    assert alert_id == f"{event.event_id}.1"
    assert scene.alerter.tally() == {
        "matched": 1,
        "unmatched": 1,
        "alerts": 1,
        "held_back": 0,
        "buried": 0,
    }


async def test_while_the_store_is_away_events_wait_and_nothing_is_buried(start: Start) -> None:
    scene = await start()
    await scene.rules.wait_loaded()
    scene.store.is_away = True
    await scene.append(an_event("patience"))
    await scene.wait_held_up()
    assert (await scene.queue.depth(Stream.INGEST)).items == 1
    scene.store.is_away = False
    await scene.wait_items(Stream.INGEST, 0)
    assert await scene.stored() == ["patience"]
    assert not scene.alerter.is_held_up
    assert await scene.queue.letters.count(LetterQuery(kind=LetterKind.EVENT)) == 0


async def test_while_the_queue_is_away_acks_wait_and_no_effect_is_doubled(start: Start) -> None:
    scene = await start()
    await scene.append(an_event("LINK-3-UPDOWN"))
    await scene.wait_items(Stream.ALERT, 1)
    scene.queue.is_away = True
    await scene.wait_held_up()
    scene.queue.is_away = False
    await scene.append(an_event("after"))
    await scene.wait_items(Stream.INGEST, 0)
    assert len(await scene.stored()) == 2
    assert len(await alerts_in(scene)) == 1


async def test_without_history_only_matched_events_are_stored(start: Start) -> None:
    scene = await start(dynamic=Dynamic(DynamicSettings(history_days=0)))
    await scene.append(an_event("nothing"), an_event("LINK-3-UPDOWN"))
    await scene.wait_items(Stream.ALERT, 1)
    assert await scene.stored() == ["LINK-3-UPDOWN"]


async def test_without_a_destination_alerts_are_kept_and_not_queued(start: Start) -> None:
    scene = await start(router=Router())
    await scene.append(an_event("LINK-3-UPDOWN"))
    await scene.wait_items(Stream.INGEST, 0)
    found = await scene.store.search_alerts(state=None, hostname=None, window=Window())
    assert [each.state for each in found.items] == [AlertState.UNROUTED]
    assert (await scene.queue.depth(Stream.ALERT)).items == 0


async def test_viewers_see_decisions_once_the_store_has_them(start: Start) -> None:
    scene = await start()
    async with scene.fanout.subscribe() as subscription:
        await scene.append(an_event("LINK-3-UPDOWN"))
        batch = await subscription.batches.receive()
    assert isinstance(batch, DecidedBatch)
    assert batch.decided[0].decision.rule_name == "link down"


class BrokenRules:
    """Rules with a fault of the code: some event makes them raise."""

    expected_sources = ()

    def decide(self, event: Event) -> Decision:
        if "poison" in event.message:
            raise ZeroDivisionError("a fault of ours")
        return Decision(environment=Environment.PROD)

    def decide_batch(self, events: Sequence[Event]) -> list[Decision]:
        return [self.decide(event) for event in events]


async def test_an_event_that_makes_the_code_fail_is_buried_and_costs_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await start()
    monkeypatch.setattr(RulesWatch, "current", BrokenRules())
    await scene.append(an_event("before"), an_event("poison"), an_event("behind"))
    await scene.wait_items(Stream.INGEST, 0)
    assert sorted(await scene.stored()) == ["before", "behind"]
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.EVENT))
    assert (letter.reason, letter.attempts) == ("poison", 3)
    assert letter.error == "ZeroDivisionError: a fault of ours"
    assert scene.alerter.tally()["buried"] == 1


async def test_an_event_that_cannot_be_recorded_is_buried_and_costs_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await start()
    await scene.rules.wait_loaded()
    monkeypatch.setattr(
        "muttd.workers.verdicts.signature_of", lambda event, decision: event.attributes["absent"]
    )
    await scene.append(an_event("plain"), an_event("LINK-3-UPDOWN"))
    await scene.wait_items(Stream.INGEST, 0)
    assert await scene.stored() == ["plain"]
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.EVENT))
    assert letter.error == "KeyError: 'absent'"


async def test_an_entry_that_is_no_batch_of_events_is_buried(start: Start) -> None:
    scene = await start()
    await scene.queue.append(Stream.INGEST, [Batch(b"\xc1", 1)])
    await scene.wait_items(Stream.INGEST, 0)
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.EVENT))
    assert (letter.reason, letter.payload) == ("undecodable", b"\xc1")


async def test_what_killed_the_daemon_again_and_again_is_split_then_buried(
    start: Start, queue: Queue
) -> None:
    await queue.append(Stream.INGEST, [Batch(encode_events([an_event("a"), an_event("b")]), 2)])
    await queue.append(Stream.INGEST, [Batch(encode_events([an_event("alone")]), 1)])
    await queue.take(Stream.INGEST, "dead", count=10, wait_s=0)
    for n in range(3):
        await queue.claim_idle(Stream.INGEST, f"dead-{n}", idle_s=0, count=10)
    scene = await start()
    await scene.wait_items(Stream.INGEST, 0)
    assert sorted(await scene.stored()) == ["a", "b"]
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.EVENT))
    assert letter.error == "taken 4 times and never finished"


async def test_messages_are_parsed_and_the_malformed_ones_counted_once(
    start: Start, queue: Queue, accounts: Accounts
) -> None:
    await queue.append(Stream.INGEST, [Batch(encode_arrivals([arrivals(b"<13>a", b"<999>b")]), 2)])
    await queue.append(Stream.INGEST, [Batch(encode_arrivals([arrivals(b"<999>again")]), 1)])
    await queue.take(Stream.INGEST, "other", count=10, wait_s=0)
    scene = await start()
    await scene.wait_items(Stream.INGEST, 0)
    assert sorted(await scene.stored()) == ["a", "again", "b"]
    assert accounts["syslog_udp"].malformed == 0
    await queue.append(Stream.INGEST, [Batch(encode_arrivals([arrivals(b"<13>c", b"<999>d")]), 2)])
    await scene.wait_items(Stream.INGEST, 0)
    assert accounts["syslog_udp"].malformed == 1


async def test_messages_that_killed_the_daemon_again_and_again_are_not_parsed_once_more(
    start: Start, queue: Queue
) -> None:
    """Split first, then buried as they came: it may be the parser that it died in."""
    whole, alone = arrivals(b"<13>a", b"<13>b"), arrivals(b"<13>alone")
    for each in (whole, alone):
        await queue.append(Stream.INGEST, [Batch(encode_arrivals([each]), len(each))])
    await queue.take(Stream.INGEST, "dead", count=10, wait_s=0)
    for n in range(3):
        await queue.claim_idle(Stream.INGEST, f"dead-{n}", idle_s=0, count=10)
    scene = await start()
    await scene.wait_items(Stream.INGEST, 0)
    assert sorted(await scene.stored()) == ["a", "b"]
    [letter] = await scene.queue.letters.find(LetterQuery(kind=LetterKind.EVENT))
    assert letter.error == "taken 4 times and never finished"
    assert decode_entry(letter.payload).all_events() == alone.events()


async def test_stop_finishes_the_round_under_way(start: Start) -> None:
    scene = await start()
    await scene.append(an_event("last"))
    await scene.wait_items(Stream.INGEST, 0)
    scene.alerter.stop()
    with trio.fail_after(10):
        await scene.alerter.wait_stopped()
    assert await scene.stored() == ["last"]


async def test_what_was_begun_and_not_finished_goes_to_another_at_once(start: Start) -> None:
    scene = await start(claim_idle_s=3600.0)
    await scene.rules.wait_loaded()
    scene.store.is_away = True
    await scene.append(an_event("a"), an_event("b"))
    await scene.wait_held_up()
    assert await scene.queue.take(Stream.INGEST, "another", count=1, wait_s=0) == []
    scene.alerter.leave_when_held_up()
    [entry] = await scene.queue.take(Stream.INGEST, "another", count=1, wait_s=10)
    assert (entry.item_count, entry.deliveries) == (2, 1)


async def test_one_round_is_decided_while_the_one_before_is_made_to_last(start: Start) -> None:
    scene = await start(batch_entries=1)
    await scene.rules.wait_loaded()
    scene.store.answers = trio.Event()
    texts = ["first", "second", "third"]
    for text in texts:
        await scene.append(an_event(text))
    # One at the store's door, one decided, and the third nobody has touched.
    await wait_pending(scene, 2)
    answers, scene.store.answers = scene.store.answers, None
    answers.set()
    await scene.wait_items(Stream.INGEST, 0)
    assert sorted(await scene.stored()) == texts


async def test_who_stops_while_the_store_is_away_hands_back_both_rounds(start: Start) -> None:
    scene = await start(batch_entries=1, claim_idle_s=60.0)
    await scene.rules.wait_loaded()
    scene.store.is_away = True
    for text in ("first", "second", "third"):
        await scene.append(an_event(text))
    await wait_pending(scene, 2)
    scene.alerter.stop()
    await scene.alerter.wait_stopped()
    depth = await scene.queue.depth(Stream.INGEST)
    assert (depth.items, depth.pending_items) == (3, 0)


async def wait_pending(scene: Scene, count: int) -> None:
    async def is_so() -> bool:
        return bool((await scene.queue.depth(Stream.INGEST)).pending_items == count)

    await wait_until(is_so)


def spy_on_rounds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each round has, from now on: an entry's rows are one Rows."""
    sizes: list[int] = []
    record_rows = scene.store.record_rows

    async def spy(rows: Sequence[Rows], *args: Any) -> None:
        sizes.append(len(rows))
        await record_rows(rows, *args)

    monkeypatch.setattr(scene.store, "record_rows", spy, raising=False)
    return sizes


async def test_rounds_grow_while_there_is_more_than_they_hold(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await start(batch_entries=64)
    sizes = spy_on_rounds(scene, monkeypatch)
    await scene.queue.append(Stream.INGEST, [Batch(encode_events([an_event("x")]), 1)] * 130)
    await scene.wait_items(Stream.INGEST, 0)
    assert sizes == [16, 32, 64, 18]


async def test_rounds_hold_about_as_many_octets_at_most(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(encode_events([an_event("x")]), 1)
    monkeypatch.setattr("muttd.workers.alerter._ROUND_OCTETS", 5 * len(batch.payload))
    scene = await start(batch_entries=64)
    sizes = spy_on_rounds(scene, monkeypatch)
    await scene.queue.append(Stream.INGEST, [batch] * 30)
    await scene.wait_items(Stream.INGEST, 0)
    assert sizes == [16, 5, 5, 4]
