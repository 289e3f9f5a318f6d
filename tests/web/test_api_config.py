"""GET, PUT and DELETE /api/v2/config: values, defaults, bounds, who changed what."""

from __future__ import annotations

from typing import Any

import pytest
from web_site import Site

from muttd.dynamic import ROWS
from muttd.web.auth import Role


async def shown(site: Site, key: str) -> dict[str, Any]:
    answer = await site.get(f"/api/v2/config/{key}")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def test_every_key_is_listed_with_what_it_may_be(site: Site) -> None:
    listed = (await site.get("/api/v2/config")).json()["config"]
    assert [each["key"] for each in listed] == list(ROWS)
    [rate] = [each for each in listed if each["key"] == "moog_rate_limit"]
    assert rate == {
        "key": "moog_rate_limit",
        "value": 50,
        "default": 50,
        "source": "default",
        "type": "whole number",
        "unit": "alerts",
        "at_least": 1,
        "at_most": 100_000,
        "text": ROWS["moog_rate_limit"].text,
        "environment_name": "MUTTD_MOOG_RATE_LIMIT",
        "changed_by": None,
        "changed_at": None,
    }


async def test_a_stored_value_overrides_the_environment_until_it_is_taken_back(site: Site) -> None:
    first = await shown(site, "breaker_failures")
    assert (first["value"], first["source"]) == (7, "environment")
    body = {"value": 4, "change_reason": "storm"}
    answer = await site.call("PUT", "/api/v2/config/breaker_failures", json=body)
    assert answer.status_code == 200
    assert answer.json() == await shown(site, "breaker_failures")
    second = answer.json()
    assert (second["value"], second["default"], second["source"]) == (4, 7, "store")
    assert (second["changed_by"], second["changed_at"][-1]) == ("admin-bot", "Z")
    answer = await site.call("DELETE", "/api/v2/config/breaker_failures?change_reason=over")
    assert answer.status_code == 204
    assert await shown(site, "breaker_failures") == first
    assert len(site.dynamic_changes) == 2
    history = (await site.get("/api/v2/config/breaker_failures/history")).json()
    assert [(each["operation"], each["reason"]) for each in history["changes"]] == [
        ("DELETE", "over"),
        ("CREATE", "storm"),
    ]
    audit = (await site.get("/api/v2/config-audit?table_name=dynamic_config")).json()
    assert audit["changes"] == history["changes"]


async def test_several_keys_change_at_once_or_not_at_all(site: Site) -> None:
    path = "/api/v2/config"
    good = {"moog_rate_limit": 5, "moog_rate_period": 2}
    answer = await site.call("PUT", path, json={"values": good})
    assert answer.status_code == 200
    assert {e["key"]: e["value"] for e in answer.json()["config"]}.items() >= good.items()
    bad = {"moog_rate_limit": None, "moog_rate_perido": 1, "history_days": -1, "x": None}
    answer = await site.call("PUT", path, json={"values": bad, "change_reason": 7, "colour": 1})
    assert answer.status_code == 400
    assert {each["field"]: each["message"] for each in answer.json()["details"]} == {
        "colour": "no such field; values and change_reason are",
        "change_reason": "must be text or null",
        "moog_rate_perido": "no such setting; did you mean moog_rate_period?",
        "history_days": "must be at least 0 days",
        "x": "no such setting",
    }
    assert (await shown(site, "moog_rate_limit"))["value"] == 5
    answer = await site.call("PUT", path, json={"values": {"moog_rate_limit": None}})
    assert (await shown(site, "moog_rate_limit"))["source"] == "default"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_unknown_key_is_not_found_and_the_one_meant_is_named(
    site: Site, method: str
) -> None:
    answer = await site.call(method, "/api/v2/config/moog_rate_limits", json={"value": 1})
    assert answer.status_code == 404
    assert "did you mean moog_rate_limit?" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"value": 0}, "moog_rate_limit", "must be at least 1 alerts"),
        ({"value": "7"}, "moog_rate_limit", "must be a whole number"),
        ({}, "value", "is missing; DELETE goes back to the default"),
        ({"value": None}, "value", "is missing; DELETE goes back to the default"),
        ({"value": 1, "valeu": 2}, "valeu", "no such field; value and change_reason are"),
    ],
)
async def test_a_wrong_value_is_a_400_and_changes_nothing(
    site: Site, body: dict[str, Any], field: str, message: str
) -> None:
    answer = await site.call("PUT", "/api/v2/config/moog_rate_limit", json=body)
    assert answer.status_code == 400
    assert {"field": field, "message": message} in answer.json()["details"]
    assert (await shown(site, "moog_rate_limit"))["source"] == "default"
    assert site.dynamic_changes == []


@pytest.mark.parametrize("values", [None, [], {}, "x"])
async def test_values_must_be_an_object(site: Site, values: object) -> None:
    answer = await site.call("PUT", "/api/v2/config", json={"values": values})
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == "values"


async def test_viewers_may_look_and_change_nothing(site: Site) -> None:
    for method, path in (("PUT", ""), ("PUT", "/history_days"), ("DELETE", "/history_days")):
        answer = await site.call(method, f"/api/v2/config{path}", role=Role.VIEWER, json={})
        assert answer.status_code == 403
