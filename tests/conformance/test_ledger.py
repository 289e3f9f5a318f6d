"""What every ledger promises: counted once, judged once, raised once."""

from __future__ import annotations

from typing import Any

import pytest
from samples import a_batch

from bench import Bench
from muttd.queue.contract import Stream
from muttd.queue.ledger import MOST, Claim, Counted, Due, Fallen, Ledger, Said, Sighting

S = 1_000_000
DAY = 86_400 * S
# A morning in 2025.
T = 1_743_300_000 * S
INGEST, ALERT = Stream.INGEST, Stream.ALERT


@pytest.fixture
def ledger(bench: Bench) -> Ledger:
    return bench.queue.ledger


async def count(bench: Bench, counted: Counted) -> None:
    """Count with the ack of one entry."""
    await bench.queue.append(INGEST, [a_batch(1)])
    entries = await bench.queue.take(INGEST, "a", count=10, wait_s=0)
    await bench.queue.ack(INGEST, [entry.entry_id for entry in entries], counted=counted)


def seen(
    number: int, *, at: int = T, key: str = "g", threshold: int = 100, window: int = DAY
) -> Counted:
    sighting = Sighting(key, f"about {key} é", [at, number])
    return Counted(threshold, window, sightings=[sighting])


async def due(ledger: Ledger, *, now: int = T, window: int = DAY) -> list[Due]:
    found, _ = await ledger.due(now_us=now, window_us=window)
    return found


# --- groups


async def test_a_group_becomes_due_when_it_reaches_the_threshold(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, seen(60))
    await count(bench, seen(39, at=T + S))
    assert await due(ledger) == []
    await count(bench, seen(1, at=T + 2 * S))
    assert await due(ledger) == [
        Due(f"unhandled:g:{T + 2 * S}", "unhandled", T + 2 * S, 100, DAY, "about g é")
    ]


async def test_a_group_that_became_due_is_silent_for_the_window(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, seen(100))
    await count(bench, seen(500, at=T + DAY // 2))
    assert len(await due(ledger)) == 1
    await count(bench, seen(1, at=T + DAY - S))
    assert len(await due(ledger)) == 1
    # The window is exact to a part of itself.
    await count(bench, seen(1, at=T + DAY + DAY // 32))
    assert [each.count for each in await due(ledger)] == [100, 502]


async def test_the_window_slides(bench: Bench, ledger: Ledger) -> None:
    for n in range(10):
        # Never more than nine of these in a window.
        await count(bench, seen(11, at=T + n * 10 * S, window=80 * S))
    assert await due(ledger, window=80 * S) == []
    await count(bench, seen(11, at=T + 92 * S, window=80 * S))
    assert await due(ledger, window=80 * S) == []
    await count(bench, seen(1, at=T + 92 * S, window=80 * S))
    [found] = await due(ledger, window=80 * S)
    assert found.count == 8 * 11 + 12


async def test_groups_do_not_mix_and_one_ack_counts_several(bench: Bench, ledger: Ledger) -> None:
    sightings = [Sighting(f"g{n}", "x", [T, n, T + S, n]) for n in range(40, 60)]
    await count(bench, Counted(100, DAY, sightings=sightings))
    assert [each.count for each in await due(ledger)] == [2 * n for n in range(50, 60)]


async def test_an_ack_that_is_repeated_counts_once(bench: Bench, ledger: Ledger) -> None:
    await bench.queue.append(INGEST, [a_batch(1)])
    [entry] = await bench.queue.take(INGEST, "a", count=1, wait_s=0)
    for _ in range(3):
        await bench.queue.ack(INGEST, [entry.entry_id], counted=seen(60))
    assert await due(ledger) == []
    await count(bench, seen(40))
    assert [each.count for each in await due(ledger)] == [100]


async def test_a_lower_threshold_is_reached_without_another_event(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, seen(50))
    await count(bench, seen(39, key="h"))
    assert await ledger.recount(now_us=T + S, threshold=51, window_us=DAY) == 0
    assert await ledger.recount(now_us=T + S, threshold=40, window_us=DAY) == 1
    assert await ledger.recount(now_us=T + S, threshold=40, window_us=DAY) == 0
    assert [each.count for each in await due(ledger)] == [50]


async def test_a_recount_looks_at_every_group(bench: Bench, ledger: Ledger) -> None:
    sightings = [Sighting(f"g{n}", "x", [T, 2]) for n in range(1234)]
    await count(bench, Counted(100, DAY, sightings=sightings))
    assert await ledger.recount(now_us=T, threshold=2, window_us=DAY) == 1234
    _, stats = await ledger.due(now_us=T, window_us=DAY)
    assert stats.held["due"] == 1234


async def test_groups_are_bounded_and_the_least_useful_go_first(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MOST, "groups", 100)
    await count(bench, seen(90, key="noisy"))
    for n in range(10):
        at = T + n * S
        sightings = [Sighting(f"{n}-{i}", "x", [at, 1]) for i in range(50)]
        await count(bench, Counted(100, DAY, sightings=sightings))
    _, stats = await ledger.due(now_us=T, window_us=DAY)
    assert (stats.held["groups"], stats.evicted["groups"]) == (100, 401)
    await count(bench, seen(10, key="noisy", at=T + 20 * S))
    assert [each.count for each in await due(ledger)] == [100]


async def test_groups_that_nobody_counts_any_more_are_forgotten(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, seen(1))
    await ledger.due(now_us=T + DAY + DAY // 50, window_us=DAY)
    _, stats = await ledger.due(now_us=T + DAY + DAY // 50, window_us=DAY)
    assert (stats.held["groups"], stats.evicted["groups"]) == (0, 0)


async def test_what_is_settled_leaves_the_outbox_with_its_alert_once(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, seen(100))
    await count(bench, seen(100, key="h"))
    ids = [each.due_id for each in await due(ledger)]
    for _ in range(2):
        await ledger.settle([(ids[0], a_batch(1)), (ids[1], None)])
    assert await due(ledger) == []
    [entry] = await bench.queue.take(ALERT, "a", count=10, wait_s=0)
    assert entry.payload == a_batch(1).payload


# --- repetitions


def a_claim(n: int, *, at: int = 0, interval: int = 60, pair: str = "", **more: object) -> Claim:
    values: dict[str, object] = {
        "alert_id": f"e{n}.1",
        "at_us": T + at * S,
        "interval_us": interval * S,
        "repeat_key": "s",
        "pair": pair,
        "signature": "sw1::LINK::down::Gi0/1",
        "names": ["Gi0/1"],
        "is_clear": False,
        "alert": f"alert {n} é",
    }
    return Claim(**(values | more))  # type: ignore[arg-type]  # the test says what it means


async def said(ledger: Ledger, *claims: Claim) -> list[tuple[Said, int, str]]:
    verdicts = await ledger.judge(claims)
    return [(each.said, each.held_back, each.held_by) for each in verdicts]


async def test_one_alert_of_a_signature_goes_out_in_an_interval(ledger: Ledger) -> None:
    assert await said(ledger, a_claim(1), a_claim(2, at=1)) == [
        (Said.SEND, 0, ""),
        (Said.HOLD, 0, "e1.1"),
    ]
    assert await said(ledger, a_claim(3, at=59)) == [(Said.HOLD, 0, "e1.1")]
    assert await said(ledger, a_claim(4, at=60)) == [(Said.SEND, 2, "")]
    assert await said(ledger, a_claim(5, at=61)) == [(Said.HOLD, 0, "e4.1")]
    assert await said(ledger, a_claim(6, at=61, repeat_key="other")) == [(Said.SEND, 0, "")]


async def test_a_claim_that_is_judged_again_hears_the_same_and_counts_once(
    bench: Bench, ledger: Ledger
) -> None:
    for _ in range(3):
        assert await said(ledger, a_claim(1), a_claim(2, at=1)) == [
            (Said.SEND, 0, ""),
            (Said.HOLD, 0, "e1.1"),
        ]
    assert await said(ledger, a_claim(4, at=60)) == [(Said.SEND, 1, "")]
    await count(bench, Counted(100, DAY, judged=["e1.1", "e2.1", "e4.1"]))
    _, stats = await ledger.due(now_us=T, window_us=DAY)
    assert stats.held["judged"] == 0


async def test_how_many_were_held_back_is_told_days_later(ledger: Ledger) -> None:
    await said(ledger, a_claim(1), a_claim(2, at=1))
    await ledger.due(now_us=T + DAY, window_us=DAY)
    assert await said(ledger, a_claim(3, at=86_400)) == [(Said.SEND, 1, "")]


# --- problems and what ends them


PAIR: dict[str, Any] = {"interval": 0, "pair": "1@sw1"}


def a_problem(n: int, at: int, **more: object) -> Claim:
    return a_claim(n, at=at, **{**PAIR, **more})


def a_clear(n: int, at: int, **more: object) -> Claim:
    return a_claim(n, at=at, **{**PAIR, **more, "is_clear": True})


async def ended(ledger: Ledger, *claims: Claim) -> list[list[str]]:
    return [each.ended for each in await ledger.judge(claims)]


async def test_a_clear_ends_the_problem_that_was_raised_once(ledger: Ledger) -> None:
    signature = "sw1::LINK::down::Gi0/1"
    assert await ended(ledger, a_problem(1, 1), a_clear(2, 2)) == [[], [signature]]
    assert await ended(ledger, a_clear(3, 3)) == [[]]
    assert await ended(ledger, a_clear(2, 2)) == [[signature]]


async def test_a_clear_ends_only_what_it_names(ledger: Ledger) -> None:
    one = a_problem(1, 1, names=["Gi0/1"], signature="one")
    two = a_problem(2, 2, names=["Gi0/2", "uplink"], signature="two")
    elsewhere = a_claim(3, interval=0, pair="1@sw2", signature="elsewhere")
    await ledger.judge([one, two, elsewhere])
    assert await ended(ledger, a_clear(4, 4, names=["Gi0/3"])) == [[]]
    assert await ended(ledger, a_clear(5, 5, names=["Gi0/2"])) == [["two"]]
    assert await ended(ledger, a_clear(6, 6, names=[])) == [["one"]]


async def test_a_clear_that_overtook_its_problem_comes_after_it(ledger: Ledger) -> None:
    assert await ended(ledger, a_clear(2, 2)) == [[]]
    [verdict] = await ledger.judge([a_problem(1, 1)])
    assert (verdict.said, verdict.ended) == (Said.SEND, ["alert 2 é"])
    assert await ended(ledger, a_problem(3, 3)) == [[]]
    assert await ended(ledger, a_clear(4, 4)) == [["sw1::LINK::down::Gi0/1"]]


async def test_a_problem_that_comes_back_while_held_back_is_raised_at_the_end(
    ledger: Ledger,
) -> None:
    def flap(n: int, at: int, *, is_clear: bool = False) -> Claim:
        return a_claim(n, at=at, pair="1@sw1", is_clear=is_clear)

    verdicts = await ledger.judge(
        [flap(1, 0), flap(2, 1, is_clear=True), flap(3, 2), flap(4, 3), flap(5, 4)]
    )
    assert [each.said for each in verdicts] == [Said.SEND, Said.CLEAR, *[Said.HOLD] * 3]
    assert await due(ledger, now=T + 59 * S) == []
    # The newest of them; the two before it were held back.
    expected = Due("alert:e5.1", "alert", T + 60 * S, 2, 0, "alert 5 é")
    assert await due(ledger, now=T + 61 * S) == [expected]
    await ledger.settle([("alert:e5.1", a_batch(1))])
    # It is open now, and stands for others.
    assert await said(ledger, flap(6, 62)) == [(Said.HOLD, 0, "e5.1")]
    assert await ended(ledger, flap(7, 63, is_clear=True)) == [["sw1::LINK::down::Gi0/1"]]


async def test_a_clear_does_not_overtake_its_problem_in_the_outbox(
    bench: Bench, ledger: Ledger
) -> None:
    claims = [a_claim(n, at=n, pair="1@sw1", is_clear=n == 2) for n in (1, 2, 3)]
    await ledger.judge(claims)
    [found] = await due(ledger, now=T + 70 * S)
    # It was not raised yet, and is over: neither of the two is sent.
    assert await ended(ledger, a_claim(4, at=71, pair="1@sw1", is_clear=True)) == [[]]
    await ledger.settle([(found.due_id, a_batch(1))])
    assert await due(ledger, now=T + 71 * S) == []
    assert (await bench.queue.depth(ALERT)).items == 0


async def test_a_problem_that_is_over_before_the_end_is_not_raised(ledger: Ledger) -> None:
    claims = [a_claim(n, at=n, pair="1@sw1", is_clear=not n % 2) for n in range(1, 9)]
    verdicts = await ledger.judge(claims)
    assert [each.ended for each in verdicts] == [[], [claims[0].signature], *[[]] * 6]
    assert await due(ledger, now=T + 100 * S) == []
    assert await said(ledger, a_claim(9, at=61, pair="1@sw1")) == [(Said.SEND, 3, "")]


# --- silence

WATCH: dict[str, Any] = {"gap_us": 10 * S, "quiet_before_us": T + 10**9 * S}


async def test_hosts_are_known_by_when_they_were_heard_last(bench: Bench, ledger: Ledger) -> None:
    hosts = [("a", "192.0.2.1", T), ("b", "192.0.2.2", T + 5), ("a", "192.0.2.9", T - 7)]
    await count(bench, Counted(100, DAY, hosts=hosts))
    found = await ledger.watch("me", now_us=T + S, adopt=["c"], **WATCH)
    assert found is not None
    assert found.quiet == [("a", "192.0.2.1", T), ("b", "192.0.2.2", T + 5), ("c", "", T + S)]
    assert (found.since_us, found.silent) == (T + S, [])


async def test_one_daemon_watches_and_another_after_it_is_gone(ledger: Ledger) -> None:
    assert await ledger.watch("me", now_us=T, adopt=[], **WATCH) is not None
    assert await ledger.watch("you", now_us=T + 5 * S, adopt=[], **WATCH) is None
    again = await ledger.watch("me", now_us=T + 5 * S, adopt=[], **WATCH)
    assert again is not None
    assert again.since_us == T
    taken_over = await ledger.watch("you", now_us=T + 11 * S, adopt=[], **WATCH)
    assert taken_over is not None
    assert taken_over.since_us == T
    assert await ledger.watch("me", now_us=T + 12 * S, adopt=[], **WATCH) is None
    # Nobody knows what was said meanwhile.
    much_later = await ledger.watch("me", now_us=T + 22 * S, adopt=[], **WATCH)
    assert much_later is not None
    assert much_later.since_us == T + 22 * S


async def test_a_silent_host_is_reported_once_and_so_is_its_return(
    bench: Bench, ledger: Ledger
) -> None:
    await count(bench, Counted(100, DAY, hosts=[("a", "192.0.2.1", T)]))
    fallen = Fallen("a", T, T + 60 * S, 50 * S, "about a")
    for _ in range(2):
        await ledger.fall_silent([fallen])
    silent = Due(f"silent:a:{T}", "silent", T + 60 * S, 0, 50 * S, "about a")
    assert await due(ledger) == [silent]
    found = await ledger.watch("me", now_us=T, adopt=["a"], **WATCH)
    assert found is not None
    assert [(each.host, each.last_us) for each in found.silent] == [("a", None)]
    await count(bench, Counted(100, DAY, hosts=[("a", "192.0.2.1", T + 70 * S)]))
    found = await ledger.watch("me", now_us=T, adopt=[], **WATCH)
    assert found is not None
    assert [(each.host, each.last_us) for each in found.silent] == [("a", T + 70 * S)]
    for _ in range(2):
        await ledger.end_silence(["a"], now_us=T + 71 * S, forget=["a"])
    back = Due(f"silent:a:{T}:back", "back", T + 71 * S, 0, 0, "about a")
    assert await due(ledger) == [silent, back]
    found = await ledger.watch("me", now_us=T, adopt=[], **WATCH)
    assert found is not None
    assert (found.quiet, found.silent) == ([], [])


async def test_a_host_that_was_heard_meanwhile_is_not_silent(bench: Bench, ledger: Ledger) -> None:
    await count(bench, Counted(100, DAY, hosts=[("a", "192.0.2.1", T + 1)]))
    await ledger.fall_silent([Fallen("a", T, T + 60 * S, 50 * S, "about a")])
    assert await due(ledger) == []
