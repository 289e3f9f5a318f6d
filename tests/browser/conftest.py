"""One daemon, one webhook and one Chromium for all browser tests; a fresh browser profile for each.

Tests share the daemon, so each names a host of its own and looks at that host only.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from running_daemon import RunningDaemon, ScriptedWebhook, eventually, scripted_webhook

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

_hosts = itertools.count(1)


@dataclass
class Visit:
    """A page that somebody has open, and what its console complained of.

    Attributes:
        page: Playwright's page.
        complaints: Errors and warnings of the console, and exceptions nobody caught.
        expected: Parts of complaints that belong to the test.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Write down what goes wrong from now on."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    @property
    def surprises(self) -> list[str]:
        """Complaints that nobody expected."""
        return [each for each in self.complaints if not any(part in each for part in self.expected)]


OpenPage = Callable[..., Visit]


@pytest.fixture(scope="session")
def shared_webhook() -> Iterator[ScriptedWebhook]:
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="session")
def daemon(
    shared_webhook: ScriptedWebhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    state_dir = tmp_path_factory.mktemp("browser") / "state"
    daemon = RunningDaemon(state_dir, {"MUTTD_MOOG_WEBHOOK_URL": shared_webhook.url})
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


def sign_in(page: Page, key: str) -> None:
    """Fill in the sign-in form that the page shows."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


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


def is_live(page: Page) -> None:
    """Wait until the stream is on, with whatever it was filled with."""
    expect(page.locator("#connection-text")).to_have_text("Live")
    expect(page.locator("#stream")).to_have_attribute("aria-busy", "false")
    # The first beat of the daemon: the filter that was sent before it is in force.
    expect(page.locator("#rate")).to_have_text(re.compile(r"\d"))


def syslog(host: str, message: str, *, pri: int = 134, app: str = "app") -> bytes:
    """One RFC 5424 message."""
    return f"<{pri}>1 - {host} {app} 42 ID7 - {message}".encode()


def wait_in_force(daemon: RunningDaemon) -> None:
    """Wait until the rules that the daemon decides by are those of its store."""
    rules = daemon.get("/api/v2/rules", is_active="true", limit=200)["rules"]
    changed_at = max((rule["updated_at"] for rule in rules), default="")
    eventually(
        lambda: daemon.get("/api/v2/status")["rules"],
        lambda loaded: loaded["active"] == len(rules) and loaded["loaded_at"] >= changed_at,
    )


def add_rule(daemon: RunningDaemon, rule: dict[str, Any]) -> dict[str, Any]:
    """Add a rule, and wait until it is in force."""
    added: dict[str, Any] = daemon.post("/api/v2/rules", rule)
    wait_in_force(daemon)
    return added
