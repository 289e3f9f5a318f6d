"""POST /api/v2/rules/test: what a rule would have matched, over a real store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from interruption import Interruption
from web_site import Site

from muttd.errors import InvalidInput
from muttd.rules.compile import compile_rules
from muttd.rules.dry_run import DryRun
from muttd.rules.validate import draft_rule
from muttd.store.contract import Change, ScanPlace, Store
from muttd.web.api import dry_run
from muttd.web.api.dry_run import Scan
from muttd.web.auth import Role

PATH = "/api/v2/rules/test"
DRAFT = {
    "name": "link",
    "match_string": "UPDOWN",
    "prod_handling": "Page_only",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}
BAD_REGEX = DRAFT | {"match_type": "regex", "match_string": "a("}
HOUR = timedelta(hours=1)
Scanned = tuple[list[bytes], ScanPlace | None]


async def tried(site: Site, **body: Any) -> dict[str, Any]:
    answer = await site.call("POST", PATH, json={"rule": DRAFT} | body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def add_rule(site: Site, **fields: Any) -> int:
    rule = await site.store.create_rule(draft_rule(DRAFT | fields), Change("test"))
    site.rule_sets.append(compile_rules(await site.store.rule_book()))
    return rule.id


async def test_what_a_new_rule_would_do_is_told(site: Site) -> None:
    first = await add_rule(site, match_string="%LINK", priority=10)
    later = await add_rule(site, match_string="LINEPROTO", priority=1000)
    now = datetime.now(UTC)
    for message in ("%LINK-3-UPDOWN: a", "LINEPROTO-5-UPDOWN: b", "updown of c", "fan"):
        await site.record(site.an_event(message, received_at=now - HOUR))
    await site.record(site.an_event("updown, long ago", received_at=now - 30 * HOUR))
    result = await tried(site)
    assert (result["matched"], result["newly"], result["kept"]) == (3, 1, 0)
    assert result["taken_first"] == [{"rule_id": first, "rule_name": "link", "count": 1}]
    assert result["taken_over"] == [{"rule_id": later, "rule_name": "link", "count": 1}]
    assert (result["scanned"], result["is_complete"]) == (4, True)
    assert result["hosts"] == [{"hostname": "core-sw-1", "count": 3}]
    hour = (now - HOUR).replace(minute=0, second=0, microsecond=0)
    assert result["hours"] == [{"hour": hour.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "count": 3}]
    assert [each["line"] for each in result["samples"]] == [
        "updown of c",
        "LINEPROTO-5-UPDOWN: b",
        "%LINK-3-UPDOWN: a",
    ]
    assert [each["winner_id"] for each in result["samples"]] == [None, later, first]
    assert result["rules_revision"] == site.rule_sets[-1].revision


async def test_matched_and_unmatched_events_are_looked_at(site: Site) -> None:
    await site.record(site.an_event("updown 1"), rule_id=1)
    await site.record(site.an_event("updown 2"))
    result = await tried(site, samples=1)
    assert (result["matched"], result["scanned"], len(result["samples"])) == (2, 2, 1)


async def test_a_range_is_kept_to(site: Site) -> None:
    now = datetime.now(UTC)
    for hours in range(6):
        await site.record(site.an_event("updown", received_at=now - hours * HOUR))
    times = {"from": (now - 3.5 * HOUR).isoformat(), "to": (now - 0.5 * HOUR).isoformat()}
    assert (await tried(site, **times))["matched"] == 3
    severity = {"rule": DRAFT | {"match_string": None, "syslog_severity": 3}}
    result = await tried(site, **times, **severity)
    assert (result["matched"], result["scanned"]) == (3, 3)
    result = await tried(site, rule=DRAFT | {"syslog_severity": 2}, **times)
    # What the store kept back by itself was looked at as well.
    assert (result["matched"], result["scanned"]) == (0, 3)


async def test_a_rule_that_replaces_another_lends_what_is_missing(site: Site) -> None:
    rule_id = await add_rule(site)
    await site.record(site.an_event("updown"))
    await site.record(site.an_event("up"))
    result = await tried(site, rule={"match_string": "up"}, rule_id=rule_id)
    assert (result["matched"], result["newly"], result["kept"]) == (2, 1, 1)
    answer = await site.call("POST", PATH, json={"rule": DRAFT, "rule_id": 99})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "rule", "is missing"),
        ({"rule": []}, "rule", "must be a rule"),
        ({"rule": {}}, "rule.name", "is missing"),
        (
            {"rule": DRAFT | {"match_type": "regex", "match_string": "a("}},
            "rule.match_string",
            "at position 1",
        ),
        ({"rule": DRAFT, "from": "yesterday"}, "from", "must be an ISO 8601 date or time"),
        (
            {"rule": DRAFT, "from": "2025-01-02", "to": "2025-01-01"},
            "to",
            "must be later than from",
        ),
        ({"rule": DRAFT, "samples": 201}, "samples", "must be between 0 and 200"),
        ({"rule": DRAFT, "sample": 1}, "sample", "did you mean samples?"),
    ],
)
async def test_what_is_wrong_is_told_by_field(
    site: Site, body: dict[str, Any], field: str, message: str
) -> None:
    answer = await site.call("POST", PATH, json=body)
    assert answer.status_code == 400
    told = {each["field"]: each["message"] for each in answer.json()["details"]}
    assert message in told[field]


async def test_a_dry_run_changes_nothing_and_viewers_may_not_burden_the_daemon(site: Site) -> None:
    await tried(site)
    assert (await site.get("/api/v2/rules")).json()["rules"] == []
    assert site.rules_changes == []
    answer = await site.call("POST", PATH, role=Role.VIEWER, json={"rule": DRAFT})
    assert answer.status_code == 403


async def test_a_store_that_is_away_is_a_503(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Interruption(site.store)
    door.is_away = True
    monkeypatch.setattr(type(site.store), "scan_events", door.scan_events)
    answer = await site.call("POST", PATH, json={"rule": DRAFT})
    assert answer.status_code == 503


async def test_only_a_few_may_wait_for_their_turn(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = trio.Event()

    class Slow(Scan):
        async def go(self, *, within_s: float) -> None:
            await may_go_on.wait()
            await super().go(within_s=within_s)

    monkeypatch.setattr(dry_run, "Scan", Slow)
    answers: list[int] = []

    async def try_one() -> None:
        answer = await site.call("POST", PATH, json={"rule": DRAFT})
        answers.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(try_one)
        with trio.fail_after(20):
            while len(answers) < 2:  # noqa: ASYNC110 -- real threads read the store meanwhile
                await trio.sleep(0.01)
        may_go_on.set()
    assert sorted(answers) == [200, 200, 200, 200, 429, 429]


async def test_a_run_ends_when_nobody_waits_for_it_any_longer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Paged(site.store, pages=0)
    with monkeypatch.context() as patch:
        patch.setattr(type(site.store), "scan_events", hanging.scan_events)
        body = msgspec.json.encode({"rule": DRAFT})
        received: list[dict[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": False},
            {"type": "http.disconnect"},
        ]
        headers = {"Content-Type": "application/json"}
        with trio.fail_after(10):
            sent = await site.octets("POST", PATH, headers=headers, received=received)
        assert sent[0]["status"] == 400
    # And the next one has its turn.
    assert (await tried(site))["is_complete"] is True


async def test_a_run_out_of_time_says_how_far_back_it_looked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "_FIRST_PAGE_EVENTS", 2)
    monkeypatch.setattr(dry_run, "_MAX_PAGE_EVENTS", 2)
    now = datetime.now(UTC)
    times = [now - timedelta(minutes=minutes) for minutes in range(10)]
    for n in reversed(range(10)):
        event = site.an_event("updown", received_at=times[n])
        await site.record(event, rule_id=None if n % 2 else 1)
    run = DryRun(draft_rule(DRAFT), site.rule_sets[-1])
    store: Any = Paged(site.store, pages=3)
    scan = Scan(store, run, start=now - HOUR, end=now + HOUR)
    await scan.go(within_s=0.5)
    assert not scan.is_complete
    # Events 0 and 2 of one table, 1 and 3 of the other, 4 and 6 of the first again.
    assert run.outcome().matched == await scan.count() == 6
    assert scan.back_to == times[3]


async def test_a_search_that_takes_too_long_is_the_clients_business(site: Site) -> None:
    class TooSlow(Paged):
        async def scan_events(
            self, *args: Any, **more: Any
        ) -> tuple[list[bytes], ScanPlace | None]:
            raise InvalidInput([("query", "takes too long")])

    run = DryRun(draft_rule(DRAFT), site.rule_sets[-1])
    scan = Scan(
        TooSlow(site.store, pages=0), run, start=datetime.now(UTC) - HOUR, end=datetime.now(UTC)
    )
    with pytest.raises(InvalidInput, match="takes too long"):
        await scan.go(within_s=10)


class Paged:
    """A store that gives some pages and then hangs."""

    def __init__(self, store: Store, *, pages: int) -> None:
        self._store = store
        self._pages = pages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def scan_events(self, *args: Any, **more: Any) -> Scanned:
        if not self._pages:
            await trio.sleep_forever()
        self._pages -= 1
        return await self._store.scan_events(*args, **more)
