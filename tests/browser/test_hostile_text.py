"""What devices say is text on every page, in whatever field they say it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from visiting import OpenPage, add_rule, is_live

from muttd.protocol.snmp_encode import encode_v2c_trap
from muttd.protocol.snmp_varbind import WireVarbind

pytestmark = pytest.mark.browser

# Each would run or be an element if any page took it for HTML; {} tells where it came from.
IMAGE = "<img/src='x'/onerror='window.struck={}'>"
_SCRIPT = "</textarea></script><script>window.struck={}</script>\"'><svg/onload=window.struck={}>"
_ELEMENTS = "img, svg[onload], script:not([src]), [onerror], [onload]"


def unharmed(page: Page) -> None:
    """Nothing of it became an element, and nothing ran."""
    assert page.locator(_ELEMENTS).count() == 0
    assert page.evaluate("window.struck") is None


def hostile_syslog(host: str) -> bytes:
    app, procid, msgid = (IMAGE.format(n) for n in (1, 2, 3))
    data = f'[<b>1@9 <i>name="{IMAGE.format(4)}"][x@9 y="<script>window.struck=5</script>"]'
    message = f"HOSTILE {host} {_SCRIPT.format(6, 7)}"
    return f"<129>1 - <b>{host} {app} {procid} {msgid} {data} {message}".encode()


def test_no_field_of_a_syslog_message_is_taken_for_html_on_any_page(
    daemon: RunningDaemon, open_page: OpenPage, host: str, shared_webhook: ScriptedWebhook
) -> None:
    rule = add_rule(daemon, a_rule(name=IMAGE.format(8), match_string=f"HOSTILE {host}"))
    taking = shared_webhook.answer
    shared_webhook.answer = lambda call: (
        (422, {}, _SCRIPT.format(9, 9)) if host in call.body["source"] else taking(call)
    )
    daemon.send_udp(hostile_syslog(host))
    daemon.post("/api/v2/dev-hosts", {"hostname": f"{host}-lab"})
    find_alerts = {"hostname": f"<b>{host}", "state": "dead"}
    eventually(lambda: daemon.get("/api/v2/alerts", **find_alerts)["alerts"])
    shared_webhook.answer = taking
    [event] = eventually(lambda: daemon.events(hostname=f"<b>{host}"))
    page = open_page(f"/live?q={host}").page
    is_live(page)
    row = page.locator("#rows .event-row")
    expect(row.locator(".c-host")).to_have_text(f"<b>{host}")
    expect(row.locator(".c-app")).to_have_text(IMAGE.format(1))
    expect(row.locator(".c-message")).to_contain_text("<script>window.struck=6</script>")
    row.click()
    detail = page.locator("#detail")
    for text in (IMAGE.format(2), IMAGE.format(3), IMAGE.format(4), "window.struck=5"):
        expect(detail).to_contain_text(text)
    expect(detail).to_contain_text("As received")
    unharmed(page)
    for path, shown in (
        (f"/alerts?hostname=<b>{host}", "Given up"),
        (f"/audit?hostname=<b>{host}", "HOSTILE"),
        ("/audit/changes?table_name=alert_rules", IMAGE.format(8)),
        ("/rules?q=struck", IMAGE.format(8)),
        (f"/rules/{rule['id']}", IMAGE.format(8)),
        (f"/rules/new?from_event={event['event_id']}", "HOSTILE"),
        ("/dead-letters", "HOSTILE"),
        ("/hosts", f"{host}-lab"),
        ("/system", "Listeners"),
    ):
        page.goto(daemon.url + path)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        expect(page.locator("main")).to_contain_text(shown)
        unharmed(page)
    page.goto(f"{daemon.url}/dead-letters")
    page.get_by_role("button", name=f"Open dead letter: HOSTILE {host}").click()
    expect(page.locator("#detail")).to_contain_text("window.struck=9")
    unharmed(page)


def test_no_varbind_and_no_attribute_is_taken_for_html(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    varbinds = [
        WireVarbind("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", f"{host} {IMAGE.format(1)}".encode()),
        WireVarbind("1.3.6.1.4.1.99999.1", "OCTET STRING", _SCRIPT.format(2, 3).encode()),
    ]
    daemon.send_udp(encode_v2c_trap(b"public", "1.3.6.1.6.3.1.1.5.3", varbinds), "snmp")
    attributes = {IMAGE.format(4): _SCRIPT.format(5, 6), "list": [IMAGE.format(7)]}
    event = {"hostname": host, "message": _SCRIPT.format(8, 9), "severity": "err"}
    daemon.post("/api/v2/ingest", event | attributes)
    page = open_page(f"/live?transport=snmp&q={host}").page
    page.locator("#rows .event-row").click()
    table = page.get_by_role("region", name="Varbinds")
    expect(table).to_contain_text(IMAGE.format(1))
    expect(table).to_contain_text("</textarea></script><script>window.struck=2")
    unharmed(page)
    page.goto(f"{daemon.url}/live?transport=http&hostname={host}")
    page.locator("#rows .event-row").click()
    expect(page.locator("#detail")).to_contain_text("As received")
    for text in (IMAGE.format(4), "window.struck=5", IMAGE.format(7)):
        expect(page.locator("#detail")).to_contain_text(text)
    unharmed(page)
