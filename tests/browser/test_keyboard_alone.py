"""A night without a mouse: sign in, look, make a rule, see it page, replay what was given up on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from visiting import OpenPage, add_rule, is_live, syslog, wait_in_force

pytestmark = pytest.mark.browser

MAX_TABS = 80
FOCUSED = """() => {
  const node = document.activeElement;
  const label = node.labels?.[0]?.textContent ?? node.getAttribute('aria-label');
  return (label ?? node.textContent).trim();
}"""
HAS_RING = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"


def tab_to(page: Page, name: str, *, key: str = "Tab") -> None:
    """Press Tab until what has that name has the focus, and shows it."""
    for _ in range(MAX_TABS):
        page.keyboard.press(key)
        if re.match(name, str(page.evaluate(FOCUSED))):
            assert page.evaluate(HAS_RING), f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"no way to {name} by {key}")


def type_into(page: Page, name: str, text: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_the_whole_night_by_keyboard_alone(
    daemon: RunningDaemon, open_page: OpenPage, host: str, shared_webhook: ScriptedWebhook
) -> None:
    taking = shared_webhook.answer
    shared_webhook.answer = lambda call: (
        (422, {}, "not now") if call.body["source"] == host else taking(call)
    )
    add_rule(daemon, a_rule(name=f"given up {host}", match_string=f"GIVEN UP {host}"))
    daemon.send_udp(syslog(host, f"GIVEN UP {host}", pri=131))
    daemon.send_udp(syslog(host, f"fan of {host} stopped", pri=131))
    eventually(lambda: daemon.get("/api/v2/alerts", hostname=host, state="dead")["alerts"])
    shared_webhook.answer = taking

    page = open_page("/sign-in", storage_state=None).page
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(daemon.key())
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{daemon.url}/live")
    is_live(page)

    page.keyboard.press("/")
    page.keyboard.type(f"fan of {host}")
    expect(page.locator("#rows .event-row")).to_have_count(1)
    page.keyboard.press("Tab")
    tab_to(page, "Pause")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()
    tab_to(page, "Create rule from this event")
    page.keyboard.press("Enter")

    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(f"Fans of {host}")
    type_into(page, "Text", f"fan of {host}")
    type_into(page, "Team", "FACILITIES")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("is created, and in force")
    wait_in_force(daemon)
    daemon.send_udp(syslog(host, f"fan of {host} stopped again", pri=131))

    tab_to(page, "Alerts")
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    page.keyboard.type(host)
    row = page.locator("tbody tr", has_text=f"Fans of {host}")
    expect(row).to_contain_text("Delivered", timeout=20_000)

    tab_to(page, "Dead letters", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("tbody")).to_contain_text(f"GIVEN UP {host}")
    tab_to(page, f"Open dead letter: GIVEN UP {host}")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Content as JSON")).to_be_visible()
    tab_to(page, "Replay")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Replayed: it is back in the queue.")
    eventually(
        lambda: daemon.get("/api/v2/alerts", hostname=host, state="delivered")["alerts"],
        lambda alerts: len(alerts) == 2,
    )
