"""/api/v2/dead-letters, over the embedded queue and store."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from web_site import Site

from muttd.decision import Alert, Decision, Environment, Handling, decode_alerts, encode_alerts
from muttd.dynamic import DynamicSettings
from muttd.errors import StoreUnavailable
from muttd.event import decode_events, encode_events, utc_now
from muttd.queue.contract import Stream
from muttd.queue.letters import DeadLetter, LetterKind
from muttd.store.contract import ChangeQuery, Window
from muttd.web.auth import Role

PATH = "/api/v2/dead-letters"


async def bury(site: Site, *, is_alert: bool = False, **fields: Any) -> DeadLetter:
    """One dead letter about an event of its own."""
    event = site.an_event(fields.pop("message", "boom"), hostname="sw1")
    alert = Alert(
        alert_id=f"{event.event_id}.1",
        signature="sw1::app::boom::",
        event=event,
        decision=Decision(
            environment=Environment.PROD, rule_id=1, rule_name="r", rule_revision=1,
            handling=Handling.PAGE_ONLY, team="NETO",
        ),
        created_at=utc_now(),
    )  # fmt: skip
    letter = DeadLetter(
        letter_id=site.event_ids.next(),
        kind=LetterKind.ALERT if is_alert else LetterKind.EVENT,
        item_id=alert.alert_id if is_alert else event.event_id,
        reason="rejected" if is_alert else "poison",
        error="status 400: no such field" if is_alert else "ValueError: boom",
        attempts=3,
        first_failed_at=utc_now() - timedelta(minutes=5),
        last_failed_at=utc_now(),
        origin="muttd-1",
        payload=encode_alerts([alert]) if is_alert else encode_events([event]),
        destination="moog" if is_alert else None,
    )
    letter = replace(letter, **fields)
    await site.services.queue.bury(Stream.INGEST, [], [letter])
    return letter


async def audit(site: Site) -> list[dict[str, Any]]:
    """What config_audit_log says of dead letters, newest first."""
    page = await site.store.config_changes(ChangeQuery(table_name="dead_letters"), Window())
    return [
        {
            "by": each.changed_by,
            "operation": each.operation,
            "record": each.record_id,
            "old": each.old_value,
            "new": each.new_value,
            "reason": each.reason,
        }
        for each in page.items
    ]


async def test_letters_are_listed_newest_first_with_what_they_are_about(site: Site) -> None:
    event = await bury(site)
    alert = await bury(site, is_alert=True, replays=3)
    body = (await site.get(PATH)).json()
    assert [each["letter_id"] for each in body["dead_letters"]] == [
        alert.letter_id,
        event.letter_id,
    ]
    assert body["pagination"] == {"page": 1, "limit": 50, "total": 2, "pages": 1}
    shown = body["dead_letters"][0]
    assert (shown["hostname"], shown["message"], shown["severity"]) == ("sw1", "boom", 3)
    assert (shown["destination"], shown["replays"], shown["is_parked"]) == ("moog", 3, True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=event", ["event"]),
        ("reason=rejected", ["alert"]),
        ("destination=moog", ["alert"]),
        ("destination=tickets", []),
        ("parked=true", ["alert"]),
        ("parked=false", ["event"]),
        ("limit=1&page=2", ["event"]),
    ],
)
async def test_letters_are_filtered(site: Site, query: str, found: list[str]) -> None:
    await bury(site)
    await bury(site, is_alert=True, replays=3)
    body = (await site.get(f"{PATH}?{query}")).json()
    assert [each["kind"] for each in body["dead_letters"]] == found


async def test_one_letter_is_shown_with_its_event_and_its_alert(site: Site) -> None:
    letter = await bury(site, is_alert=True)
    shown = (await site.get(f"{PATH}/{letter.letter_id}")).json()
    assert shown["event"]["message"] == "boom"
    assert shown["alert"]["signature"] == "sw1::app::boom::"
    assert (shown["error"], shown["payload_base64"]) == ("status 400: no such field", None)
    assert (await site.get(f"{PATH}/unknown")).status_code == 404


async def test_a_letter_that_cannot_be_read_is_shown_with_its_octets(site: Site) -> None:
    letter = await bury(site, payload=b"\xff", reason="undecodable")
    shown = (await site.get(f"{PATH}/{letter.letter_id}")).json()
    assert (shown["event"], shown["payload_base64"]) == (None, "/w==")
    refused = await site.call("PUT", f"{PATH}/{letter.letter_id}", json={"event": {"message": "x"}})
    assert refused.status_code == 400
    assert "discarded" in refused.json()["message"]


async def test_an_event_is_edited_and_replayed(site: Site) -> None:
    letter = await bury(site, replays=3)
    body = {"event": {"hostname": "sw2", "severity": "warning"}, "change_reason": "typo"}
    edited = await site.call("PUT", f"{PATH}/{letter.letter_id}", json=body)
    assert edited.status_code == 200
    assert (edited.json()["hostname"], edited.json()["is_parked"]) == ("sw2", False)
    answer = await site.call("POST", f"{PATH}/replay", json={"ids": [letter.letter_id]})
    assert answer.json() == {"replayed": 1, "parked": 0, "unknown": 0, "left": 0}
    [entry] = await site.services.queue.take(Stream.INGEST, "a", count=10, wait_s=0)
    [event] = decode_events(entry.payload)
    assert (event.hostname, event.severity, event.message) == ("sw2", 4, "boom")
    assert event.event_id == letter.item_id
    replayed, changed = await audit(site)
    assert (changed["operation"], changed["reason"], changed["by"]) == (
        "UPDATE", "typo", "admin-bot",
    )  # fmt: skip
    assert changed["old"] == {"event.hostname": "sw1", "event.severity": 3}
    assert changed["new"] == {"event.hostname": "sw2", "event.severity": 4}
    assert (replayed["old"]["state"], replayed["new"]["state"]) == ("dead", "replayed")


async def test_an_alert_is_edited_without_losing_its_identity(site: Site) -> None:
    letter = await bury(site, is_alert=True)
    shown = (await site.get(f"{PATH}/{letter.letter_id}")).json()
    # A client sends back everything that it got, with its edit.
    shown["alert"]["signature"] = "sw1::app::bang::"
    body = {"event": shown["event"] | {"message": "bang"}, "alert": shown["alert"]}
    edited = await site.call("PUT", f"{PATH}/{letter.letter_id}", json=body)
    assert edited.status_code == 200, edited.text
    stored = await site.services.queue.letters.get(letter.letter_id)
    assert stored is not None
    [alert] = decode_alerts(stored.payload)
    assert (alert.signature, alert.event.message) == ("sw1::app::bang::", "bang")
    assert alert.alert_id == letter.item_id


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["body"]),
        ({"event": {"hostname": "sw1"}}, ["body"]),
        ({"event": {"hostname": ""}}, ["event.hostname"]),
        ({"event": {"hostname": 7, "severity": 9, "facility": 24}},
         ["event.facility", "event.hostname", "event.severity"]),
        ({"event": {"event_id": "x", "nonsense": 1}}, ["event.event_id", "event.nonsense"]),
        ({"event": {"attributes": [], "trap_oid": "1.x"}}, ["event.attributes", "event.trap_oid"]),
        ({"alert": {"signature": "é" * 400}}, ["alert.signature"]),
        ({"alert": {"signature": "no parts"}}, ["alert.signature"]),
        ({"alert": {"rule_id": 2}}, ["alert.rule_id"]),
        ({"alert": [], "more": 1, "change_reason": 5}, ["alert", "change_reason", "more"]),
    ],
)  # fmt: skip
async def test_every_mistake_of_an_edit_is_named(
    site: Site, body: dict[str, Any], fields: list[str]
) -> None:
    letter = await bury(site, is_alert=True)
    refused = await site.call("PUT", f"{PATH}/{letter.letter_id}", json=body)
    assert refused.status_code == 400
    assert sorted(each["field"] for each in refused.json()["details"]) == fields
    assert await audit(site) == []


async def test_a_parked_letter_is_replayed_only_when_asked_for(site: Site) -> None:
    site.services.dynamic.replace(DynamicSettings(max_poison_retries=2))
    parked = await bury(site, replays=2)
    other = await bury(site, replays=1)
    ids = [parked.letter_id, other.letter_id, "unknown"]
    answer = await site.call("POST", f"{PATH}/replay", json={"ids": ids})
    assert answer.json() == {"replayed": 1, "parked": 1, "unknown": 1, "left": 0}
    answer = await site.call("POST", f"{PATH}/replay", json={"all": True})
    assert answer.json()["replayed"] == 0
    answer = await site.call("POST", f"{PATH}/replay", json={"ids": ids, "parked": True})
    assert answer.json() == {"replayed": 1, "parked": 0, "unknown": 2, "left": 0}


async def test_all_letters_of_a_filter_are_replayed_oldest_first(site: Site) -> None:
    first, second = await bury(site, message="1"), await bury(site, message="2")
    await bury(site, is_alert=True)
    body = {"all": True, "filter": {"kind": "event"}, "change_reason": "fixed"}
    answer = await site.call("POST", f"{PATH}/replay", json=body)
    assert answer.json()["replayed"] == 2
    entries = await site.services.queue.take(Stream.INGEST, "a", count=10, wait_s=0)
    assert [entry.payload for entry in entries] == [first.payload, second.payload]
    assert await site.services.queue.letters.count() == 1
    assert [each["reason"] for each in await audit(site)] == ["fixed", "fixed"]


async def test_letters_are_discarded_one_or_many_and_the_audit_keeps_what_they_were(
    site: Site,
) -> None:
    one = await bury(site)
    await bury(site, is_alert=True, replays=9)
    gone = await site.call("DELETE", f"{PATH}/{one.letter_id}?change_reason=noise")
    assert gone.status_code == 204
    assert (await site.call("DELETE", f"{PATH}/{one.letter_id}")).status_code == 404
    many = await site.call("POST", f"{PATH}/discard", json={"all": True})
    assert many.json() == {"discarded": 1, "unknown": 0, "left": 0}
    assert await site.services.queue.letters.count() == 0
    of_alert, of_event = await audit(site)
    assert (of_event["operation"], of_event["reason"]) == ("DELETE", "noise")
    assert of_event["old"]["error"] == "ValueError: boom"
    assert (of_alert["old"]["item_id"], of_alert["new"]) != (None, None)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["ids"]),
        ({"ids": []}, ["ids"]),
        ({"ids": ["a"] * 1001}, ["ids"]),
        ({"ids": [1]}, ["ids"]),
        ({"ids": ["a"], "all": True}, ["ids"]),
        ({"ids": ["a"], "filter": {"kind": "event"}}, ["filter"]),
        ({"all": "yes", "parked": 1, "more": 0}, ["all", "more", "parked"]),
        ({"all": True, "filter": []}, ["filter"]),
        ({"all": True, "filter": 1}, ["filter"]),
        ({"all": True, "filter": {"kind": "x", "reason": [], "destination": 1, "q": 1}},
         ["filter.destination", "filter.kind", "filter.q", "filter.reason"]),
    ],
)  # fmt: skip
async def test_every_mistake_of_a_replay_is_named(
    site: Site, body: dict[str, Any], fields: list[str]
) -> None:
    refused = await site.call("POST", f"{PATH}/replay", json=body)
    assert refused.status_code == 400
    assert sorted(each["field"] for each in refused.json()["details"]) == fields


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/replay"), ("POST", "/discard"), ("PUT", "/x"), ("DELETE", "/x")],
)
async def test_a_viewer_changes_no_letter(site: Site, method: str, path: str) -> None:
    for role, status in ((Role.VIEWER, 403), (Role.INGEST, 403), (None, 401)):
        answer = await site.call(method, PATH + path, role=role, json={"all": True})
        assert answer.status_code == status
    assert (
        await site.call("POST", f"{PATH}/replay", role=Role.OPERATOR, json={"all": True})
    ).json()


async def test_nothing_is_replayed_without_a_record(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is written first; when the store is away nothing happens."""
    letter = await bury(site)

    async def away(*_: object) -> None:
        raise StoreUnavailable("away for this test")

    monkeypatch.setattr(site.store, "record_changes", away)
    answer = await site.call("POST", f"{PATH}/replay", json={"ids": [letter.letter_id]})
    assert answer.status_code == 503
    assert await site.services.queue.letters.count() == 1


@pytest.mark.parametrize(("action", "done"), [("replay", "replayed"), ("discard", "discarded")])
async def test_the_payloads_of_all_letters_are_never_in_memory_together(
    site: Site, action: str, done: str
) -> None:
    letter = await bury(site, payload=b"x" * 100_000)
    letters = [replace(letter, letter_id=site.event_ids.next()) for _ in range(1000)]
    await site.services.queue.bury(Stream.INGEST, [], letters)
    tracemalloc.start()
    try:
        answer = (await site.call("POST", f"{PATH}/{action}", json={"all": True})).json()
        peak_octets = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer[done] == 1001
    assert peak_octets < 60_000_000
