"""One daemon, one webhook and one Chromium for all browser tests; a fresh browser profile for each.

Tests share the daemon, so each names a host of its own and looks at that host only.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import CHROMIUM, CHROMIUM_ARGS
from playwright.sync_api import (
    Browser,
    BrowserContext,
    expect,
    sync_playwright,
)
from running_daemon import RunningDaemon, ScriptedWebhook, scripted_webhook
from visiting import WIDE, OpenPage, Visit, sign_in

_hosts = itertools.count(1)


@pytest.fixture(scope="session")
def shared_webhook() -> Iterator[ScriptedWebhook]:
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="session")
def daemon(
    shared_webhook: ScriptedWebhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    state_dir = tmp_path_factory.mktemp("browser") / "state"
    # No meta-alert about what a test sends a thousand times.
    environ = {"MUTTD_MOOG_WEBHOOK_URL": shared_webhook.url, "MUTTD_UNHANDLED_THRESHOLD": "1000000"}
    daemon = RunningDaemon(state_dir, environ)
    try:
        yield daemon.wait_ready()
    finally:
        daemon.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not os.access(CHROMIUM, os.X_OK) and "chromium" not in os.environ.get(
        "MUTTD_TEST_REQUIRE", ""
    ):
        pytest.skip("install chromium to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def session_state(browser: Browser, daemon: RunningDaemon) -> Any:
    """The cookies of a browser in which somebody signed in. Any: Playwright's own dictionary."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{daemon.url}/sign-in")
    sign_in(page, daemon.key())
    expect(page).to_have_url(f"{daemon.url}/live")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(browser: Browser, daemon: RunningDaemon, session_state: Any) -> Iterator[OpenPage]:
    """Open pages of the shared daemon, signed in; none may complain of what nobody expected."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def open_page(path: str, *, url: str = daemon.url, **context: Any) -> Visit:
        options = {"viewport": WIDE, "storage_state": session_state} | context
        contexts.append(browser.new_context(**options))
        visit = Visit(contexts[-1].new_page())
        visits.append(visit)
        visit.listen()
        visit.page.goto(url + path)
        return visit

    yield open_page
    surprises = [each for visit in visits for each in visit.surprises]
    for context in contexts:
        context.close()
    assert surprises == []


@pytest.fixture
def host() -> str:
    """A host name that no other test uses."""
    return f"host-{next(_hosts)}.example"
