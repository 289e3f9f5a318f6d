"""One night on the page, under a thousand events a second: from sign-in to the last replay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Page, expect
from running_daemon import RunningDaemon, ScriptedWebhook, eventually, scripted_webhook
from steady_load import SteadyLoad, steady_load
from visiting import OpenPage, is_live, sign_in, syslog, wait_in_force

pytestmark = pytest.mark.browser

PER_S = 1000
ROWS = "#rows .event-row"
MESSAGES = "#rows .c-message"
# What a person takes for "at once".
PROMPT_MS = 1000

# Frames of the page over two seconds: how long the longest took.
LONGEST_FRAME_MS = """() => new Promise((resolve) => {
  let longest = 0, last = performance.now();
  const end = last + 2000;
  const look = (now) => {
    longest = Math.max(longest, now - last);
    last = now;
    if (now < end) requestAnimationFrame(look); else resolve(longest);
  };
  requestAnimationFrame(look);
})"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[ScriptedWebhook]:
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def busy(
    receiver: ScriptedWebhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    """A daemon of its own: the others' pages are not looked at under load."""
    state_dir = tmp_path_factory.mktemp("busy") / "state"
    daemon = RunningDaemon(state_dir, {"MUTTD_MOOG_WEBHOOK_URL": receiver.url})
    try:
        yield daemon.wait_ready()
    finally:
        daemon.kill()


@pytest.fixture
def load(busy: RunningDaemon) -> Iterator[SteadyLoad]:
    with steady_load(busy.ports["syslog_udp"], per_s=PER_S) as load:
        yield load


def shown(page: Page) -> list[int]:
    return [int(text.rsplit(" ", 1)[1]) for text in page.locator(MESSAGES).all_text_contents()]


def send(daemon: RunningDaemon, host: str, numbers: range) -> None:
    for n in numbers:
        daemon.send_udp(syslog(host, f"door of rack {n}", pri=131))


def filter_pause_and_resume(page: Page, daemon: RunningDaemon, host: str) -> None:
    """In the flood one host is looked at alone; a pause loses nothing of it."""
    page.get_by_label("Host").fill(host)
    # Not expect(): between its looks it describes all thousand rows in words.
    page.wait_for_url(re.compile(f"hostname={host}"))
    is_live(page)
    send(daemon, host, range(5))
    expect(page.locator(ROWS)).to_have_count(5)
    page.get_by_role("button", name="Pause").click()
    send(daemon, host, range(5, 40))
    expect(page.locator("#pill")).to_have_text("35 new")
    page.locator("#pill").click()
    expect(page.locator(ROWS)).to_have_count(40)
    assert shown(page) == list(range(39, -1, -1))


def make_a_rule_of_an_event(page: Page, host: str) -> None:
    page.locator(ROWS).first.click()
    page.get_by_role("link", name="Create rule from this event").click()
    expect(page.locator("#sample-verdict")).to_have_text("Would match this event.")
    page.locator("#name").fill(f"Doors of {host}")
    page.locator("#match_string").fill("door of rack")
    page.locator("#host_pattern").fill(host)
    expect(page.locator("#dry-run .headline")).to_have_text("Would have matched 40 events")
    page.locator("#prod_handling").select_option("Page and ticket")
    page.locator("#team_assignment").fill("FACILITIES")
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator("#toasts")).to_contain_text("is created, and in force")


def test_a_night_shift_under_a_thousand_events_a_second(
    busy: RunningDaemon, load: SteadyLoad, receiver: ScriptedWebhook, open_page: OpenPage, host: str
) -> None:
    page = open_page("/live", url=busy.url, storage_state=None).page
    sign_in(page, busy.key())
    expect(page).to_have_url(f"{busy.url}/live")
    is_live(page)
    expect(page.locator("#sampled")).to_have_text(re.compile(r"showing 1 in \d+"))
    assert page.evaluate(LONGEST_FRAME_MS) < PROMPT_MS
    assert page.locator(ROWS).count() <= 1000
    filter_pause_and_resume(page, busy, host)
    make_a_rule_of_an_event(page, host)
    wait_in_force(busy)

    page.goto(f"{busy.url}/live?hostname={host}")
    is_live(page)
    send(busy, host, range(40, 41))
    expect(page.locator(ROWS).first.locator(".c-decision")).to_have_text(
        f"Doors of {host} · Page and ticket"
    )
    page.goto(f"{busy.url}/alerts?hostname={host}&state=delivered")
    expect(page.locator("tbody tr")).to_contain_text(f"Doors of {host}", timeout=20_000)

    receiver.answer = lambda call: (422, {}, "closed for the night")
    send(busy, host, range(41, 42))
    find_dead = partial(busy.get, "/api/v2/alerts", hostname=host, state="dead")
    eventually(lambda: find_dead()["alerts"])
    receiver.answer = lambda call: (200, {}, "{}")
    page.goto(f"{busy.url}/dead-letters")
    page.get_by_role("button", name="Open dead letter: door of rack 41").click()
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Replayed: it is back in the queue.")
    eventually(lambda: "rack 41" in str([call.body for call in receiver.accepted]))

    for path in ("/rules", "/hosts", "/audit", "/audit/changes", "/config", "/system"):
        page.goto(busy.url + path)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
    listener = busy.listener("syslog_udp")
    assert listener["dropped"] == 0
    assert load.sent > PER_S
