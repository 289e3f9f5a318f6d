"""Under System: keys that are made, shown once and revoked; MIBs and severities of traps."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from running_daemon import RunningDaemon, eventually
from visiting import OpenPage, sign_in

pytestmark = pytest.mark.browser

MIB = """ACME-PUMP-MIB DEFINITIONS ::= BEGIN
IMPORTS enterprises FROM SNMPv2-SMI;
acmePump OBJECT IDENTIFIER ::= { enterprises 99998 }
END
"""


def status_with(daemon: RunningDaemon, key: str) -> int:
    return httpx.get(f"{daemon.url}/api/v2/rules", headers={"X-API-KEY": key}).status_code


def test_a_key_is_shown_once_opens_what_it_may_and_is_revoked(
    browser: Browser, daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page("/system/keys").page
    page.get_by_label("Name", exact=True).fill(f"watch of {host}")
    page.get_by_label("Role").select_option("Operator")
    expect(page.locator("#key-role-help")).to_contain_text("changes rules")
    page.get_by_label("Role").select_option("Viewer")
    page.get_by_role("button", name="Make key").click()
    notice = page.locator("#new-key")
    expect(notice).to_be_focused()
    key = notice.locator(".secret").inner_text()
    assert status_with(daemon, key) == 200
    row = page.locator("tbody tr", has_text=f"watch of {host}")
    expect(row).to_contain_text("Valid")
    notice.get_by_role("button", name="I have it").click()
    assert key not in page.content()
    page.reload()
    expect(row).to_contain_text("by admin")
    assert key not in page.content()

    context = browser.new_context()
    looking_on = context.new_page()
    looking_on.goto(f"{daemon.url}/sign-in?next=/system/keys")
    sign_in(looking_on, key)
    expect(looking_on.locator("main")).to_contain_text("For administrators")
    looking_on.goto(f"{daemon.url}/rules")
    expect(looking_on.get_by_role("link", name="New rule")).to_have_count(0)

    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(row).to_contain_text("Revoked")
    eventually(lambda: status_with(daemon, key), lambda status: status == 401)
    looking_on.goto(f"{daemon.url}/alerts")
    expect(looking_on).to_have_url(re.compile("/sign-in"))
    context.close()


def test_a_mib_is_uploaded_and_removed_and_a_broken_one_is_refused(
    daemon: RunningDaemon, open_page: OpenPage, tmp_path: Path
) -> None:
    good, broken = tmp_path / "acme.mib", tmp_path / "broken.mib"
    good.write_text(MIB)
    broken.write_text("ACME DEFINITIONS ::= BEGIN nonsense")
    visit = open_page("/system/mibs")
    visit.expected.append("400")
    page = visit.page
    page.get_by_label("MIB file").set_input_files(broken)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#mib-file-error")).to_be_visible()
    page.get_by_label("MIB file").set_input_files(good)
    page.get_by_role("button", name="Upload").click()
    row = page.get_by_role("table", name="MIBs").locator("tbody tr", has_text="ACME-PUMP-MIB")
    expect(row).to_contain_text("In force")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove", exact=True).last.click()
    expect(page.locator("#mib-list")).to_contain_text("No MIBs of your own")


def test_a_trap_is_given_a_severity(daemon: RunningDaemon, open_page: OpenPage) -> None:
    visit = open_page("/system/mibs")
    visit.expected.append("400")
    page = visit.page
    oid = page.get_by_label("Trap OID")
    oid.fill("1.3.six")
    page.get_by_role("button", name="Set severity").click()
    expect(page.locator("#severity-oid-error")).to_be_visible()
    oid.fill("1.3.6.1.6.3.1.1.5.3")
    page.get_by_label("Severity", exact=True).select_option("2 crit")
    page.get_by_role("button", name="Set severity").click()
    row = page.get_by_role("table", name="Severities of traps").locator("tbody tr")
    expect(row).to_contain_text("IF-MIB::linkDown")
    expect(row).to_contain_text("crit")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove", exact=True).last.click()
    expect(page.locator("#severity-list")).to_contain_text("As the MIBs say")
