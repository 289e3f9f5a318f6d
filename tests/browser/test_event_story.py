"""Beside an event: why it was decided so, what its host said around it; a rule's own past."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon, a_rule, eventually
from visiting import OpenPage, add_rule, is_live, syslog, wait_in_force

pytestmark = pytest.mark.browser


def test_the_detail_says_which_rules_came_near_and_which_won(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    wins = a_rule(name=f"valve of {host}", match_string=f"VALVE {host}", priority=5)
    add_rule(daemon, wins)
    add_rule(daemon, wins | {"name": f"later {host}", "priority": 50})
    add_rule(daemon, wins | {"name": f"emerg {host}", "priority": 1, "syslog_severity": 0})
    daemon.send_udp(syslog(host, f"VALVE {host} stuck", pri=131))
    eventually(lambda: daemon.events(hostname=host))
    page = open_page(f"/live?hostname={host}").page
    page.locator("#rows .event-row").click()
    tried = page.get_by_role("list", name="Rules that come near").locator("li")
    expect(tried.filter(has_text=f"valve of {host}")).to_contain_text("✓ wins")
    expect(tried.filter(has_text=f"later {host}")).to_contain_text("matches, but comes later")
    expect(tried.filter(has_text=f"emerg {host}")).to_contain_text("its severity condition")
    expect(page.locator("#detail")).to_contain_text("It was decided by revision 1.")


def test_what_the_host_said_before_and_after_is_one_click_away(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    for n in range(5):
        daemon.send_udp(syslog(host, f"step {n}"))
    eventually(lambda: daemon.events(hostname=host), lambda events: len(events) == 5)
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    page.locator("#rows .event-row").nth(2).click()
    page.get_by_text("Before and after, on this host").click()
    near = page.get_by_role("list", name="Events of this host").locator("li")
    expect(near).to_have_count(5)
    expect(near.locator(".near-text")).to_have_text([f"step {n}" for n in (4, 3, 2, 1, 0)])
    expect(near.nth(2)).to_have_attribute("aria-current", "true")
    near.nth(4).get_by_role("button").click()
    expect(page.locator("#detail .message").first).to_have_text("step 0")
    expect(page.locator("#detail")).to_be_focused()


def test_a_rule_goes_back_to_what_it_was(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = add_rule(daemon, a_rule(name=f"lamp of {host}", match_string=f"LAMP {host}"))
    with daemon.client() as client:
        client.put(f"/api/v2/rules/{rule['id']}", json={"priority": 3}).raise_for_status()
    wait_in_force(daemon)
    page = open_page(f"/rules/{rule['id']}").page
    history = page.get_by_role("region", name="History")
    newest = history.locator("li").first
    expect(newest).to_contain_text("Revision 2 by admin")
    expect(newest.locator("del")).to_have_text("100")
    expect(newest.locator("ins")).to_have_text("3")
    history.get_by_role("button", name="Restore revision 1").click()
    page.get_by_role("button", name="Restore", exact=True).last.click()
    expect(history.locator("li")).to_have_count(3)
    expect(page.locator("#priority")).to_have_value("100")
    assert daemon.get(f"/api/v2/rules/{rule['id']}")["revision"] == 3
