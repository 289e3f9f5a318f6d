"""Keys and sessions on the whole daemon: made by the command, kept over a restart, then revoked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest
from running_daemon import RunningDaemon, eventually
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.cli import main

pytestmark = pytest.mark.acceptance

Start = Callable[..., RunningDaemon]


@pytest.fixture(params=["embedded", pytest.param("postgres", marks=needs_postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings that choose a store."""
    if request.param == "embedded":
        yield {}
        return
    with database(shared_postgres()) as url:
        yield {"MUTTD_DATABASE_URL": url}


def test_who_is_locked_out_lets_himself_in_whether_the_daemon_runs_or_not(
    start_daemon: Start, store: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon(**store)
    environ = {"MUTTD_STATE_DIR": str(daemon.state_dir)} | store

    def keys(*arguments: str) -> str:
        assert main(["keys", *arguments, "--store"], environ) == 0
        return capsys.readouterr().out.strip()

    def status(key: str) -> int:
        headers = {"X-API-KEY": key}
        return httpx.get(f"{daemon.url}/api/v2/keys", headers=headers).status_code

    known = keys("create", "ann", "--role", "admin")
    # The daemon that runs is told by nobody, and sees it.
    eventually(partial(status, known), lambda status: status == 200, within_s=1)
    daemon.kill()
    made = keys("create", "ben", "--role", "admin")
    keys("revoke", keys("list").splitlines()[1].split()[0])
    daemon = start_daemon(**store)
    assert (status(made), status(known)) == (200, 401)
    keys("revoke", keys("list").splitlines()[1].split()[0])
    eventually(partial(status, made), lambda status: status == 401, within_s=1)
    assert not any("Traceback" in line for line in daemon.log)


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
