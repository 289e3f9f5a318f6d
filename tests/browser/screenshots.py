"""Take the pictures of the documentation: every page of a real daemon, in both sizes and themes.

script/screenshots [DIRECTORY [PAGE ...]]     docs/screenshots and all pages, unless said
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from chromium import CHROMIUM, CHROMIUM_ARGS
from playwright.sync_api import Browser, Page, expect, sync_playwright
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
    expect(page.locator("#sample")).to_be_visible()


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
}


def _take(browser: Browser, daemon: RunningDaemon, directory: Path, names: list[str]) -> None:
    for scheme in ("light", "dark"):
        for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
            context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type] # a Literal
            page = context.new_page()
            page.goto(f"{daemon.url}/sign-in")
            if "sign-in" in names:
                page.screenshot(path=directory / f"sign-in-{size}-{scheme}.png")
            sign_in(page, daemon.key())
            for name in names:
                if name not in SCENES:
                    continue
                path, prepare = SCENES[name]
                page.goto(daemon.url + path)
                expect(page.locator("[aria-busy=true]")).to_have_count(0)
                if path == "/live":
                    is_live(page)
                    expect(page.locator(_FIRST_EVENT).first).to_be_visible()
                if prepare is not None:
                    prepare(page)
                expect(page.locator("#health")).not_to_have_attribute("data-state", "unknown")
                page.screenshot(path=directory / f"{name}-{size}-{scheme}.png")
            context.close()


def main(arguments: list[str]) -> None:
    """Start everything, take the pictures, stop everything."""
    directory = Path(arguments[0] if arguments else "docs/screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    names = arguments[1:] or ["sign-in", *SCENES]
    with tempfile.TemporaryDirectory() as state, scripted_webhook() as webhook:
        environ = {"MUTTD_MOOG_WEBHOOK_URL": webhook.url, "MUTTD_DAEMON_NAME": "muttd-1"}
        daemon = RunningDaemon(Path(state) / "state", environ).wait_ready()
        try:
            lay_out(daemon, webhook)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
                _take(browser, daemon, directory, names)
                browser.close()
        finally:
            daemon.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
