"""The Live page on a real daemon in a real browser: what came in, without a gap, within reach."""

from __future__ import annotations

import operator
import re
from functools import partial

import pytest
from cuttable_proxy import cuttable_proxy
from playwright.sync_api import Page, expect
from running_daemon import RunningDaemon, a_rule, eventually
from visiting import NARROW, OpenPage, add_rule, is_live, syslog

from muttd.protocol.snmp_encode import encode_v2c_trap
from muttd.protocol.snmp_varbind import WireVarbind

pytestmark = pytest.mark.browser

MAX_ROWS = 1000
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"

NO_EVENTS: dict[str, object] = {
    "events": [],
    "pagination": {"page": 1, "limit": 100, "total": 0, "pages": 0},
    "next_cursor": None,
}

ROWS = "#rows .event-row"
MESSAGES = "#rows .c-message"


def numbers(page: Page) -> list[int]:
    """The sequence numbers of the events shown, from top to bottom."""
    return [int(text.rsplit(" ", 1)[1]) for text in page.locator(MESSAGES).all_text_contents()]


def send_numbered(daemon: RunningDaemon, host: str, numbers: range) -> None:
    for n in numbers:
        daemon.send_udp(syslog(host, f"event {n}"))


def pace(daemon: RunningDaemon, host: str, total: int) -> None:
    """Send so many events, no faster than the store takes them."""
    for start in range(0, total, 200):
        wanted = min(start + 200, total)
        send_numbered(daemon, host, range(start, wanted))
        eventually(partial(stored_count, daemon, host), partial(operator.eq, wanted))


def stored_count(daemon: RunningDaemon, host: str) -> int:
    pagination = daemon.get("/api/v2/events", hostname=host, limit=1)["pagination"]
    total: int = pagination["total"]
    return total


def test_an_event_appears_by_itself_and_gets_its_decision(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    # Of another test's flood one event in n would be shown, and this one perhaps later.
    daemon.wait_idle()
    page = open_page("/live").page
    is_live(page)
    daemon.send_udp(syslog(host, "link is up", pri=131))
    row = page.locator(ROWS).filter(has_text=host)
    expect(row.locator(".c-message")).to_have_text("link is up")
    expect(row.locator(".c-severity")).to_have_text("err")
    expect(row.locator(".c-transport")).to_have_text("syslog-udp")
    expect(row.locator(".c-decision")).to_have_text("no rule")


def test_an_event_that_a_rule_matches_names_the_rule_and_what_is_done(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    add_rule(daemon, a_rule(name="fan of " + host, match_string=f"FAN {host}"))
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    daemon.send_udp(syslog(host, f"FAN {host} stopped"))
    decision = page.locator(ROWS).locator(".c-decision")
    expect(decision).to_have_text(f"fan of {host} · Page and ticket")


def test_the_newest_event_is_on_top(daemon: RunningDaemon, open_page: OpenPage, host: str) -> None:
    send_numbered(daemon, host, range(3))
    page = open_page(f"/live?hostname={host}").page
    expect(page.locator(ROWS)).to_have_count(3)
    is_live(page)
    send_numbered(daemon, host, range(3, 6))
    expect(page.locator(ROWS)).to_have_count(6)
    assert numbers(page) == [5, 4, 3, 2, 1, 0]


def test_the_filter_is_in_the_address_and_survives_a_reload(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    page.get_by_label("Text").fill("disk")
    page.get_by_label("Severity").select_option("err or worse")
    expect(page).to_have_url(re.compile(r"q=disk.*max_severity=3.*hostname=host-"))
    is_live(page)
    for pri, message in ((131, "disk broken"), (134, "disk fine"), (131, "fan broken")):
        daemon.send_udp(syslog(host, message, pri=pri))
    expect(page.locator(MESSAGES)).to_have_text(["disk broken"])
    daemon.wait_idle()
    page.reload()
    expect(page.locator(MESSAGES)).to_have_text(["disk broken"])
    expect(page.get_by_label("Severity")).to_have_value("3")
    page.get_by_role("button", name="Clear").click()
    expect(page).to_have_url(f"{daemon.url}/live")


def test_events_that_no_rule_matched_can_be_looked_at_alone(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    add_rule(daemon, a_rule(match_string=f"KNOWN {host}"))
    page = open_page(f"/live?hostname={host}").page
    page.get_by_label("Matched").select_option("By no rule")
    is_live(page)
    daemon.send_udp(syslog(host, f"KNOWN {host}"))
    daemon.send_udp(syslog(host, "unheard of"))
    expect(page.locator(MESSAGES)).to_have_text(["unheard of"])
    page.get_by_label("Matched").select_option("By a rule")
    expect(page.locator(MESSAGES)).to_have_text([f"KNOWN {host}"])


def test_a_pause_keeps_the_screen_still_and_ends_without_a_gap(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    send_numbered(daemon, host, range(5))
    expect(page.locator(ROWS)).to_have_count(5)
    page.keyboard.press("Space")
    expect(page.locator("#connection-text")).to_have_text("Paused")
    send_numbered(daemon, host, range(5, 12))
    expect(page.locator("#pill")).to_have_text("7 new")
    assert numbers(page) == [4, 3, 2, 1, 0]
    page.locator("#pill").click()
    expect(page.locator(ROWS)).to_have_count(12)
    assert numbers(page) == list(range(11, -1, -1))
    expect(page.locator("#pill")).to_be_hidden()
    send_numbered(daemon, host, range(12, 13))
    expect(page.locator(ROWS)).to_have_count(13)


def test_a_pause_of_more_events_than_the_screen_holds_ends_without_a_gap(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    page.get_by_role("button", name="Pause").click()
    pace(daemon, host, 1600)
    expect(page.locator("#pill")).to_have_text(re.compile(r"^(1,000\+|about [\d,]+) new$"))
    page.get_by_role("button", name="Resume").click()
    eventually(lambda: numbers(page), lambda shown: shown == list(range(1599, 599, -1)))


def test_scrolling_down_pauses_and_scrolling_back_resumes(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    pace(daemon, host, 90)
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    expect(page.locator(ROWS)).to_have_count(90)
    page.locator("#stream").hover()
    page.mouse.wheel(0, 600)
    expect(page.locator("#connection-text")).to_have_text("Paused")
    send_numbered(daemon, host, range(90, 93))
    expect(page.locator("#pill")).to_have_text("3 new")
    page.mouse.wheel(0, -2000)
    expect(page.locator("#connection-text")).to_have_text("Live")
    expect(page.locator(ROWS)).to_have_count(93)


def test_a_lost_connection_comes_back_by_itself_without_a_gap(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    with cuttable_proxy(daemon.ports["http"]) as proxy:
        visit = open_page(f"/live?hostname={host}", url=proxy.url)
        visit.expected += ["net::ERR", "WebSocket connection"]
        page = visit.page
        is_live(page)
        send_numbered(daemon, host, range(3))
        expect(page.locator(ROWS)).to_have_count(3)
        proxy.cut()
        expect(page.locator("#stream-note")).to_contain_text("No connection")
        send_numbered(daemon, host, range(3, 9))
        proxy.mend()
        expect(page.locator("#connection-text")).to_have_text("Live", timeout=20_000)
        expect(page.locator(ROWS)).to_have_count(9)
        assert numbers(page) == list(range(8, -1, -1))


def test_a_flood_is_shown_honestly_in_few_rows_and_filled_up_afterwards(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    send_numbered(daemon, host, range(3000))
    expect(page.locator("#sampled")).to_have_text(re.compile(r"showing 1 in \d+"))
    assert page.locator(ROWS).count() <= MAX_ROWS
    daemon.wait_idle()
    stored = daemon.events(hostname=host)
    newest = {event["message"] for event in stored}
    expect(page.locator("#sampled")).to_be_hidden(timeout=15_000)
    expect(page.locator(ROWS)).to_have_count(MAX_ROWS)
    eventually(
        lambda: set(page.locator(MESSAGES).all_text_contents()), lambda shown: newest <= shown
    )


def test_an_empty_stream_says_how_to_send_the_first_event(
    daemon: RunningDaemon, open_page: OpenPage
) -> None:
    page = open_page("/live").page
    page.route("**/api/v2/events?*", lambda route: route.fulfill(json=NO_EVENTS))
    page.reload()
    empty = page.locator("#empty")
    port = daemon.listener("syslog_udp")["address"].rsplit(":", 1)[1]
    expect(empty).to_contain_text(f"logger -n 127.0.0.1 -P {port} --udp")
    expect(empty).to_contain_text("snmptrap -v2c")
    expect(empty).to_contain_text(f"{daemon.url}/api/v2/ingest")


def test_a_row_opens_everything_about_its_event_and_escape_leads_back(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    octets = f'<131>1 - {host} bgpd 42 ADJ [ex@32473 peer="10.0.0.9"] neighbour \\xff down'
    daemon.send_udp(octets.encode())
    page = open_page(f"/live?hostname={host}").page
    row = page.locator(ROWS)
    row.click()
    detail = page.get_by_role("complementary", name="Event")
    expect(detail).to_be_focused()
    for text in ("local0", "bgpd", "ADJ", "Structured data: ex@32473", "10.0.0.9", octets):
        expect(detail).to_contain_text(text)
    expect(detail).to_contain_text("No rule matched.")
    expect(page).to_have_url(re.compile("event=[0-9a-f-]{36}"))
    detail.get_by_role("button", name="Show as hex").click()
    expect(detail.locator(".octets")).to_contain_text("3c 31 33 31 3e 31")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(row).to_be_focused()
    expect(page).not_to_have_url(re.compile("event="))


def test_octets_that_are_no_text_are_shown_as_hex(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    daemon.send_udp(syslog(host, "caf").replace(b"caf", b"caf\xe9 \x00\x01"))
    page = open_page(f"/live?hostname={host}").page
    page.locator(ROWS).click()
    expect(page.locator("#detail .octets")).to_contain_text("63 61 66 e9 20 00 01")


def test_a_trap_shows_its_varbinds_by_name(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    varbinds = [
        WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
        WireVarbind("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", host.encode()),
    ]
    daemon.send_udp(encode_v2c_trap(b"public", LINK_DOWN, varbinds), "snmp")
    page = open_page(f"/live?transport=snmp&q={host}").page
    page.locator(ROWS).click()
    table = page.get_by_role("region", name="Varbinds")
    expect(table).to_contain_text("ifDescr.3")
    expect(table).to_contain_text(host)
    expect(page.locator("#detail")).to_contain_text(LINK_DOWN)


def test_a_link_to_an_event_opens_it(daemon: RunningDaemon, open_page: OpenPage, host: str) -> None:
    daemon.send_udp(syslog(host, "look at this"))
    [event] = eventually(lambda: daemon.events(hostname=host))
    page = open_page(f"/live?event={event['event_id']}").page
    expect(page.locator("#detail .message")).to_have_text("look at this")


def test_the_detail_shows_the_alert_and_its_deliveries(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    add_rule(daemon, a_rule(match_string=f"PAGE {host}"))
    daemon.send_udp(syslog(host, f"PAGE {host}"))
    eventually(
        lambda: daemon.get("/api/v2/alerts", hostname=host)["alerts"],
        lambda alerts: alerts and alerts[0]["state"] == "delivered",
    )
    page = open_page(f"/live?hostname={host}").page
    page.locator(ROWS).click()
    expect(page.get_by_role("region", name="Deliveries")).to_contain_text("200")
    expect(page.locator("#detail")).to_contain_text("Delivered")


def test_the_page_works_by_keyboard_alone(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    send_numbered(daemon, host, range(4))
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    expect(page.locator(ROWS)).to_have_count(4)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(ROWS).nth(1)).to_be_focused()
    expect(page.locator("#connection-text")).to_have_text("Paused")
    page.keyboard.press("Enter")
    expect(page.locator("#detail .message")).to_have_text("event 2")
    page.keyboard.press("j")
    expect(page.locator("#detail .message")).to_have_text("event 1")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#connection-text")).to_have_text("Live")
    page.keyboard.press("/")
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("j ? /")
    expect(page.get_by_label("Text")).to_have_value("j ? /")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Text")).not_to_be_focused()
    # An empty field must not go on filtering.
    expect(page.get_by_label("Text")).to_have_value("")
    expect(page).not_to_have_url(re.compile(r"[?&]q="))
    expect(page.locator(ROWS)).to_have_count(4)
    page.keyboard.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard")
    expect(help_dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()


def test_text_off_the_wire_is_only_ever_text(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}\u202eevil\x1b[31m"
    body = {
        "hostname": host,
        "message": hostile,
        "app_name": "<b>x",
        "<i>": '"><svg onload=alert(3)>',
    }
    daemon.post("/api/v2/ingest", body)
    page = open_page(f"/live?hostname={host}").page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    row = page.locator(ROWS)
    expect(row.locator(".c-message")).to_contain_text("<script>alert(2)</script>{{7*7}}\\u202eevil")
    row.click()
    expect(page.locator("#detail")).to_contain_text('"><svg onload=alert(3)>')
    page.get_by_role("link", name="Create rule from this event").click()
    expect(page.locator("#sample-message")).to_contain_text("<script>alert(2)</script>")
    assert page.locator("main img, main svg, main script, main b, main i").count() == 0
    assert dialogs == []


def test_on_a_narrow_screen_the_detail_covers_the_page_and_gives_it_back(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    daemon.send_udp(syslog(host, "long " * 60))
    page = open_page(f"/live?hostname={host}", viewport=NARROW).page
    row = page.locator(ROWS)
    expect(row).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    row.click()
    box = page.locator("#detail").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (NARROW["width"], NARROW["height"])
    assert page.locator(".stream-frame").evaluate("node => node.inert")
    page.locator("#detail").get_by_role("button", name="Close").click()
    assert not page.locator(".stream-frame").evaluate("node => node.inert")
    expect(row).to_be_focused()


def test_a_session_that_ended_leads_to_the_sign_in_page_and_back(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    visit = open_page(f"/live?hostname={host}")
    visit.expected.append("401")
    page = visit.page
    is_live(page)
    page.context.clear_cookies()
    page.get_by_label("Text").fill("anything")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("API key").fill(daemon.key())
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/live.*hostname={host}"))
