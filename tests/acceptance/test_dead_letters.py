"""What the webhook refuses, the whole way: given up on, edited, replayed, delivered, parked."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

from muttd.cli import main

PATH = "/api/v2/dead-letters"


@pytest.fixture
def daemon(start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook) -> RunningDaemon:
    daemon = start_daemon(
        MUTTD_MOOG_WEBHOOK_URL=webhook.url,
        MUTTD_MOOG_BACKOFF_BASE_S="0.05",
        MUTTD_MOOG_BACKOFF_CAP_S="0.1",
    )
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    return daemon


def raise_alert(daemon: RunningDaemon, hostname: str = "sw1") -> None:
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": hostname})


def letters(daemon: RunningDaemon, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.get(PATH, **params)["dead_letters"]
    return found


def dlq(daemon: RunningDaemon, action: str, *arguments: str) -> int:
    key_file = str(daemon.state_dir / "admin.key")
    return main(["dlq", action, "--url", daemon.url, "--key-file", key_file, *arguments], {})


@pytest.mark.parametrize("status", [202, 204])
def test_any_2xx_is_delivered(daemon: RunningDaemon, webhook: ScriptedWebhook, status: int) -> None:
    webhook.answer = lambda call: (status, {}, "")
    raise_alert(daemon)
    eventually(lambda: daemon.get("/api/v2/alerts", state="delivered")["alerts"])
    assert letters(daemon) == []


def test_what_is_refused_is_edited_replayed_and_delivered(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (
        (200, {}, "") if call.body["source"] == "sw1.example.net" else (400, {}, "no FQDN")
    )
    raise_alert(daemon)
    [letter] = eventually(lambda: letters(daemon))
    assert (letter["reason"], letter["error"]) == ("rejected", "status 400: no FQDN")
    edit = {"event": {"hostname": "sw1.example.net"}, "change_reason": "it wants names in full"}
    with daemon.client() as client:
        answer = client.put(f"{PATH}/{letter['letter_id']}", json=edit)
        assert answer.status_code == 200, answer.text
    done = daemon.post(f"{PATH}/replay", {"ids": [letter["letter_id"]]})
    assert done["replayed"] == 1
    [alert] = eventually(lambda: daemon.get("/api/v2/alerts", state="delivered")["alerts"])
    assert (alert["alert_id"], alert["attempts"]) == (letter["item_id"], 2)
    assert letters(daemon) == []
    assert {call.body["external_id"] for call in webhook.calls} == {letter["item_id"]}


def have_replays(count: int, found: list[dict[str, Any]]) -> bool:
    return [each["replays"] for each in found] == [count]


def test_what_fails_at_every_replay_is_parked(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (400, {}, "never")
    raise_alert(daemon)
    for replays in range(3):
        eventually(
            lambda: letters(daemon),
            partial(have_replays, replays),
        )
        assert daemon.post(f"{PATH}/replay", {"all": True})["replayed"] == 1
    [letter] = eventually(lambda: letters(daemon, parked=True))
    assert (letter["attempts"], letter["replays"]) == (4, 3)
    assert daemon.post(f"{PATH}/replay", {"all": True})["replayed"] == 0
    assert daemon.post(f"{PATH}/replay", {"ids": [letter["letter_id"]]})["parked"] == 1
    assert len(webhook.calls) == 4


def test_the_command_lists_shows_replays_and_discards(
    daemon: RunningDaemon, webhook: ScriptedWebhook, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.answer = lambda call: (400, {}, "bad\x1b[2J")
    for count, host in enumerate(("sw1", "sw2", "sw3"), 1):
        raise_alert(daemon, host)
        eventually(lambda: len(letters(daemon)), partial(operator.eq, count))
    assert dlq(daemon, "list", "--kind", "alert", "--not-parked") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["ID", "KIND", "REASON"]
    assert len(rows) == 3
    assert "status 400: bad" in rows[0]
    assert "\x1b" not in "".join(rows)
    assert dlq(daemon, "list", "--json", "--reason", "poison") == 0
    assert json.loads(capsys.readouterr().out) == []

    newest, middle, oldest = (each["letter_id"] for each in letters(daemon))
    assert dlq(daemon, "show", newest) == 0
    assert json.loads(capsys.readouterr().out)["event"]["hostname"] == "sw3"
    assert dlq(daemon, "show", "nobody") != 0

    assert dlq(daemon, "discard", middle, "--reason-text", "noise") == 0
    webhook.answer = lambda call: (200, {}, "")
    assert dlq(daemon, "replay", oldest, "nobody", "--json") == 65
    done = capsys.readouterr().out
    assert json.loads(done[done.index("{") :]) == {
        "replayed": 1, "parked": 0, "unknown": 1, "left": 0,
    }  # fmt: skip
    assert dlq(daemon, "replay", "--all", "--destination", "moog") == 0
    eventually(lambda: len(webhook.accepted), lambda count: count == 2)
    changes = daemon.get("/api/v2/config-audit", table_name="dead_letters")["changes"]
    assert [each["operation"] for each in changes] == ["UPDATE", "UPDATE", "DELETE"]
    assert changes[2]["reason"] == "noise"
