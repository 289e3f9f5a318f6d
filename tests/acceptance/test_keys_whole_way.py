"""Keys and sessions on the whole daemon: made by the command, kept over a restart, then revoked."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from running_daemon import RunningDaemon, eventually

from muttd.cli import main

pytestmark = pytest.mark.acceptance

Start = Callable[..., RunningDaemon]


def test_a_key_is_made_signs_in_over_a_restart_and_is_revoked(
    start_daemon: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon()

    def keys(*arguments: str) -> str:
        options = ("--url", daemon.url, "--state-dir", str(daemon.state_dir))
        assert main(["keys", *arguments, *options], {}) == 0
        return capsys.readouterr().out

    secret = keys("create", "ann", "--role", "operator").strip()
    with httpx.Client(base_url=daemon.url) as browser:
        form = browser.get("/sign-in").text
        token = re.search(r'name="form_token" value="([^"]+)"', form)
        assert token is not None
        answer = browser.post("/sign-in", data={"api_key": secret, "form_token": token[1]})
        assert answer.status_code == 303
        assert browser.get("/api/v2/rules").status_code == 200
        cookies = dict(browser.cookies)
    daemon.terminate()
    assert not any(secret in line or cookies["muttd_session"] in line for line in daemon.log)

    daemon = start_daemon()
    with httpx.Client(base_url=daemon.url, cookies=cookies) as browser:
        assert browser.get("/api/v2/rules").status_code == 200
        assert browser.get("/live").status_code == 200
        [key_id] = [line.split()[0] for line in keys("list").splitlines() if " ann " in line]
        keys("revoke", key_id)
        eventually(lambda: browser.get("/api/v2/rules").status_code, lambda s: s == 401, within_s=1)
    by_key = httpx.get(f"{daemon.url}/api/v2/rules", headers={"X-API-KEY": secret})
    assert by_key.status_code == 401
