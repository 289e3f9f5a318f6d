"""The Config page: what changes while the daemons run, with bounds, reasons and history."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon
from visiting import OpenPage

pytestmark = pytest.mark.browser


def test_a_setting_is_changed_with_a_reason_and_taken_back(
    daemon: RunningDaemon, open_page: OpenPage
) -> None:
    visit = open_page("/config")
    visit.expected.append("400")
    page = visit.page
    row = page.locator(".setting", has_text="breaker_failures")
    expect(row).to_contain_text("1 to 10,000. Default: 10 failures.")
    expect(row).to_contain_text("At its default")
    field = page.get_by_label("breaker_failures", exact=True)
    save = row.get_by_role("button", name="Save")
    expect(save).to_be_hidden()
    field.fill("0")
    save.click()
    expect(row.locator(".field-error")).to_be_visible()
    expect(field).to_be_focused()
    field.fill("7")
    page.get_by_label("Why you change breaker_failures").fill("It fails in sevens.")
    field.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("breaker_failures is 7 failures now")
    expect(row).to_contain_text("by admin")
    assert daemon.get("/api/v2/config/breaker_failures")["value"] == 7
    page.get_by_label("Show").select_option("Not at their default")
    # The other one that is not at its default was set in the environment of this daemon.
    expect(page.locator(".setting")).to_have_count(2)
    expect(page.locator("#list")).to_contain_text("Set by MUTTD_UNHANDLED_THRESHOLD")
    page.get_by_label("History of breaker_failures").click()
    expect(row.locator("ol")).to_contain_text("admin: 7 failures It fails in sevens.")
    page.get_by_role("button", name="Reset breaker_failures").click()
    expect(row).to_contain_text("At its default")
    expect(field).to_have_value("10")


def test_settings_are_found_by_the_words_of_their_description(open_page: OpenPage) -> None:
    page = open_page("/config").page
    expect(page.locator(".setting").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("meta-alert")
    expect(page.locator(".setting").first).to_contain_text("unhandled_threshold")
    expect(page.get_by_role("heading", name="Delivery of alerts")).to_have_count(0)
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.locator("#list")).to_contain_text("No setting fits")
