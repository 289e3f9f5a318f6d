"""muttd/workers/routing.py: where an alert goes."""

from __future__ import annotations

from typing import Any

import pytest
from forwarder_scene import an_alert
from msgspec.structs import replace

from muttd.decision import Alert, AlertState, decode_alerts
from muttd.workers.routing import Router, Routes

ROUTES = Routes(
    default="moog",
    names=frozenset({"moog", "tickets", "lab"}),
    teams=(("SRE*", "tickets"), ("sre-lab", "lab"), ("*", "lab")),
)


def of_alert(text: str, **fields: Any) -> Alert:
    alert = an_alert(text)
    return replace(alert, decision=replace(alert.decision, **fields))


def router(routes: Routes = ROUTES) -> Router:
    made = Router()
    made.replace(routes)
    return made


@pytest.mark.parametrize(
    ("fields", "destination"),
    [
        ({"destination": "lab", "team": "SRE"}, "lab"),
        ({"destination": "moog", "team": "SRE"}, "moog"),
        ({"team": "SRE"}, "tickets"),
        ({"team": "sre-1"}, "tickets"),
        ({"team": "SRE-LAB"}, "lab"),
        ({"team": "NETO"}, "lab"),
        ({"team": None}, "moog"),
        ({"destination": "gone", "team": "SRE"}, "tickets"),
    ],
)
def test_the_rule_comes_before_the_team_and_the_team_before_the_default(
    fields: dict[str, Any], destination: str
) -> None:
    assert router().destination_of(of_alert("a", **fields).decision) == destination


def test_without_a_route_the_default_gets_it() -> None:
    routes = Routes(default="moog", names=frozenset({"moog"}))
    assert router(routes).destination_of(of_alert("a").decision) == "moog"


def test_without_any_destination_alerts_are_unrouted() -> None:
    nowhere = router(Routes())
    assert nowhere.state is AlertState.UNROUTED
    assert nowhere.batches([of_alert("a", destination="lab")]) == []
    assert nowhere.unknown == set()
    assert router().state is AlertState.QUEUED


def test_a_name_that_there_is_not_is_remembered_until_it_is_configured() -> None:
    made = router()
    made.destination_of(of_alert("a", destination="gone").decision)
    assert made.unknown == {"gone"}
    made.replace(Routes(default="moog", names=frozenset({"moog", "gone"})))
    assert made.unknown == set()


def test_alerts_are_batched_by_destination_in_their_order() -> None:
    alerts = [of_alert("1", team=None), of_alert("2", team="SRE"), of_alert("3", team=None)]
    batches = router().batches(alerts)
    assert [(stream, batch.item_count) for stream, batch in batches] == [
        ("alert", 2),
        ("alert.tickets", 1),
    ]
    texts = [alert.event.message for alert in decode_alerts(batches[0][1].payload)]
    assert texts == ["1", "3"]
