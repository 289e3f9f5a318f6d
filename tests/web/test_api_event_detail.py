"""GET /api/v2/events/{event_id}: why it was decided so; and its context."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from web_site import Site

from muttd.decision import AlertState, Decided, Decision, Environment
from muttd.event import Event
from muttd.rules.compile import compile_rules
from muttd.rules.model import Rule
from muttd.rules.validate import draft_rule
from muttd.store.contract import Change

DRAFT = {
    "name": "link",
    "match_string": "UPDOWN",
    "prod_handling": "Log_only",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}


async def add_rule(site: Site, **fields: Any) -> Rule:
    return await site.store.create_rule(draft_rule(DRAFT | fields), Change("test"))


async def enforce(site: Site) -> None:
    site.rule_sets.append(compile_rules(await site.store.rule_book()))


async def decide(site: Site, message: str) -> Event:
    """Store an event as the rules in force decide it."""
    await enforce(site)
    event = site.an_event(message)
    decision = site.rule_sets[-1].decide(event)
    await site.store.record([Decided(event, decision)], [], AlertState.QUEUED)
    return event


async def explained(site: Site, event: Event) -> dict[str, Any]:
    answer = await site.get(f"/api/v2/events/{event.event_id}")
    assert answer.status_code == 200
    explain: dict[str, Any] = answer.json()["explain"]
    return explain


async def test_an_event_says_who_won_and_who_came_near(site: Site) -> None:
    strict = await add_rule(site, name="strict", syslog_severity=0, priority=1)
    winner = await add_rule(site)
    event = await decide(site, "%LINK-3-UPDOWN: down")
    explain = await explained(site, event)
    assert explain["now"] == {
        "rules_revision": site.rule_sets[-1].revision,
        "rule_count": 2,
        "winner_id": winner.id,
        "tried": [
            {
                "rule_id": strict.id,
                "rule_name": "strict",
                "rule_revision": 1,
                "priority": 1,
                "ends_problem": False,
                "verdict": "its severity condition does not hold",
                "found": ["line", "message"],
            },
            {
                "rule_id": winner.id,
                "rule_name": "link",
                "rule_revision": 1,
                "priority": 100,
                "ends_problem": False,
                "verdict": "wins",
                "found": ["line", "message"],
            },
        ],
        "is_whole": True,
    }
    then = explain["then"]
    assert (then["rule_id"], then["rule_revision"], then["present_revision"]) == (winner.id, 1, 1)
    assert then["rule"]["name"] == "link"
    assert then["matches"] is True


async def test_the_rule_of_then_is_told_from_the_rules_of_now(site: Site) -> None:
    rule = await add_rule(site)
    event = await decide(site, "updown")
    await site.store.update_rule(rule.id, draft_rule(DRAFT | {"match_string": "fan"}), Change("t"))
    await enforce(site)
    explain = await explained(site, event)
    assert explain["then"]["rule"]["match_string"] == "UPDOWN"
    assert (explain["then"]["present_revision"], explain["then"]["matches"]) == (2, True)
    assert (explain["now"]["winner_id"], explain["now"]["tried"]) == (None, [])
    await site.store.delete_rule(rule.id, Change("test"))
    assert (await explained(site, event))["then"]["present_revision"] is None


async def test_an_unmatched_event_has_no_rule_of_then(site: Site) -> None:
    event = await decide(site, "updown")
    await add_rule(site)
    await enforce(site)
    explain = await explained(site, event)
    assert explain["then"] is None
    assert explain["now"]["winner_id"] is not None


async def test_a_revision_that_was_not_kept_is_unknown(site: Site) -> None:
    event = site.an_event("updown")
    decision = Decision(environment=Environment.PROD, rule_id=7, rule_name="x", rule_revision=3)
    decision = replace(decision, handling=None, team="NETO")
    await site.store.record([Decided(event, decision)], [], AlertState.QUEUED)
    then = (await explained(site, event))["then"]
    assert (then["rule"], then["matches"], then["present_revision"]) == (None, None, None)


async def test_the_context_of_an_event_is_what_its_host_said(site: Site) -> None:
    events = [
        await site.record(site.an_event(f"{n}", hostname="core" if n % 2 else "edge"))
        for n in range(12)
    ]
    path = f"/api/v2/events/{events[5].event_id}/context"
    shown = (await site.get(f"{path}?before=2&after=1")).json()
    assert [each["message"] for each in shown["before"]] == ["1", "3"]
    assert shown["event"]["message"] == "5"
    assert [each["message"] for each in shown["after"]] == ["7"]
    shown = (await site.get(path)).json()
    assert (len(shown["before"]), len(shown["after"])) == (2, 3)
    shown = (await site.get(f"{path}?before=0&after=0")).json()
    assert (shown["before"], shown["after"]) == ([], [])


@pytest.mark.parametrize(("query", "status"), [("before=201", 400), ("befor=1", 400)])
async def test_a_context_has_its_bounds(site: Site, query: str, status: int) -> None:
    event = await site.record(site.an_event("x"))
    answer = await site.get(f"/api/v2/events/{event.event_id}/context?{query}")
    assert answer.status_code == status
    assert (await site.get("/api/v2/events/unknown/context")).status_code == 404
