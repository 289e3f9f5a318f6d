"""The bar above the stream: the daemon's books, and filters that a person gave a name."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon, eventually
from visiting import NARROW, OpenPage, is_live, syslog

pytestmark = pytest.mark.browser


def test_a_filter_with_a_name_is_found_again_and_is_an_address(
    daemon: RunningDaemon, open_page: OpenPage
) -> None:
    page = open_page("/live").page
    is_live(page)
    menu = page.get_by_text("Saved filters", exact=True)
    menu.click()
    expect(page.locator("#saved-list")).to_contain_text("None yet")
    # With nothing set there is nothing to keep.
    expect(page.get_by_role("button", name="Save filter")).to_be_hidden()
    page.keyboard.press("Escape")
    page.get_by_label("Severity").select_option("err or worse")
    page.get_by_label("Host").fill("core-*")
    expect(page).to_have_url(re.compile(r"max_severity=3&hostname=core-"))
    menu.click()
    page.get_by_label("Name for the filter").fill("<b>Core</b> & errors")
    page.get_by_label("Name for the filter").press("Enter")
    expect(page.locator("#saved-said")).to_have_text(re.compile("is saved in this browser"))
    page.goto(f"{daemon.url}/live")
    menu.click()
    # A name is text, whatever it looks like.
    saved = page.get_by_role("link", name="<b>Core</b> & errors")
    expect(saved).to_have_attribute("href", "/live?max_severity=3&hostname=core-*")
    saved.click()
    expect(page.get_by_label("Host")).to_have_value("core-*")
    menu.click()
    page.get_by_role("button", name="Remove <b>Core").click()
    expect(page.locator("#saved-list")).to_contain_text("None yet")
    page.locator("#connection").click()
    expect(page.locator("#saved-list")).to_be_hidden()


def test_what_waits_and_what_was_lost_stands_beside_the_rate(
    daemon: RunningDaemon, open_page: OpenPage
) -> None:
    status = daemon.get("/api/v2/status")
    page = open_page("/live").page
    is_live(page)
    expect(page.locator("#drops")).to_have_text(re.compile(r"^(0|▲ \d+)$"))
    status["queue"]["ingest"] = {"items": 900_000, "pending_items": 0, "oldest_age_s": 75.0}
    status["listeners"][0] |= {"kernel_dropped": 1_200, "dropped": 34}
    spool = {"events": 39, "octets": 1, "limit_octets": 2, "error": None}
    status["spool"] = spool | {"since": status["daemon"]["started_at"]}
    page.route("**/api/v2/status", lambda route: route.fulfill(json=status))
    page.reload()
    bar = page.locator(".stream-bar")
    expect(bar).to_contain_text("queue 900,000 oldest 1 min 15 s")
    expect(bar).to_contain_text("39 waiting on disk")
    drops = page.locator("#drops")
    expect(drops).to_have_text("▲ 1,234")
    bad = "getComputedStyle(document.querySelector('.badge.bad') ?? document.body)"
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<b class=\"badge bad\">x</b>')")
    assert drops.evaluate("node => getComputedStyle(node).color") == page.evaluate(f"{bad}.color")
    status["queue"]["ingest"] = {"items": None, "pending_items": None, "oldest_age_s": None}
    page.reload()
    expect(bar).to_contain_text("the queue does not answer")


def test_the_overview_shows_the_last_day_and_who_talks_most(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    # As many as it takes to be one of the six that are shown.
    busiest = daemon.get("/api/v2/metrics")["top_talkers"]
    for n in range(busiest[0]["events"] + 3 if busiest else 3):
        daemon.send_udp(syslog(host, f"talk {n}"))
        if n % 200 == 199:
            daemon.wait_idle()
    eventually(
        lambda: daemon.get("/api/v2/metrics")["top_talkers"],
        lambda talkers: host in [talker["hostname"] for talker in talkers],
    )
    page = open_page("/live").page
    overview = page.get_by_role("region", name="The last 24 hours")
    expect(overview.get_by_role("img", name=re.compile(r"events in 24 hours"))).to_be_visible()
    # Of the last hour: this daemon has not been there for longer.
    expect(overview.locator(".chart-column")).to_have_count(60)
    talker = overview.get_by_role("list", name="Top talkers").get_by_role("link", name=host)
    talker.click()
    page.wait_for_url(re.compile(f"hostname={host}"))
    toggle = page.get_by_role("button", name="Overview")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    toggle.click()
    expect(overview).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Overview")).to_have_attribute("aria-expanded", "false")
    expect(overview).to_be_hidden()


def test_a_narrow_screen_keeps_its_place_for_the_stream(open_page: OpenPage) -> None:
    page = open_page("/live", viewport=NARROW).page
    overview = page.locator("#overview")
    expect(overview).to_be_hidden()
    page.get_by_role("button", name="Overview").click()
    expect(overview.get_by_role("img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
