"""The shortcut of ingest: whatever it takes is answered, queued and counted as without it."""

from __future__ import annotations

import copy
import dataclasses
import gzip
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs
from prometheus_client import generate_latest
from starlette.types import Message, Receive, Scope, Send
from web_site import KEYS, MemorySink, Site

from muttd.api_keys import digest_of
from muttd.errors import QueueFull, StoreUnavailable
from muttd.event import Event
from muttd.store.access import StoredKey
from muttd.web.auth import Role
from muttd.web.ingest_limits import IngestLimits, SlidingLimit
from muttd.web.ingest_quick import QuickIngest

EVENT = b'{"message":"link down","hostname":"sw1","severity":"err","x":[1,{"y":null}],"_z":1}'

NEVER = datetime(2025, 1, 1, tzinfo=UTC)
PATHS = (
    "/api/v2/ingest",
    "/api/v2/ingest",
    "/api/v1/ingest",
    "/ingest",
    "/ingest?api_version=2.0",
    "/ingest?a=b",
)
BODIES = (
    EVENT,
    b"[%b,%b]" % (EVENT, EVENT),
    b"%b\n\n%b\r\n" % (EVENT, EVENT),
    b"[%b,{}]" % EVENT,
    b"[" + b",".join([EVENT] * 200) + b"]",
    b"[" + b",".join([EVENT] * 1001) + b"]",
    b'{"message":"","hostname":"sw1"}',
    b"\xef\xbb\xbf" + EVENT,
    b"[]",
    b"{",
    b"",
    b" " * 70_000 + EVENT,
    b" " * 1_000_001,
)
HEADERS: tuple[dict[bytes, bytes], ...] = (
    *[{b"content-type": b"application/json"}] * 16,
    {b"content-type": b"application/x-ndjson"},
    {b"content-type": b"application/json; charset=utf-8"},
    {b"content-type": b"text/plain"},
    {},
    {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    {b"content-type": b"application/json", b"content-encoding": b"br"},
    {b"content-type": b"application/json", b"x-correlation-id": b"mine"},
    {b"content-type": b"application/json", b"x-api-version": b"1.0"},
    {b"content-type": b"application/json", b"accept-version": b"9"},
    {b"content-type": b"application/json", b"accept-version": b"", b"x-api-version": b"1.0"},
    {b"content-type": b"application/json", b"x-api-key": b"wrong"},
    {b"x-api-key": b"wrong", b"x-correlation-id": b"mine"},
)


def scope_of(*headers: tuple[bytes, bytes]) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/ingest",
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("192.0.2.1", 40000),
        "server": ("192.0.2.2", 80),
        "scheme": "http",
        "http_version": "1.1",
    }


def part(body: bytes, *, more_body: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}


async def asked(
    site: Site, scope: Scope, *parts: Message
) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """What the application answers, if at all, when the request comes in these parts."""
    left, answers = list(parts), []

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert len({name for name, _ in message["headers"]}) == len(message["headers"])
            answers.append((message["status"], dict(message["headers"]), b""))
        else:
            status, fields, octets = answers.pop()
            answers.append((status, fields, octets + message["body"]))

    await site.app(scope, receive, send)
    return answers


async def status_of(site: Site, headers: Sequence[tuple[bytes, bytes]], *parts: Message) -> int:
    [(status, _, _)] = await asked(site, scope_of(PLAIN, *headers), *parts)
    return status


def told(site: Site) -> str:
    """Everything counted so far, but not how long it took."""
    lines = generate_latest(site.registry).decode().splitlines()
    return "\n".join(line for line in lines if "_bucket" not in line and "_sum" not in line)


def without_id(event: Event) -> Event:
    """An event without what is new of each."""
    return structs.replace(event, event_id="", correlation_id=None, received_at=NEVER)


async def effects(
    site: Site, counted: list[tuple[int, int]], scope: Scope, body: bytes
) -> tuple[Any, ...]:
    """What comes of one request, in everything that anybody can see."""
    before, first, at = told(site), len(site.sink.events), len(counted)
    parts = [part(body[:9]), part(body[9:], more_body=False)]
    [(status, fields, octets)] = await asked(site, copy.deepcopy(scope), *parts)
    answer = msgspec.json.decode(octets)
    correlation_id = fields.pop(b"x-correlation-id").decode()
    assert correlation_id == answer.pop("correlation_id")
    if correlation_id != "mine":
        UUID(correlation_id)
    # How long an answer is depends on the depth in it, and the queue is asked for it now and then.
    answer.pop("queue_depth", None)
    fields.pop(b"content-length")
    events = [without_id(each) for each in site.sink.events[first:]]
    changed = set(told(site).splitlines()) - set(before.splitlines())
    names = sorted(line.rpartition(" ")[0] for line in changed)
    return status, fields, answer, events, counted[at:], names


async def test_every_request_is_answered_queued_and_counted_as_without_the_shortcut(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[int, int]] = []
    services = dataclasses.replace(
        site.services,
        count_received=lambda received, invalid: counted.append((received, invalid)),
    )
    quick, taken = QuickIngest.__call__, []

    async def counting(self: QuickIngest, scope: Scope, receive: Receive, send: Send) -> Any:
        left = await quick(self, scope, receive, send)
        taken.append(left is None)
        return left

    async def refusing(self: QuickIngest, scope: Scope, receive: Receive, send: Send) -> Receive:
        return receive

    source = random.Random(9)
    failures = (None, None, None, StoreUnavailable("away"), QueueFull(depth=9, limit=9))
    for _ in range(250):
        fields = dict(source.choice(HEADERS))
        body = source.choice(BODIES[:3] if source.random() < 0.7 else BODIES)
        if fields.get(b"content-encoding") == b"gzip":
            body = gzip.compress(body, mtime=0)
        role = source.choice([*Role, *[Role.INGEST] * 6, None])
        if role is not None:
            fields.setdefault(b"x-api-key", KEYS[role].encode())
        path, _, query = source.choice(PATHS).partition("?")
        scope = {**scope_of(*fields.items()), "path": path, "query_string": query.encode()}
        site.sink.failure = source.choice(failures)
        limit = source.choice([0, 0, 0, 1])
        is_accepting = source.random() < 0.9
        site.clock.now += 100
        answers = []
        for call in (counting, refusing):
            monkeypatch.setattr(QuickIngest, "__call__", call)
            limits = IngestLimits(SlidingLimit(limit, 60.0, clock=site.clock), SlidingLimit(0, 1.0))
            limits.add("ingest-bot", "", 1)
            site.app.state.services = dataclasses.replace(
                services, ingest_limits=limits, is_accepting=partial(bool, is_accepting)
            )
            answers.append(await effects(site, counted, scope, body))
        assert answers[0] == answers[1], (scope, body[:99])
    assert 30 < sum(taken) < 200


KEY = (b"x-api-key", KEYS[Role.INGEST].encode())
PLAIN = (b"content-type", b"application/json")


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 30])
async def test_a_body_in_parts_is_one_body(site: Site, count: int) -> None:
    size = -(-len(EVENT) // count)
    parts = [part(EVENT[at : at + size]) for at in range(0, len(EVENT), size)]
    parts.append(part(b"", more_body=False))
    assert await status_of(site, [KEY], *parts) == 200
    assert [event.message for event in site.sink.events] == ["link down"]


@pytest.mark.parametrize("count", [0, 1, 8, 20])
async def test_a_client_that_leaves_in_the_middle_queues_nothing(site: Site, count: int) -> None:
    await asked(site, scope_of(PLAIN, KEY), *[part(EVENT)] * count)
    assert site.sink.events == []


async def test_of_two_keys_the_first_counts(site: Site) -> None:
    wrong = (b"x-api-key", b"wrong")
    whole = part(EVENT, more_body=False)
    assert await status_of(site, [KEY, wrong], whole) == 200
    assert await status_of(site, [wrong, KEY], whole) == 401


async def test_a_key_is_good_until_it_expires_or_is_revoked(site: Site) -> None:
    whole = part(EVENT, more_body=False)
    until = site.clock.time() + timedelta(seconds=60)
    lasting = StoredKey(
        id=1,
        name="eve",
        role="ingest",
        key_hash=digest_of("lasting"),
        created_at=NEVER,
        created_by="ops",
    )
    short = structs.replace(lasting, id=2, key_hash=digest_of("short"), expires_at=until)
    site.services.keys.use_stored([lasting, short])
    for wait_s, revoked_at, statuses in (
        (0, None, [200, 200]),
        (60, None, [200, 401]),
        (0, site.clock.time(), [401, 401]),
    ):
        site.clock.now += wait_s
        site.services.keys.use_stored([structs.replace(lasting, revoked_at=revoked_at), short])
        given = [
            await status_of(site, [(b"x-api-key", key)], whole) for key in (b"lasting", b"short")
        ]
        assert given == statuses


async def test_who_guessed_too_often_is_not_let_in_by_a_right_key(site: Site) -> None:
    whole = part(EVENT, more_body=False)
    for number in range(20):
        await status_of(site, [(b"x-api-key", b"guess %d" % number)], whole)
    assert await status_of(site, [KEY], whole) == 429
    site.clock.now += 61
    assert await status_of(site, [KEY], whole) == 200


async def test_a_fault_of_ours_in_the_shortcut_is_a_500(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(MemorySink):
        async def put_and_wait(self, *_: object, **__: object) -> None:
            raise ZeroDivisionError

    site.app.state.services = dataclasses.replace(site.services, sink=Faulty())
    assert await status_of(site, [KEY], part(EVENT, more_body=False)) == 500
    assert "POST /ingest failed" in caplog.text
