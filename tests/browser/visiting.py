"""A page that somebody has open, and what tests of pages do again and again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, expect
from running_daemon import RunningDaemon, eventually

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


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


def sign_in(page: Page, key: str) -> None:
    """Fill in the sign-in form that the page shows."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


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
