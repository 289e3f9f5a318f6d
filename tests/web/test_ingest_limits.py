"""muttd/web/ingest_limits.py, and what ingest answers to who is over them."""

from __future__ import annotations

import dataclasses

from web_site import Clock, Site

from muttd.errors import StoreUnavailable
from muttd.web.auth import Role
from muttd.web.ingest_limits import IngestLimits, SlidingLimit

PATH = "/api/v2/ingest"
EVENT = {"message": "link down", "hostname": "sw1"}


def test_a_client_waits_until_enough_has_left_the_window() -> None:
    clock = Clock()
    limit = SlidingLimit(10, 50.0, clock=clock)
    assert limit.retry_after_s("a") == 0
    limit.add("a", 6)
    clock.now += 20
    assert limit.retry_after_s("a") == 0
    # Taken whole: 5 more than it may.
    limit.add("a", 9)
    # The first 6 leave 50 s after they came, in a slice of 1 s.
    assert 29 <= limit.retry_after_s("a") <= 30
    assert limit.retry_after_s("b") == 0
    clock.now += 29
    assert 0 < limit.retry_after_s("a") <= 1
    clock.now += 1
    assert limit.retry_after_s("a") == 0
    limit.add("a", 1)
    assert 19 <= limit.retry_after_s("a") <= 20
    clock.now += 100
    assert limit.retry_after_s("a") == 0


def test_much_more_than_the_limit_keeps_its_sender_out_until_all_of_it_has_left() -> None:
    clock = Clock()
    limit = SlidingLimit(10, 50.0, clock=clock)
    limit.add("a", 5)
    clock.now += 10
    limit.add("a", 100)
    assert 49 <= limit.retry_after_s("a") <= 50


def test_what_the_queue_did_not_take_is_given_back() -> None:
    limit = SlidingLimit(10, 50.0, clock=Clock())
    limit.add("a", 10)
    assert limit.retry_after_s("a") > 0
    limit.add("a", -10)
    assert limit.retry_after_s("a") == 0


def test_many_clients_do_not_grow_it() -> None:
    limit = SlidingLimit(1, 60.0, clock=Clock())
    for number in range(5000):
        limit.add(str(number), 1)
    assert len(limit._windows) == 4096
    assert limit.retry_after_s("4999") > 0
    assert limit.retry_after_s("0") == 0


def limited(site: Site, *, key: int = 0, source: int = 0) -> list[None]:
    """Put limits on the site; the list has an item for each request that was turned away."""
    refused: list[None] = []
    limits = IngestLimits(
        SlidingLimit(key, 60.0, clock=site.clock),
        SlidingLimit(source, 60.0, clock=site.clock),
        count_refused=lambda: refused.append(None),
    )
    site.app.state.services = dataclasses.replace(site.services, ingest_limits=limits)
    return refused


async def test_a_key_over_its_limit_is_answered_429_and_when_to_come_again(site: Site) -> None:
    refused = limited(site, key=3)
    for _ in range(2):
        answer = await site.call("POST", PATH, role=Role.INGEST, json=[EVENT, EVENT])
        assert answer.status_code == 200
    answer = await site.call("POST", PATH, role=Role.INGEST, json=EVENT)
    assert answer.status_code == 429
    assert answer.json()["error"] == "rate_limited"
    assert 58 <= int(answer.headers["Retry-After"]) <= 60
    assert len(refused) == 1
    # Another key has a limit of its own.
    assert (await site.call("POST", PATH, role=Role.ADMIN, json=EVENT)).status_code == 200
    assert len(site.sink.events) == 5
    site.clock.now += 61
    assert (await site.call("POST", PATH, role=Role.INGEST, json=EVENT)).status_code == 200


async def test_an_address_over_its_limit_is_answered_429_whatever_its_key(site: Site) -> None:
    limited(site, source=1)
    assert (await site.call("POST", PATH, role=Role.INGEST, json=EVENT)).status_code == 200
    for role in (Role.INGEST, Role.ADMIN):
        assert (await site.call("POST", PATH, role=role, json=EVENT)).status_code == 429


async def test_items_that_are_no_events_and_events_that_nobody_took_do_not_count(
    site: Site,
) -> None:
    limited(site, key=1)
    assert (await site.call("POST", PATH, json={"message": "x"})).status_code == 400
    site.sink.failure = StoreUnavailable("away")
    assert (await site.call("POST", PATH, json=EVENT)).status_code == 503
    site.sink.failure = None
    assert (await site.call("POST", PATH, json=EVENT)).status_code == 200
