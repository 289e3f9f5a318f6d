"""The Dead letters page: what was given up on is looked into, mended, replayed or discarded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from running_daemon import RunningDaemon, ScriptedWebhook, WebhookCall, a_rule, eventually
from visiting import OpenPage, add_rule, syslog

pytestmark = pytest.mark.browser


@pytest.fixture
def refusing(shared_webhook: ScriptedWebhook, host: str) -> Iterator[set[str]]:
    """Hosts that the webhook refuses; this test's own at first."""
    hosts = {host}
    taking = shared_webhook.answer

    def answer(call: WebhookCall) -> tuple[int, dict[str, str], str]:
        return (422, {}, "no such source") if call.body["source"] in hosts else taking(call)

    shared_webhook.answer = answer
    yield hosts
    shared_webhook.answer = taking


def bury(daemon: RunningDaemon, host: str, count: int = 1) -> None:
    """Have alerts of this host given up on."""
    add_rule(daemon, a_rule(name=f"refused {host}", match_string=f"REFUSED {host}"))
    for n in range(count):
        daemon.send_udp(syslog(host, f"REFUSED {host} no {n}", pri=131))
    eventually(
        lambda: daemon.get("/api/v2/alerts", hostname=host, state="dead")["alerts"],
        lambda alerts: len(alerts) == count,
    )


def letter(page: Page, text: str) -> None:
    """Open the letter of that message."""
    page.get_by_role("button", name=re.compile(f"Open dead letter: .*{text}")).click()
    expect(page.get_by_label("Content as JSON")).to_be_visible()


def test_a_dead_alert_is_mended_replayed_and_delivered(
    daemon: RunningDaemon,
    open_page: OpenPage,
    host: str,
    refusing: set[str],
    shared_webhook: ScriptedWebhook,
) -> None:
    bury(daemon, host)
    visit = open_page("/dead-letters?kind=alert&reason=rejected")
    visit.expected.append("400")
    page = visit.page
    letter(page, f"{host} no 0")
    panel = page.get_by_role("complementary", name="Dead letter")
    expect(panel).to_contain_text("status 422: no such source")
    content = page.get_by_label("Content as JSON")
    content.fill("{ this is no JSON")
    page.get_by_role("button", name="Save edit", exact=True).click()
    expect(panel.locator(".field-error")).to_contain_text("This is no JSON")
    content.fill('{"event": {"severity": 99}}')
    page.get_by_role("button", name="Save edit", exact=True).click()
    expect(panel.locator(".field-error")).to_contain_text("event.severity")
    content.fill('{"event": {"hostname": "mended.example"}}')
    page.get_by_label("Why you edit it").fill("It was renamed.")
    page.get_by_role("button", name="Save edit and replay").click()
    expect(page.locator("#toasts")).to_contain_text("Replayed: it is back in the queue.")
    expect(panel).to_be_hidden()
    eventually(
        lambda: [call.body["source"] for call in shared_webhook.accepted],
        lambda sources: "mended.example" in sources,
    )
    changes = daemon.get("/api/v2/config-audit", table_name="dead_letters")["changes"]
    assert "It was renamed." in [change["reason"] for change in changes]


def test_chosen_letters_are_replayed_or_discarded_together(
    daemon: RunningDaemon,
    open_page: OpenPage,
    host: str,
    refusing: set[str],
    shared_webhook: ScriptedWebhook,
) -> None:
    bury(daemon, host, count=3)
    page = open_page("/dead-letters").page
    replay = page.get_by_role("button", name="Replay selected")
    expect(replay).to_be_disabled()
    for n in (0, 1):
        page.get_by_label(re.compile(f"Choose .*{host} no {n}")).check()
    expect(page.locator("#bulk-count")).to_have_text("2 chosen")
    refusing.discard(host)
    replay.click()
    expect(page.locator("#toasts")).to_contain_text("2 replayed.")
    eventually(
        lambda: [call for call in shared_webhook.accepted if call.body["source"] == host],
        lambda calls: len(calls) == 2,
    )
    page.get_by_label(re.compile(f"Choose .*{host} no 2")).check()
    page.get_by_role("button", name="Discard selected").click()
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("1 discarded.")
    expect(page.locator("#list")).not_to_contain_text(host)


def test_without_dead_letters_the_page_says_what_they_would_be(
    daemon: RunningDaemon, open_page: OpenPage
) -> None:
    page = open_page("/dead-letters?destination=nowhere").page
    expect(page.locator("#list")).to_contain_text("No dead letter fits this filter")
    expect(page.locator("#bulk")).to_be_hidden()
