"""The configuration's own history on the page: who, when, why, and what stood there before."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon, a_rule
from visiting import OpenPage

pytestmark = pytest.mark.browser


def test_a_change_is_shown_field_by_field_with_who_and_why(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = daemon.post("/api/v2/rules", a_rule(name=f"fan of {host}", match_string=host))
    with daemon.client() as client:
        change = {"priority": 7, "change_reason": "Fans go first."}
        client.put(f"/api/v2/rules/{rule['id']}", json=change).raise_for_status()
        client.delete(f"/api/v2/rules/{rule['id']}").raise_for_status()
    page = open_page(f"/audit/changes?table_name=alert_rules&record_id={rule['id']}").page
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    deleted, changed, created = (rows.nth(at) for at in range(3))
    expect(changed).to_contain_text("± Changed")
    expect(changed).to_contain_text("admin")
    expect(changed).to_contain_text("Fans go first.")
    expect(changed.locator(".diff dt")).to_have_text(["priority"])
    expect(changed.locator("del")).to_have_text("100")
    expect(changed.locator("ins")).to_have_text("7")
    created.get_by_text("fields").click()
    expect(created.locator(".diff")).to_contain_text(f"match_string{host}")
    expect(deleted.get_by_role("link")).to_have_count(0)
    page.get_by_label("Operation").select_option("Deleted")
    expect(rows).to_have_count(1)
    page.get_by_label("Changed by").fill("nobody")
    expect(page.locator("#list")).to_contain_text("No change fits this filter")


def test_both_halves_of_the_audit_lead_to_each_other(open_page: OpenPage) -> None:
    page = open_page("/audit").page
    tabs = page.get_by_role("navigation", name="Audit")
    tabs.get_by_role("link", name="Configuration changes").click()
    expect(page.get_by_label("Kind")).to_be_visible()
    current = tabs.locator("[aria-current=page]")
    expect(current).to_have_text("Configuration changes")
    tabs.get_by_role("link", name="Matched events").click()
    expect(current).to_have_text("Matched events")
