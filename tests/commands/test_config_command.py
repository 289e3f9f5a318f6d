"""muttd config: what is listed, and what is sent to be changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_api import FakeApi

from muttd.cli import main

PATH = "/api/v2/config"


def a_setting(key: str, **fields: Any) -> dict[str, Any]:
    given = {
        "key": key,
        "value": 50,
        "default": 50,
        "source": "default",
        "type": "whole number",
        "unit": "alerts",
        "at_least": 1,
        "at_most": 100,
        "text": "A sentence.",
        "environment_name": f"MUTTD_{key.upper()}",
        "changed_by": None,
        "changed_at": None,
    }
    return given | fields


SETTINGS = [a_setting("moog_rate_limit", value=20, changed_by="ann"), a_setting("breaker_failures")]


@pytest.fixture
def site(api: FakeApi) -> FakeApi:
    for method in ("GET", "PUT"):
        api.answers[method, PATH] = (200, {"config": SETTINGS})
    return api


def run(action: str, *arguments: str, api: FakeApi, key_file: str) -> int:
    return main(["config", action, "--url", api.url, "--key-file", key_file, *arguments], {})


def test_every_setting_is_listed(
    site: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", api=site, key_file=key_file) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["KEY", "VALUE", "UNIT", "DEFAULT"]
    assert first.split()[:4] == ["moog_rate_limit", "20", "alerts", "50"]
    assert second.split()[0] == "breaker_failures"
    assert run("list", "--json", api=site, key_file=key_file) == 0
    assert json.loads(capsys.readouterr().out) == SETTINGS


def test_settings_are_changed_together_and_shown(
    site: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = ("moog_rate_limit=20", "moog_rate_period=0.5", "unhandled_default_team=a=b", "x=nan")
    assert run("set", *pairs, "--reason", "slow", api=site, key_file=key_file) == 0
    [(method, path, _, body)] = site.calls
    assert (method, path) == ("PUT", PATH)
    assert body == {
        "values": {
            "moog_rate_limit": 20,
            "moog_rate_period": 0.5,
            "unhandled_default_team": "a=b",
            "x": "nan",
        },
        "change_reason": "slow",
    }
    shown = capsys.readouterr().out
    assert "moog_rate_limit" in shown
    assert "breaker_failures" not in shown


def test_settings_go_back_to_their_defaults(site: FakeApi, key_file: str) -> None:
    assert run("unset", "moog_rate_limit", "x", api=site, key_file=key_file) == 0
    [(_, _, _, body)] = site.calls
    assert body == {"values": {"moog_rate_limit": None, "x": None}, "change_reason": None}


def test_what_the_daemon_refuses_is_told(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    detail = {"field": "colour", "message": "no such setting"}
    refusal = {"error": "invalid_input", "message": "wrong", "details": [detail]}
    api.answers["PUT", PATH] = (400, refusal)
    assert run("set", "colour=1", api=api, key_file=key_file) == 65
    assert "colour: no such setting" in capsys.readouterr().err


@pytest.mark.parametrize("pairs", [("a",), ("=1",), ("a=1", "a=2")])
def test_a_pair_has_a_key_and_a_value(site: FakeApi, key_file: str, pairs: tuple[str, ...]) -> None:
    assert run("set", *pairs, api=site, key_file=key_file) == 64
    assert site.calls == []
