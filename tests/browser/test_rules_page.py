"""The Rules page: make, change, switch off and delete a rule, and be told what is wrong with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, expect
from running_daemon import RunningDaemon, a_rule, eventually
from visiting import NARROW, OpenPage, add_rule, is_live, syslog, wait_in_force

pytestmark = pytest.mark.browser


def field_error(field: str) -> str:
    return f".field[data-field={field}] .field-error"


def row_of(name: str) -> str:
    return f"tr:has-text('{name}')"


def decided(daemon: RunningDaemon, host: str, message: str) -> dict[str, object]:
    """Send a message and wait for its decision."""
    wait_in_force(daemon)
    daemon.send_udp(syslog(host, message))
    daemon.wait_idle()
    found: dict[str, object] = eventually(lambda: daemon.events(hostname=host, q=message))[0]
    return found


def test_a_new_rule_is_in_force_as_soon_as_it_is_saved(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    page = open_page("/rules").page
    page.locator("#new-rule").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill(f"Power of {host}")
    page.get_by_role("textbox", name="Text", exact=False).first.fill(f"POWER {host}")
    page.get_by_label("On production hosts").select_option("Page and ticket")
    page.get_by_label("Team").fill("FACILITIES")
    expect(page.locator("#sentence")).to_have_text(f"Matches when message contains “POWER {host}”.")
    page.get_by_role("button", name="Create rule").click()
    expect(page).to_have_url(f"{daemon.url}/rules")
    expect(page.locator("#toasts")).to_contain_text("is created, and in force")
    expect(page.locator(row_of(f"Power of {host}"))).to_contain_text("Page and ticket")
    assert decided(daemon, host, f"power {host} lost")["rule_name"] == f"Power of {host}"


def test_every_mistake_is_told_at_its_field(open_page: OpenPage) -> None:
    visit = open_page("/rules/new")
    visit.expected.append("400")
    page = visit.page
    expect(page.locator("#rule-form")).to_have_attribute("aria-busy", "false")
    page.get_by_label("How the text is compared").select_option("Matches the expression")
    page.locator("#match_string").fill("(unclosed")
    page.locator("#trap_oid").fill("1.3.six")
    page.locator("#priority").fill("first")
    page.locator("#host_pattern").fill("10.1.0.0/99")
    page.get_by_role("button", name="Create rule").click()
    for field in ("name", "trap_oid", "priority", "host_pattern", "team_assignment"):
        expect(page.locator(field_error(field))).to_be_visible()
        assert page.locator(f"#{field}").get_attribute("aria-invalid") == "true"
    expect(page.locator("#form-notice")).to_contain_text("Not saved")
    expect(page.locator("#name")).to_be_focused()
    page.locator("#name").fill("regex")
    page.locator("#team_assignment").fill("NETO")
    page.locator("#trap_oid").fill("")
    page.locator("#priority").fill("7")
    page.locator("#host_pattern").fill("")
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator(field_error("match_string"))).to_contain_text("not a usable regex")
    expect(page.locator(field_error("name"))).to_be_hidden()
    expect(page.locator("#match_string")).to_be_focused()


def test_rules_stand_in_the_order_in_which_they_are_tried(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    for priority in (30, 10, 20):
        add_rule(daemon, a_rule(name=f"{host} {priority}", priority=priority))
    page = open_page("/rules").page
    page.get_by_role("searchbox").fill(host)
    expect(page).to_have_url(f"{daemon.url}/rules?q={host}")
    expect(page.locator("tbody tr td:first-child")).to_have_text(["10", "20", "30"])
    page.get_by_role("searchbox").fill(f"{host} nothing")
    expect(page.locator("#list")).to_contain_text("No rule matches this search")


def test_a_changed_rule_has_the_next_revision_and_the_reason_in_the_history(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = add_rule(daemon, a_rule(name=f"old {host}", syslog_severity=3))
    page = open_page(f"/rules?q={host}").page
    page.get_by_role("link", name=f"Edit old {host}").click()
    expect(page.locator("#syslog_severity")).to_have_value("3")
    page.locator("#name").fill(f"new {host}")
    page.locator("#syslog_severity").select_option("any level")
    page.locator("#change_reason").fill("too narrow")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{daemon.url}/rules")
    changed = daemon.get(f"/api/v2/rules/{rule['id']}")
    assert (changed["name"], changed["revision"]) == (f"new {host}", 2)
    assert changed["syslog_severity"] is None
    history = daemon.get("/api/v2/config-audit", record_id=str(rule["id"]))["changes"]
    assert (history[0]["reason"], history[0]["changed_by"]) == ("too narrow", "admin")


def test_a_rule_that_somebody_else_changed_meanwhile_is_not_written_over(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = add_rule(daemon, a_rule(name=host))
    visit = open_page(f"/rules/{rule['id']}")
    visit.expected.append("409")
    page = visit.page
    expect(page.locator("#name")).to_have_value(host)
    with daemon.client() as client:
        path = f"/api/v2/rules/{rule['id']}"
        assert client.put(path, json={"name": "theirs"}).status_code == 200
    page.locator("#name").fill("mine")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#form-notice")).to_contain_text("Someone else saved this rule")
    page.get_by_role("button", name="Load it anew").click()
    expect(page.locator("#name")).to_have_value("theirs")


def test_a_rule_that_is_switched_off_matches_nothing(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    rule = add_rule(daemon, a_rule(name=host, match_string=f"OFF {host}"))
    assert decided(daemon, host, f"OFF {host} one")["rule_id"] == rule["id"]
    page = open_page(f"/rules?q={host}").page
    page.get_by_role("switch", name=f"Active: {host}").uncheck(force=True)
    expect(page.locator("#toasts")).to_contain_text("is switched off")
    expect(page.get_by_role("switch", name=f"Active: {host}")).not_to_be_checked()
    assert decided(daemon, host, f"OFF {host} two")["rule_id"] is None


def test_a_rule_is_deleted_only_after_a_question(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    add_rule(daemon, a_rule(name=host))
    page = open_page(f"/rules?q={host}").page
    page.get_by_role("button", name=f"Delete {host}").click()
    question = page.get_by_role("dialog", name="Delete this rule?")
    expect(question).to_contain_text(host)
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_role("button", name="Cancel").click()
    expect(page.locator(row_of(host))).to_be_visible()
    page.get_by_role("button", name=f"Delete {host}").click()
    question.get_by_role("button", name="Delete rule").click()
    expect(page.locator("#toasts")).to_contain_text("is deleted")
    expect(page.locator("#list")).to_contain_text("No rule matches this search")
    assert daemon.get("/api/v2/rules", q=host)["rules"] == []


def test_a_rule_made_from_an_event_matches_the_next_one_like_it(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    first = f"%PSU-{host[5]}-FAIL: supply 1 of rack 17 lost input in {host}"
    daemon.send_udp(syslog(host, first))
    page = open_page(f"/live?hostname={host}").page
    is_live(page)
    page.locator("#rows .event-row").click()
    page.get_by_role("link", name="Create rule from this event").click()
    expect(page.locator("#sample-verdict")).to_have_text("Would match this event.")
    page.locator("#match_string").fill("no such text")
    expect(page.locator("#sample-verdict")).to_contain_text("Would not match")
    page.locator("#match_string").fill(f"lost input in {host}")
    expect(page.locator("#sample-message mark")).to_have_text(f"lost input in {host}")
    page.locator("#name").fill(f"PSU {host}")
    page.locator("#team_assignment").fill("FACILITIES")
    page.get_by_role("button", name="Create rule").click()
    expect(page).to_have_url(f"{daemon.url}/rules")
    wait_in_force(daemon)
    page.goto(f"{daemon.url}/live?hostname={host}")
    is_live(page)
    daemon.send_udp(syslog(host, f"%PSU-4-FAIL: supply 2 of rack 9 lost input in {host}"))
    newest = page.locator("#rows .event-row").first
    expect(newest.locator(".c-decision")).to_have_text(f"PSU {host} · Ticket only")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("3811: %LINK-3-UPDOWN: Interface Gi0/3, changed state to down", "LINK-3-UPDOWN"),
        ("Failed password for root from 203.0.113.9 port 51123", "Failed password for root from"),
        ("7 x 9", "7 x 9"),
    ],
)
def test_the_text_of_a_rule_from_an_event_is_the_part_that_stays_the_same(
    message: str, text: str, daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    daemon.send_udp(syslog(host, message))
    [event] = eventually(lambda: daemon.events(hostname=host))
    page = open_page(f"/rules/new?from_event={event['event_id']}").page
    expect(page.locator("#match_string")).to_have_value(text)


def test_a_form_with_changes_is_not_left_without_a_question(open_page: OpenPage) -> None:
    page = open_page("/rules/new").page
    expect(page.locator("#rule-form")).to_have_attribute("aria-busy", "false")
    page.locator("#name").press_sequentially("half done")
    questions: list[str] = []

    def stay(question: Dialog) -> None:
        questions.append(question.type)
        question.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="Live", exact=True).click()
    expect(page.locator("#name")).to_have_value("half done")
    assert questions == ["beforeunload"]


def test_a_rule_that_is_gone_says_so(open_page: OpenPage) -> None:
    visit = open_page("/rules/987654321")
    visit.expected.append("404")
    expect(visit.page.locator("#form-notice")).to_contain_text("There is no such rule")
    expect(visit.page.locator("#rule-form")).to_be_hidden()


def test_rules_are_a_readable_stack_on_a_narrow_screen(
    daemon: RunningDaemon, open_page: OpenPage, host: str
) -> None:
    add_rule(daemon, a_rule(name=f"{host} " + "x" * 120, match_string="y" * 200))
    page = open_page(f"/rules?q={host}", viewport=NARROW).page
    row = page.locator(row_of(host))
    expect(row).to_be_visible()
    expect(row.get_by_role("cell").first).to_have_text("100")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    row.get_by_role("link", name=re.compile("Edit")).click()
    expect(page.locator("#rule-form")).to_have_attribute("aria-busy", "false")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
