"""Beside the form of a rule: what it would have matched, and who decides these events now."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon, a_rule, eventually
from visiting import OpenPage, add_rule, syslog

pytestmark = pytest.mark.browser


def test_the_dry_run_says_what_would_match_where_and_what_other_rules_take(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    before = a_rule(name=f"before {host}", match_string=f"PUMP {host} hot", priority=1)
    add_rule(daemon, before)
    add_rule(daemon, a_rule(name=f"after {host}", match_string=f"PUMP {host} slow", priority=900))
    for what in ("hot", "slow", "slow", "wet", "wet", "wet"):
        daemon.send_udp(syslog(host, f"PUMP {host} {what}"))
    eventually(lambda: daemon.events(hostname=host), lambda events: len(events) == 6)
    visit = open_page("/rules/new")
    visit.expected.append("400")
    page = visit.page
    panel = page.get_by_role("region", name="Dry run")
    expect(panel).to_contain_text("Give a pattern or a condition")
    page.locator("#match_string").fill(f"PUMP {host}")
    expect(panel.locator(".headline")).to_have_text("Would have matched 6 events")
    shares = panel.get_by_role("list", name="Who decides these events now")
    expect(shares).to_contain_text("3 that no rule decides now")
    expect(shares).to_contain_text(f"2 taken over from after {host}")
    expect(shares).to_contain_text(f"1 that before {host} takes first")
    expect(panel.get_by_role("list", name="Hosts with the most matches")).to_contain_text(host)
    expect(panel.get_by_role("img", name="Matches by hour")).to_be_visible()
    expect(panel.locator(".samples li")).to_have_count(6)
    page.locator("#priority").fill("0")
    expect(shares).to_contain_text(f"1 taken over from before {host}")
    page.locator("#match_string").fill(f"no such {host}")
    expect(panel.locator(".headline")).to_have_text("Would have matched nothing")
    page.get_by_label("How the text is compared").select_option("Matches the expression")
    page.locator("#match_string").fill("(unclosed")
    expect(panel.locator(".field-error")).to_contain_text("Cannot be tried yet")


def test_a_rule_that_is_changed_is_tried_in_its_own_place(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = add_rule(daemon, a_rule(name=f"tap of {host}", match_string=f"TAP {host} open"))
    for what in ("open", "shut"):
        daemon.send_udp(syslog(host, f"TAP {host} {what}"))
    eventually(lambda: daemon.events(hostname=host), lambda events: len(events) == 2)
    page = open_page(f"/rules/{rule['id']}").page
    panel = page.get_by_role("region", name="Dry run")
    expect(panel).to_contain_text("1 that this rule decides already")
    page.locator("#match_string").fill(f"TAP {host}")
    expect(panel.locator(".headline")).to_have_text("Would have matched 2 events")
    expect(panel).to_contain_text("1 that no rule decides now")
