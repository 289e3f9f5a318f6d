"""GET /api/v2/rules/export and POST /api/v2/rules/import."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import yaml
from web_site import Site

from muttd.web.api import rule_exchange
from muttd.web.auth import Role

RULE = {
    "name": "link",
    "match_string": "UPDOWN",
    "prod_handling": "Page_only",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}
FAN = RULE | {"name": "fan", "match_string": "FAN"}
YAML = {"Content-Type": "application/yaml"}


async def export(site: Site, form: str) -> httpx.Response:
    return await site.get(f"/api/v2/rules/export?format={form}")


async def put_in(site: Site, *rules: dict[str, Any], **params: str) -> dict[str, Any]:
    answer = await site.call("POST", "/api/v2/rules/import", json={"rules": rules}, params=params)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[name] for name in ("created", "updated", "deleted", "unchanged"))


async def names(site: Site) -> list[str]:
    return [rule["name"] for rule in (await site.get("/api/v2/rules")).json()["rules"]]


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_what_was_exported_is_imported_without_a_change(site: Site, form: str) -> None:
    await put_in(site, RULE, FAN, FAN)
    exported = await export(site, form)
    assert exported.headers["content-type"].startswith(f"application/{form}")
    assert exported.headers["content-disposition"] == f'attachment; filename="rules.{form}"'
    headers = {"Content-Type": f"application/{form}"}
    answer = await site.call(
        "POST", "/api/v2/rules/import?mode=replace", content=exported.content, headers=headers
    )
    assert counts(answer.json()) == (0, 0, 0, 3)
    document = yaml.safe_load(exported.text)
    assert [each["name"] for each in document["rules"]] == ["link", "fan", "fan"]


async def test_without_a_format_it_is_yaml(site: Site) -> None:
    answer = await site.get("/api/v2/rules/export")
    assert yaml.safe_load(answer.text) == {"rules": []}
    assert answer.headers["content-type"].startswith("application/yaml")


async def test_merge_leaves_what_the_file_does_not_have_and_replace_deletes_it(site: Site) -> None:
    assert counts(await put_in(site, RULE)) == (1, 0, 0, 0)
    changed = RULE | {"priority": 7}
    result = await put_in(site, FAN, changed, mode="merge", change_reason="spring")
    assert counts(result) == (1, 1, 0, 0)
    assert result["changes"] == [
        {"operation": "create", "rule_id": None, "name": "fan"},
        {"operation": "update", "rule_id": 1, "name": "link"},
    ]
    assert await names(site) == ["link", "fan"]
    result = await put_in(site, FAN, mode="replace")
    assert counts(result) == (0, 0, 1, 1)
    assert await names(site) == ["fan"]
    audit = (await site.get("/api/v2/config-audit")).json()["changes"]
    assert sorted((each["operation"], str(each["reason"])) for each in audit) == [
        ("CREATE", "None"),
        ("CREATE", "spring"),
        ("DELETE", "None"),
        ("UPDATE", "spring"),
    ]
    assert len(site.rules_changes) == 3


async def test_a_dry_run_says_what_would_be_and_changes_nothing(site: Site) -> None:
    await put_in(site, RULE)
    result = await put_in(site, FAN, mode="replace", dry_run="true")
    assert (result["dry_run"], counts(result)) == (True, (1, 0, 1, 0))
    assert await names(site) == ["link"]
    assert len(site.rules_changes) == 1


async def test_one_wrong_rule_and_none_is_imported(site: Site) -> None:
    wrong = [RULE, RULE | {"match_type": "regex", "match_string": "a("}, {"name": ""}]
    answer = await site.call("POST", "/api/v2/rules/import", json={"rules": wrong})
    assert answer.status_code == 400
    told = {each["field"]: each["message"] for each in answer.json()["details"]}
    assert "at position 1" in told["rules[1].match_string"]
    assert {"rules[2].name", "rules[2].prod_handling"} <= told.keys()
    assert await names(site) == []


async def test_which_of_several_rules_with_one_name_is_meant_must_be_clear(site: Site) -> None:
    await put_in(site, FAN, FAN | {"priority": 200})
    answer = await site.call("POST", "/api/v2/rules/import", json={"rules": [FAN]})
    assert answer.status_code == 400
    [problem] = answer.json()["details"]
    assert problem == {
        "field": "rules[0].name",
        "message": "several rules have it, rename them: 1, 2",
    }
    assert counts(await put_in(site, FAN, mode="replace")) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"rules: [", YAML, 400),
        (b"rules: \xff", YAML, 400),
        (b"{}", YAML, 400),
        (b"rules: 7", YAML, 400),
        (b"[" * 100_000, YAML, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"rules: !!python/object/apply:os.system [ls]", YAML, 400),
        (b"name,x", {"Content-Type": "text/csv"}, 415),
    ],
)
async def test_what_is_no_file_of_rules_is_refused(
    site: Site, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await site.call("POST", "/api/v2/rules/import", content=content, headers=headers)
    assert answer.status_code == status


async def test_a_file_that_is_too_long_is_not_read_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_exchange, "MAX_FILE_OCTETS", 2000)
    parts = [{"type": "http.request", "body": b" " * 1500, "more_body": True} for _ in range(3)]
    sent = await site.octets("POST", "/api/v2/rules/import", headers=YAML, received=parts)
    assert sent[0]["status"] == 413
    assert len(parts) == 1


async def test_viewers_may_export_and_not_import(site: Site) -> None:
    assert (await export(site, "json")).json() == {"rules": []}
    answer = await site.call("POST", "/api/v2/rules/import", role=Role.VIEWER, json={"rules": []})
    assert answer.status_code == 403
    assert json.loads((await export(site, "json")).text) == {"rules": []}
