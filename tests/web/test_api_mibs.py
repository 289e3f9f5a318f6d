"""MIBs are uploaded, listed and removed; what they name is in force when the answer comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from web_site import Site

from muttd.mibs.compiler import MAX_TEXT_OCTETS
from muttd.store.contract import Change, ChangeQuery, Window
from muttd.web.api import mibs as mibs_module
from muttd.web.auth import Role

CORPUS = Path(__file__).parent.parent / "corpus" / "mibs"
PLAIN = {"Content-Type": "text/plain"}
TOO_HOT = "1.3.6.1.4.1.424242.2.7.0.1"


async def upload(site: Site, name: str, **more: Any) -> Any:
    text = (CORPUS / name).read_bytes()
    return await site.call("POST", "/api/v2/mibs", content=text, headers=PLAIN, **more)


async def listed(site: Site) -> dict[str, str]:
    body = (await site.get("/api/v2/mibs")).json()
    assert body["total"] == len(body["mibs"])
    return {each["name"]: each["state"] for each in body["mibs"]}


async def test_an_upload_names_traps_and_says_what_it_lacks(site: Site) -> None:
    answer = await upload(site, "ACME-ENV-MIB.mib", params={"change_reason": "new sensors"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/v2/mibs/ACME-ENV-MIB"
    body = answer.json()
    assert (body["origin"], body["state"], body["uploaded_by"]) == (
        "uploaded",
        "incomplete",
        "admin-bot",
    )
    assert body["modules"][0]["missing"] == ["ACME-SMI"]
    body = (await upload(site, "ACME-SMI.mib", role=Role.OPERATOR)).json()
    assert body["state"] == "in_force"
    assert await listed(site) == {"ACME-ENV-MIB": "in_force", "ACME-SMI": "in_force"}
    mib = site.services.mibs.in_force.current
    assert mib.name_of(TOO_HOT) == "ACME-ENV-MIB::acmeEnvTooHot"
    assert len(site.rules_changes) == 2
    [change, _] = (await site.store.config_changes(ChangeQuery(), Window())).items[::-1]
    assert (change.table_name, change.record_id, change.changed_by, change.reason) == (
        "mibs",
        "ACME-ENV-MIB",
        "admin-bot",
        "new sensors",
    )


async def test_a_second_upload_replaces_the_first(site: Site) -> None:
    await upload(site, "ACME-OLD-MIB.my")
    text = (CORPUS / "ACME-OLD-MIB.my").read_text().replace("oldFanStopped", "oldFanStalled")
    answer = await site.call("POST", "/api/v2/mibs", content=text, headers=PLAIN)
    assert [name for name, _ in answer.json()["modules"][0]["notifications"]] == [
        "oldFanStalled",
        "oldColdStart",
    ]
    assert len(await site.store.mibs()) == 1


async def test_what_cannot_be_parsed_is_refused_with_its_line_and_not_kept(site: Site) -> None:
    answer = await upload(site, "ACME-BROKEN-MIB.mib")
    assert answer.status_code == 400
    [detail] = answer.json()["details"]
    assert detail["field"] == "text"
    assert detail["message"].startswith("line 8: ")
    assert await site.store.mibs() == []


async def test_an_upload_is_removed_and_a_file_is_not(site: Site, tmp_path: Path) -> None:
    await upload(site, "ACME-SMI.mib")
    assert (await site.call("DELETE", "/api/v2/mibs/ACME-SMI")).status_code == 204
    assert await listed(site) == {}
    assert (await site.call("DELETE", "/api/v2/mibs/ACME-SMI")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        (PLAIN, b"", 400),
        (PLAIN, b"\xff\x00", 400),
    ],
)
async def test_what_is_no_mib_is_refused(
    site: Site, headers: dict[str, str], content: bytes, status: int
) -> None:
    answer = await site.call("POST", "/api/v2/mibs", headers=headers, content=content)
    assert answer.status_code == status


async def test_a_text_without_end_is_413_and_is_not_read_to_its_end(site: Site) -> None:
    piece = {"type": "http.request", "body": b" " * (MAX_TEXT_OCTETS // 2), "more_body": True}
    received = [dict(piece) for _ in range(5)]
    start, *_ = await site.octets("POST", "/api/v2/mibs", headers=PLAIN, received=received)
    assert start["status"] == 413
    assert len(received) == 2


async def test_there_is_an_end_to_uploads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mibs_module, "MAX_UPLOADS", 1)
    await site.store.put_mib("ACME-SMI", b"", Change("test"))
    answer = await upload(site, "ACME-OLD-MIB.my")
    assert answer.status_code == 400
    assert "uploaded already" in answer.text
    assert (await upload(site, "ACME-SMI.mib")).status_code == 201


async def test_an_upload_that_is_not_looked_at_in_time_is_stored_and_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mibs_module, "_APPLY_S", 0.0)
    answer = await upload(site, "ACME-SMI.mib")
    assert (answer.status_code, answer.json()["state"]) == (201, "waiting")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INGEST])
async def test_only_operators_change_what_traps_are_called(site: Site, role: Role) -> None:
    assert (await upload(site, "ACME-SMI.mib", role=role)).status_code == 403
    assert (await site.call("DELETE", "/api/v2/mibs/x", role=role)).status_code == 403
