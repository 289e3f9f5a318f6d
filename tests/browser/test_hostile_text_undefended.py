"""The attacks of test_hostile_text.py where scripts take text for markup: there they are noticed.

Behind the scripts stands the content security policy: what has become markup does not run by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import test_hostile_text as attacks
from playwright.sync_api import Browser, Page, expect
from running_daemon import RunningDaemon, ScriptedWebhook, eventually
from visiting import OpenPage, Visit, sign_in, syslog
from weakened import Edit, weakened

pytestmark = pytest.mark.browser

_EDITS = (
    Edit("web/static/dom.js", "node.textContent = value;", "node.innerHTML = value;"),
    Edit(
        "web/static/dom.js",
        "if (child !== null && child !== undefined) node.append(child);",
        'if (typeof child === "string") node.insertAdjacentHTML("beforeend", child); '
        "else if (child) node.append(child);",
    ),
    Edit("web/static/event_rows.js", "app.textContent = oneLine(", "app.innerHTML = oneLine("),
)
# Markup is no text any more, or there are elements where none should be.
_NOTICED = r"Locator expected to (have|contain) text|assert [1-9]\d* == 0"
# What nobody does is waited for in vain.
_PATIENCE_MS = 2_000
_ENOUGH_MS = 5_000


@pytest.fixture(scope="module")
def undefended(
    shared_webhook: ScriptedWebhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    """A daemon whose pages take text for markup."""
    directory = tmp_path_factory.mktemp("undefended")
    environ = {"MUTTD_MOOG_WEBHOOK_URL": shared_webhook.url} | weakened(directory, _EDITS)
    daemon = RunningDaemon(directory / "state", environ)
    try:
        yield daemon.wait_ready()
    finally:
        daemon.kill()


@pytest.fixture(scope="module")
def its_session(browser: Browser, undefended: RunningDaemon) -> Any:
    """The cookies of somebody who signed in there. Any: Playwright's own dictionary."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{undefended.url}/sign-in")
    sign_in(page, undefended.key())
    expect(page).to_have_url(f"{undefended.url}/live")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_there(open_page: OpenPage, undefended: RunningDaemon, its_session: Any) -> OpenPage:
    """Open pages of that daemon; of those the console may say anything."""

    def open_there(path: str, **context: Any) -> Visit:
        visit = open_page("/sign-in", url=undefended.url, storage_state=its_session, **context)
        visit.expected.append("")
        visit.page.goto(undefended.url + path)
        return visit

    return open_there


@pytest.fixture
def in_vain() -> Iterator[None]:
    """Do not wait long for what never comes."""
    expect.set_options(timeout=_PATIENCE_MS)
    yield
    expect.set_options(timeout=_ENOUGH_MS)


def test_markup_in_a_syslog_message_is_noticed(
    undefended: RunningDaemon,
    open_there: OpenPage,
    host: str,
    shared_webhook: ScriptedWebhook,
    in_vain: None,
) -> None:
    with pytest.raises(AssertionError, match=_NOTICED):
        attacks.test_no_field_of_a_syslog_message_is_taken_for_html_on_any_page(
            undefended, open_there, host, shared_webhook
        )


def test_markup_in_a_varbind_is_noticed(
    undefended: RunningDaemon, open_there: OpenPage, host: str, in_vain: None
) -> None:
    with pytest.raises(AssertionError, match=_NOTICED):
        attacks.test_no_varbind_and_no_attribute_is_taken_for_html(undefended, open_there, host)


def test_what_has_become_markup_runs_only_without_the_policy(
    undefended: RunningDaemon, open_there: OpenPage, host: str
) -> None:
    undefended.send_udp(syslog(host, "text", app=attacks.IMAGE.format(1)))
    eventually(lambda: undefended.events(hostname=host))

    def struck(page: Page) -> object:
        expect(page.locator("#rows img[onerror]")).to_have_count(1)
        # After the picture, which is not there, has failed to load.
        page.wait_for_load_state("networkidle")
        return page.evaluate("window.struck")

    kept = open_there(f"/live?hostname={host}").page
    assert struck(kept) is None
    with pytest.raises(AssertionError):
        attacks.unharmed(kept)
    bare = open_there(f"/live?hostname={host}", bypass_csp=True).page
    # By which picture is no matter: those of the tests before may be shown, too.
    bare.wait_for_function("window.struck !== undefined")
