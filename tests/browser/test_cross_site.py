"""A page of another site, in the browser of somebody who is signed in: it gets nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect
from running_daemon import RunningDaemon
from visiting import OpenPage, is_live

pytestmark = pytest.mark.browser

# What it asks for, and what became of that: "open", or why not.
_TRY_ALL = """async ([daemon, host]) => {
  const post = (type) => fetch(daemon + "/api/v2/dev-hosts", {
    method: "POST", mode: "no-cors", credentials: "include",
    headers: { "Content-Type": type }, body: JSON.stringify({ hostname: host }),
  }).then((answer) => answer.type, () => "refused");
  const read = fetch(daemon + "/api/v2/rules", { credentials: "include" })
    .then(() => "open", () => "refused");
  const socket = new Promise((resolve) => {
    const live = new WebSocket(daemon.replace("http", "ws") + "/api/v2/live");
    live.onopen = () => resolve("open");
    live.onerror = () => resolve("refused");
  });
  const frame = new Promise((resolve) => {
    const place = document.createElement("iframe");
    place.onload = () => resolve("loaded");
    place.src = daemon + "/live";
    document.body.append(place);
  });
  return { posts: [await post("text/plain"), await post("application/json")], read: await read,
    socket: await socket, frame: await frame };
}"""


@pytest.fixture(scope="module")
def other_site() -> Iterator[str]:
    """A site of somebody else: localhost, where the daemon is 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>prizes</title><body>")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as http.server has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_of_another_site_neither_changes_nor_sees_anything(
    daemon: RunningDaemon, open_page: OpenPage, other_site: str, host: str
) -> None:
    visit = open_page("/live")
    is_live(visit.page)
    # The browser complains of what that site tries.
    visit.expected.append("")
    page = visit.page.context.new_page()
    page.goto(other_site)
    tried = page.evaluate(_TRY_ALL, [daemon.url, host])
    assert (tried["read"], tried["socket"]) == ("refused", "refused")
    # It knows not even how its posts were answered.
    assert set(tried["posts"]) <= {"opaque", "refused"}
    assert page.frames[-1].locator("#connection").count() == 0
    assert host not in str(daemon.get("/api/v2/dev-hosts"))

    # A form leads the browser to us; signed out it is not.
    page.evaluate(
        """(daemon) => {
          const form = document.createElement("form");
          Object.assign(form, { method: "post", action: daemon + "/sign-out" });
          document.body.append(form);
          form.submit();
        }""",
        daemon.url,
    )
    page.wait_for_url(f"{daemon.url}/**")
    visit.page.reload()
    is_live(visit.page)
    expect(visit.page).to_have_url(f"{daemon.url}/live")
