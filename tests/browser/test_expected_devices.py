"""On Hosts & teams: who is missed when he is silent."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon
from visiting import OpenPage

pytestmark = pytest.mark.browser


def test_a_device_is_expected_and_no_longer(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    visit = open_page("/hosts")
    visit.expected += ["400", "409"]
    page = visit.page
    device = page.get_by_label("Expected device", exact=True)
    device.fill(host)
    page.get_by_label("At least every").fill("5")
    page.get_by_role("button", name="Expect it").click()
    expect(page.locator("#expected-every-error")).to_be_visible()
    page.get_by_label("At least every").fill("600")
    page.get_by_label("Severity of its silence").select_option("crit")
    page.get_by_role("button", name="Expect it").click()
    row = page.get_by_role("table", name="Expected devices").locator("tr", has_text=host)
    expect(row).to_contain_text("10 min")
    expect(row).to_contain_text("crit")
    [kept] = [
        each
        for each in daemon.get("/api/v2/expected-sources")["sources"]
        if each["hostname"] == host
    ]
    assert (kept["expect_every_s"], kept["severity"]) == (600, 2)
    device.fill(host)
    page.get_by_role("button", name="Expect it").click()
    expect(page.locator("#expected-host-error")).to_be_visible()
    row.get_by_role("button", name=f"Remove {host}").click()
    page.get_by_role("button", name="Remove entry").click()
    expect(row).to_have_count(0)
