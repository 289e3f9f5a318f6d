"""Sign-in, Alerts, Audit, Hosts & teams, System; and what holds for every page."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from running_daemon import RunningDaemon, a_rule, eventually
from visiting import NARROW, WIDE, OpenPage, add_rule, is_live, sign_in, syslog

pytestmark = pytest.mark.browser

# The size of what one presses is new in WCAG 2.2, and off in axe-core unless asked for.
AXE_OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
PAGES = [
    "/live",
    "/alerts",
    "/dead-letters",
    "/rules",
    "/rules/new",
    "/hosts",
    "/audit",
    "/audit/changes",
    "/config",
    "/system",
    "/system/mibs",
    "/system/keys",
]


def alert_of(daemon: RunningDaemon, host: str) -> None:
    """Have an alert delivered for an event of this host."""
    add_rule(daemon, a_rule(name=f"rule of {host}", match_string=f"ALERT {host}"))
    daemon.send_udp(syslog(host, f"ALERT {host}", pri=131))
    eventually(
        lambda: daemon.get("/api/v2/alerts", hostname=host)["alerts"],
        lambda alerts: alerts and alerts[0]["state"] == "delivered",
    )


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and its own best practices."""
    found = Axe().run(page, options=AXE_OPTIONS).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def test_signing_in_leads_to_the_page_that_was_wanted(
    browser: Browser, daemon: RunningDaemon
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{daemon.url}/rules?q=link")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    sign_in(page, "no such key")
    expect(page.get_by_role("alert")).to_have_text("This key is not known.")
    assert page.get_by_label("API key").get_attribute("aria-invalid") == "true"
    sign_in(page, daemon.key("ingest"))
    expect(page.get_by_role("alert")).to_contain_text("may only send events")
    sign_in(page, daemon.key())
    expect(page).to_have_url(f"{daemon.url}/rules?q=link")
    [cookie] = [each for each in context.cookies() if each.get("name") == "muttd_session"]
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") == "Strict"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{daemon.url}/sign-in")
    page.goto(f"{daemon.url}/rules")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    context.close()


def test_the_alerts_page_shows_what_went_out(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    alert_of(daemon, host)
    page = open_page(f"/alerts?hostname={host}").page
    row = page.locator("tbody tr")
    expect(row).to_contain_text("Delivered")
    expect(row).to_contain_text("Page and ticket, prod")
    link = row.get_by_role("link").first
    link.click()
    detail = page.get_by_role("complementary", name="Event")
    expect(detail).to_contain_text(f"ALERT {host}")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(link).to_be_focused()
    page.get_by_label("State").select_option("Given up")
    expect(page.locator("#list")).to_contain_text("No alert fits this filter")


def test_the_audit_shows_the_matched_events_of_a_rule(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    alert_of(daemon, host)
    page = open_page("/audit").page
    page.get_by_label("Rule").select_option(f"rule of {host}")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("revision 1, prod")
    page.get_by_label("Until").fill("2001-01-01T00:00")
    expect(page.locator("#list")).to_contain_text("No matched event fits this filter")


def test_hosts_and_teams_are_added_changed_and_removed(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    visit = open_page("/hosts")
    visit.expected += ["400", "409"]
    page = visit.page
    page.get_by_label("Host", exact=True).fill(host)
    page.get_by_role("button", name="Add host").click()
    expect(page.get_by_role("table", name="Development hosts")).to_contain_text(host)
    page.get_by_label("Host", exact=True).fill(host)
    page.get_by_role("button", name="Add host").click()
    expect(page.locator("#dev-form .field-error")).to_be_visible()
    page.get_by_label("Device", exact=True).fill(host)
    page.get_by_role("button", name="Add device").click()
    expect(page.locator("#team-form [data-field=team_assignment] .field-error")).to_be_visible()
    page.get_by_label("Team", exact=True).fill("NETO")
    page.get_by_role("button", name="Add device").click()
    team = page.get_by_label(f"Team of {host}")
    expect(team).to_have_value("NETO")
    team.fill("DC-OPS")
    team.press("Tab")
    expect(page.locator("#toasts")).to_contain_text("DC-OPS")
    teams = {
        each["hostname"]: each["team_assignment"] for each in daemon.get("/api/v2/teams")["teams"]
    }
    assert teams[host] == "DC-OPS"
    for table in ("Development hosts", "Teams of devices"):
        row = page.get_by_role("table", name=table).locator("tr").filter(has_text=host)
        button = page.get_by_role("table", name=table).get_by_role("button", name=f"Remove {host}")
        button.click()
        page.get_by_role("button", name="Remove entry").click()
        expect(row).to_have_count(0)
    assert host not in str(daemon.get("/api/v2/dev-hosts"))


def test_the_system_page_shows_the_books_of_every_listener(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    daemon.send_udp(syslog(host, "counted"))
    eventually(lambda: daemon.events(hostname=host))
    page = open_page("/system").page
    expect(page.locator("#daemon")).to_contain_text("test-daemon, muttd")
    listeners = page.get_by_role("table", name="Listeners")
    expect(listeners).to_contain_text("Syslog UDP")
    address = daemon.listener("syslog_udp")["address"]
    expect(listeners).to_contain_text(address)
    expect(page.get_by_role("list", name="Parts")).to_contain_text("Answers")
    expect(page.get_by_role("table", name="Destinations")).to_contain_text("Closed")
    expect(page.get_by_role("table", name="Service levels")).to_contain_text("%")
    expect(page.locator("#health")).to_contain_text("All well")
    daemons = page.get_by_role("table", name="Daemons").locator("tbody tr")
    expect(daemons).to_have_count(1)
    expect(daemons).to_contain_text("test-daemon (this one)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_system_page_shows_each_daemon_of_a_cluster_and_what_waits_on_disk(
    scheme: str, daemon: RunningDaemon, open_page: OpenPage
) -> None:
    status = daemon.get("/api/v2/status")
    away = {"ok": False, "error": "Redis (h:6379): refused"}
    unknown = {"items": None, "pending_items": None, "oldest_age_s": None}
    [own] = status["peers"]
    status |= {
        "spool": {
            "events": 39,
            "octets": 3_145_728,
            "limit_octets": 1_073_741_824,
            "since": status["daemon"]["started_at"],
            "error": away["error"],
        },
        "queue": {"limit": 1_000_000, "ingest": unknown, "alert": unknown},
        "peers": [
            {**own, "dependencies": {"queue": away}, "spooled_events": 39},
            {**own, "is_self": False, "name": "beta", "is_silent": True, "seen_s": 75.0},
            {**own, "is_self": False, "name": "gamma", "seen_s": 20.0, "state": "draining"},
            {**own, "is_self": False, "name": "delta", "state": "draining"},
        ],
    }
    page = open_page("/rules", color_scheme=scheme).page
    page.route("**/api/v2/status", lambda route: route.fulfill(json=status))
    page.goto(f"{daemon.url}/system")
    spool = page.locator(".tile", has_text="Waiting on disk")
    expect(spool).to_contain_text("39")
    expect(spool).to_contain_text("3.0 MiB of 1.0 GiB; the queue is away")
    expect(page.locator(".tile", has_text="Events in the queue")).to_contain_text("not known")
    rows = page.get_by_role("table", name="Daemons").locator("tbody tr")
    shown = ["▲ queue", "Silent for 1 min 15 s", "Seen 20.0 s ago", "Draining"]
    for row, text in enumerate(shown):
        expect(rows.nth(row)).to_contain_text(text)
    assert violations(page) == []


def test_a_daemon_that_does_not_answer_is_said_on_the_page(open_page: OpenPage) -> None:
    visit = open_page("/rules")
    visit.expected.append("net::ERR")
    page = visit.page
    expect(page.locator("#list")).to_have_attribute("aria-busy", "false")
    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("anything")
    expect(page.locator("#list [role=alert]")).to_contain_text("does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#list")).to_contain_text("No rule matches this search")


def test_a_chosen_theme_is_kept(open_page: OpenPage) -> None:
    page = open_page("/rules", color_scheme="light").page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: light").click()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out(
    scheme: str, viewport: dict[str, int], daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    alert_of(daemon, host)
    for severity in range(8):
        daemon.send_udp(syslog(host, f"severity {severity}", pri=128 + severity))
    daemon.wait_idle()
    visit = open_page(f"/live?hostname={host}", viewport=viewport, color_scheme=scheme)
    page = visit.page
    is_live(page)
    expect(page.locator("#rows .event-row")).to_have_count(9)
    found = {f"/live?hostname={host}": violations(page)}
    page.locator("#rows .event-row").last.click()
    expect(page.locator("#detail")).to_contain_text("As received")
    found["detail"] = violations(page)
    for path in PAGES:
        page.goto(daemon.url + path)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        found[path] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"], path
    page.locator("#help-open").click()
    found["help"] = violations(page)
    page.context.clear_cookies()
    page.goto(f"{daemon.url}/sign-in")
    found["/sign-in"] = violations(page)
    assert {path: each for path, each in found.items() if each} == {}
