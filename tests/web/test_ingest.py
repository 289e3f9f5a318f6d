"""POST /api/v2/ingest through the whole application."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from web_site import BODY_LIMIT_OCTETS, QUEUE_LIMIT, Site

from muttd.errors import QueueFull, StoreUnavailable
from muttd.queue.contract import Batch, Stream
from muttd.web.api import ingest
from muttd.web.api.ingest import MAX_GZIP_MEMBERS, read_body
from muttd.web.auth import Role

PATH = "/api/v2/ingest"
EVENT = {"message": "link down", "hostname": "sw1"}
BATCH = [EVENT, {"message": "no host"}, 7, EVENT | {"severity": "err"}]


async def refused(site: Site, body: bytes, **headers: str) -> int:
    """The status for a body that may be refused before its end, which httpx minds."""
    received = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = await site.octets("POST", PATH, headers=given, received=received)
    status: int = sent[0]["status"]
    return status


async def test_one_event_is_queued_and_receipted(site: Site) -> None:
    response = await site.call(
        "POST", PATH, role=Role.INGEST, json=EVENT, headers={"X-Correlation-ID": "abc"}
    )
    assert response.status_code == 200
    assert response.json() == {
        "status": "queued",
        "correlation_id": "abc",
        "accepted": 1,
        "queue_depth": 0,
    }
    [event] = site.sink.events
    assert (event.message, event.source_ip) == ("link down", "192.0.2.1")
    assert event.correlation_id == "abc"
    assert json.loads(event.raw) == EVENT


@pytest.mark.parametrize("path", ["/ingest", "/api/v1/ingest", PATH])
async def test_every_alias_takes_events(site: Site, path: str) -> None:
    assert (await site.call("POST", path, json=EVENT)).status_code == 200
    assert len(site.sink.events) == 1


async def test_a_batch_keeps_the_good_ones_and_reports_the_bad_by_index(site: Site) -> None:
    response = await site.call("POST", PATH, json=BATCH)
    assert response.status_code == 200
    receipt = response.json()
    assert (receipt["status"], receipt["accepted"]) == ("queued", 2)
    assert receipt["rejected"] == [
        {"index": 1, "errors": [{"field": "hostname", "message": "is required"}]},
        {"index": 2, "errors": [{"field": "event", "message": "must be a JSON object"}]},
    ]
    assert receipt["rejected_count"] == 2
    assert [event.severity for event in site.sink.events] == [5, 3]


async def test_a_long_batch_is_taken_in_order(site: Site) -> None:
    batch = [EVENT | {"message": str(n)} for n in range(1000)]
    response = await site.call("POST", PATH, json=batch)
    assert response.json()["accepted"] == 1000
    assert [event.message for event in site.sink.events] == [str(n) for n in range(1000)]
    ids = [event.event_id for event in site.sink.events]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("count", [10, 300])
async def test_every_event_of_a_batch_has_an_id_of_its_own_in_order(site: Site, count: int) -> None:
    batch = [EVENT, EVENT, {"message": "no host"}] * count
    await site.call("POST", PATH, json=batch)
    await site.call("POST", PATH, json=EVENT)
    ids = [event.event_id for event in site.sink.events]
    assert len(ids) == 2 * count + 1
    assert ids == sorted(set(ids))


async def test_a_batch_without_a_good_item_is_a_400(site: Site) -> None:
    response = await site.call("POST", PATH, json=[{"message": "x"}, {"hostname": "h"}])
    assert response.status_code == 400
    assert response.json()["details"] == [
        {"field": "[0].hostname", "message": "is required"},
        {"field": "[1].message", "message": "is required"},
    ]


async def test_a_400_names_every_wrong_field(site: Site) -> None:
    response = await site.call("POST", PATH, json={"message": "", "severity": 9})
    assert response.status_code == 400
    assert [detail["field"] for detail in response.json()["details"]] == [
        "message",
        "hostname",
        "severity",
    ]
    assert site.sink.events == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[1,"])
async def test_a_body_that_is_no_json_is_a_400(site: Site, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await site.call("POST", PATH, content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["details"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "text/json", "", 'application/json;charset="UTF-8"'],
)
async def test_json_goes_by_several_names(site: Site, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps(EVENT).encode()
    response = await site.call("POST", PATH, content=body, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/ndjson"])
async def test_ndjson_is_one_event_a_line(site: Site, content_type: str) -> None:
    body = "".join(json.dumps(item) + "\n" for item in BATCH).encode()
    headers = {"Content-Type": content_type}
    response = await site.call("POST", PATH, content=body, headers=headers)
    assert (response.status_code, response.json()["accepted"]) == (200, 2)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "gzip, gzip"},
    ],
)
async def test_another_type_or_coding_is_a_415(site: Site, headers: dict[str, str]) -> None:
    response = await site.call("POST", PATH, content=b"{}", headers=headers)
    assert response.status_code == 415
    assert site.sink.events == []


@pytest.mark.parametrize("role", [None, Role.VIEWER])
async def test_only_who_may_ingest_does(site: Site, role: Role | None) -> None:
    response = await site.call("POST", PATH, json=EVENT, role=role)
    assert response.status_code == (401 if role is None else 403)
    assert site.sink.events == []


async def test_gzip_is_inflated_member_by_member(site: Site) -> None:
    body = json.dumps(EVENT).encode()
    packed = gzip.compress(body[:10]) + gzip.compress(body[10:])
    response = await site.call("POST", PATH, content=packed, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 200
    assert site.sink.events[0].raw == body


async def test_a_gzip_bomb_is_a_413(site: Site) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < BODY_LIMIT_OCTETS
    assert await refused(site, bomb, Content_Encoding="gzip") == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        gzip.compress(b"{}", mtime=0)[:-4],
        gzip.compress(b"{}", mtime=0)[:-8] + b"\0" * 8,
        gzip.compress(b"{}", mtime=0) + b"rest",
        gzip.compress(b"", mtime=0) * (MAX_GZIP_MEMBERS + 1),
    ],
)
async def test_a_body_that_is_not_gzip_is_a_400(site: Site, body: bytes) -> None:
    assert await refused(site, body, Content_Encoding="gzip") == 400


async def test_gzip_comes_out_the_same_however_it_is_cut() -> None:
    body = json.dumps([EVENT] * 5).encode()
    packed = gzip.compress(body) + gzip.compress(b"\n")
    for step in (1, 2, 7, 1000):

        async def chunks(step: int = step) -> AsyncGenerator[bytes, None]:
            for at in range(0, len(packed), step):
                yield packed[at : at + step]

        size = len(body) + 1
        assert await read_body(chunks(), is_gzip=True, max_octets=size) == body + b"\n"
        with pytest.raises(HTTPException) as caught:
            await read_body(chunks(), is_gzip=True, max_octets=size - 1)
        assert caught.value.status_code == 413


async def test_a_plain_body_over_the_limit_is_a_413(site: Site) -> None:
    assert await refused(site, b" " * (BODY_LIMIT_OCTETS + 1)) == 413


async def test_too_many_items_are_a_413(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muttd.web.ingest_body.MAX_ITEMS", 3)
    response = await site.call("POST", PATH, json=[EVENT] * 4)
    assert response.status_code == 413
    assert site.sink.events == []


async def test_a_long_list_of_bad_items_is_reported_in_part(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_REPORTED", 2)
    receipt = (await site.call("POST", PATH, json=[EVENT, 1, 2, 3])).json()
    assert (len(receipt["rejected"]), receipt["rejected_count"]) == (2, 3)
    error = (await site.call("POST", PATH, json=[1, 2, 3])).json()
    assert len(error["details"]) == 2


@pytest.mark.parametrize(
    ("failure", "code", "depth"),
    [
        (QueueFull(depth=1000, limit=1000), "queue_full", 1000),
        (StoreUnavailable("disk full"), "unavailable", None),
    ],
)
async def test_what_cannot_be_queued_is_a_503(
    site: Site, failure: Exception, code: str, depth: int | None
) -> None:
    site.sink.failure = failure
    response = await site.call("POST", PATH, json=EVENT)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    error = response.json()
    assert error["error"] == code
    assert (error["queue_depth"], error["queue_limit"]) == (depth, QUEUE_LIMIT)


async def test_a_daemon_that_stops_takes_no_events(site: Site) -> None:
    site.app.state.services = dataclasses.replace(site.services, is_accepting=lambda: False)
    response = await site.call("POST", PATH, json=EVENT)
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert response.json()["queue_depth"] == 0
    assert site.sink.events == []


async def test_the_depth_is_what_the_queue_holds(site: Site) -> None:
    await site.services.queue.append(Stream.INGEST, [Batch(b"x", 41)])
    receipt = (await site.call("POST", PATH, json=EVENT)).json()
    assert receipt["queue_depth"] == 41
    # Within the quarter of a second the number is carried on, not asked again.
    receipt = (await site.call("POST", PATH, json=[EVENT, EVENT])).json()
    assert receipt["queue_depth"] == 43


async def test_what_came_and_what_was_bad_is_counted(site: Site) -> None:
    counted: list[tuple[int, int]] = []
    site.app.state.services = dataclasses.replace(
        site.services, count_received=lambda received, bad: counted.append((received, bad))
    )
    await site.call("POST", PATH, json=EVENT)
    await site.call("POST", PATH, json=BATCH)
    await site.call("POST", PATH, content=b"[")
    assert counted == [(1, 0), (4, 2), (1, 1)]


async def test_a_client_that_leaves_in_the_middle_queues_nothing(site: Site) -> None:
    received: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"message":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    await site.octets("POST", PATH, headers={}, received=received)
    assert site.sink.events == []
