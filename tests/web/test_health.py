"""Alive and ready are two things."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio
import trio.testing
from web_site import Site

from muttd.web.app import create_app
from muttd.web.health import READINESS_TIMEOUT_S


async def test_the_daemon_is_alive_when_the_loop_turns(site: Site) -> None:
    site.readiness["store"] = {"ok": False, "error": "disk full"}
    response = await site.call("GET", "/healthz", role=None)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_the_daemon_is_ready_when_everything_is(site: Site) -> None:
    response = await site.call("GET", "/readyz", role=None)
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "dependencies": site.readiness}


async def test_one_dependency_that_is_not_well_makes_503_and_is_named(site: Site) -> None:
    site.readiness["store"] = {"ok": False, "error": "disk full"}
    response = await site.call("GET", "/readyz", role=None)
    assert response.status_code == 503
    assert response.json() == {
        "status": "unready",
        "dependencies": {
            "queue": {"ok": True, "error": None},
            "store": {"ok": False, "error": "disk full"},
        },
    }


async def test_a_check_that_never_answers_is_an_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> dict[str, dict[str, Any]]:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr("muttd.web.health.READINESS_TIMEOUT_S", 0.01)
    registry = type(site.registry)()
    services = dataclasses.replace(site.services, readiness=hang, registry=registry)
    hung = dataclasses.replace(site, app=create_app(services, site.sessions))
    response = await hung.call("GET", "/readyz", role=None)
    assert response.status_code == 503
    assert response.json()["dependencies"]["readiness"]["ok"] is False
    assert READINESS_TIMEOUT_S == 2.0
