"""Take the pictures of the documentation: every page of a real daemon, in both sizes and themes.

script/screenshots [DIRECTORY [PAGE ...]]     docs/screenshots and all pages, unless said
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from chromium import CHROMIUM, CHROMIUM_ARGS
from playwright.sync_api import Page, expect, sync_playwright
from running_daemon import RunningDaemon, scripted_webhook
from scene import lay_out
from visiting import NARROW, WIDE, is_live, sign_in

_FIRST_EVENT = "#rows .event-row"


def _open_alert(page: Page) -> None:
    page.locator(_FIRST_EVENT).filter(has_text="LINK-3-UPDOWN").first.click()
    expect(page.locator("#detail")).to_contain_text("As received")


def _make_rule(page: Page) -> None:
    page.locator(_FIRST_EVENT).filter(has_text="Failed password").first.click()
    page.get_by_role("link", name="Create rule from this event").click()
    expect(page.locator("#dry-run .headline")).to_contain_text("Would have matched")


def _open_letter(page: Page) -> None:
    page.get_by_role("button", name="Open dead letter").first.click()
    expect(page.locator("#detail textarea")).to_be_visible()


# Name of the picture -> path, and what is done there before it is taken.
SCENES = {
    "live": ("/live", None),
    "event": ("/live", _open_alert),
    "alerts": ("/alerts", None),
    "dead-letters": ("/dead-letters", None),
    "dead-letter": ("/dead-letters", _open_letter),
    "rules": ("/rules", None),
    "rule-from-event": ("/live", _make_rule),
    "hosts": ("/hosts", None),
    "audit": ("/audit", None),
    "audit-changes": ("/audit/changes", None),
    "config": ("/config", None),
    "system": ("/system", None),
    "mibs": ("/system/mibs", None),
    "keys": ("/system/keys", None),
}


# For the documentation; with --all-looks each page is taken in each.
_LOOKS = (("wide", "light"), ("narrow", "dark"))
_OTHER_LOOKS = (("wide", "dark"), ("narrow", "light"))
_SIZES = {"wide": WIDE, "narrow": NARROW}


def _take(page: Page, url: str, names: list[str], keep: Callable[[str], None]) -> None:
    """Go to each page in turn and keep its picture."""
    for name in names:
        path, prepare = SCENES[name]
        page.goto(url + path)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        if path == "/live":
            is_live(page)
            expect(page.locator(_FIRST_EVENT).first).to_be_visible()
        if prepare is not None:
            prepare(page)
        expect(page.locator("#health")).not_to_have_attribute("data-state", "unknown")
        keep(name)


def _take_all(daemon: RunningDaemon, directory: Path, names: list[str], *, every: bool) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        for size, scheme in _LOOKS + (_OTHER_LOOKS if every else ()):
            look = {"viewport": _SIZES[size], "color_scheme": scheme}
            page = browser.new_context(**look).new_page()  # type: ignore[arg-type] # both are literals

            def keep(name: str, page: Page = page, ending: str = f"{size}-{scheme}.png") -> None:
                page.screenshot(path=directory / f"{name}-{ending}")

            page.goto(f"{daemon.url}/sign-in")
            keep("sign-in")
            sign_in(page, daemon.key())
            _take(page, daemon.url, names, keep)
        browser.close()


def main(arguments: list[str]) -> None:
    """Start everything, take the pictures, stop everything."""
    every = "--all-looks" in arguments
    given = [argument for argument in arguments if not argument.startswith("--")]
    directory = Path(given[0] if given else "docs/screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, scripted_webhook() as webhook:
        environ = {"MUTTD_MOOG_WEBHOOK_URL": webhook.url, "MUTTD_DAEMON_NAME": "muttd-1"}
        daemon = RunningDaemon(Path(state) / "state", environ).wait_ready()
        try:
            lay_out(daemon, webhook)
            _take_all(daemon, directory, given[1:] or list(SCENES), every=every)
        finally:
            daemon.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
