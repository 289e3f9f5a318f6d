"""Severities of traps are set, listed and removed; in force when the answer comes."""

from __future__ import annotations

import pytest
from web_site import Site

from muttd.store.contract import ChangeQuery, Window
from muttd.web.api import trap_severities
from muttd.web.auth import Role

PATH = "/api/v2/trap-severities"
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
CISCO = "1.3.6.1.4.1.9"


def severity_of(site: Site, trap_oid: str) -> int:
    return site.services.mibs.in_force.current.severity_of(trap_oid)


async def test_a_severity_is_in_force_for_its_oid_and_all_below(site: Site) -> None:
    body = {"severity": "critical", "change_reason": "core"}
    answer = await site.call("PUT", f"{PATH}/.{CISCO}.*", json=body, role=Role.OPERATOR)
    assert answer.json() == {
        "trap_oid": CISCO,
        "name": "CISCO-SMI::cisco",
        "severity": 2,
        "severity_name": "crit",
    }
    assert severity_of(site, f"{CISCO}.9.43.2.0.1") == 2
    assert severity_of(site, f"{CISCO}9.1") == 5
    assert len(site.rules_changes) == 1
    [change] = (await site.store.config_changes(ChangeQuery(), Window())).items
    assert (change.table_name, change.record_id, change.reason) == (
        "trap_severities",
        CISCO,
        "core",
    )


async def test_severities_are_listed_by_their_oids_and_removed(site: Site) -> None:
    for oid, severity in ((LINK_DOWN, 1), ("1.3.6.1.4.1.12356", 0), (CISCO, 7)):
        await site.call("PUT", f"{PATH}/{oid}", json={"severity": severity})
    body = (await site.get(PATH)).json()
    assert [(each["trap_oid"], each["severity"]) for each in body["trap_severities"]] == [
        (CISCO, 7),
        ("1.3.6.1.4.1.12356", 0),
        (LINK_DOWN, 1),
    ]
    assert body["total"] == 3
    assert severity_of(site, LINK_DOWN) == 1
    assert (await site.call("DELETE", f"{PATH}/{LINK_DOWN}")).status_code == 204
    assert severity_of(site, LINK_DOWN) == 3
    assert (await site.call("DELETE", f"{PATH}/{LINK_DOWN}")).status_code == 404


@pytest.mark.parametrize("oid", ["linkDown", "1", "3.1", "1.3.4294967296", "1.03", "1..3"])
async def test_what_is_no_oid_is_refused(site: Site, oid: str) -> None:
    answer = await site.call("PUT", f"{PATH}/{oid}", json={"severity": 1})
    assert answer.status_code == 400
    assert "must be an OID" in answer.text


@pytest.mark.parametrize("severity", [8, -1, "loud", None, True, 1.5])
async def test_what_is_no_severity_is_refused(site: Site, severity: object) -> None:
    answer = await site.call("PUT", f"{PATH}/{CISCO}", json={"severity": severity})
    assert answer.status_code == 400


async def test_there_is_an_end_to_severities(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trap_severities, "MAX_ENTRIES", 1)
    assert (await site.call("PUT", f"{PATH}/{CISCO}", json={"severity": 1})).status_code == 200
    assert (await site.call("PUT", f"{PATH}/{CISCO}", json={"severity": 2})).status_code == 200
    assert (await site.call("PUT", f"{PATH}/1.3", json={"severity": 1})).status_code == 400


async def test_a_viewer_looks_and_does_not_touch(site: Site) -> None:
    assert (await site.get(PATH)).status_code == 200
    answer = await site.call("PUT", f"{PATH}/1.3", json={"severity": 1}, role=Role.VIEWER)
    assert answer.status_code == 403
