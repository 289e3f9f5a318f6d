"""README.md, followed from its first command: word for word, on its own ports."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from guide_text import ROOT, GuideShell, blocks
from own_network import OwnNetwork, needs_own_network, own_network
from running_daemon import eventually

pytestmark = [pytest.mark.acceptance, needs_own_network]

# What README says a receiver is at: takes everything, and writes it down.
_RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open(sys.argv[1], "ab").write(body + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
"""


def seen(shell: GuideShell) -> set[str]:
    key = shell.translated(".muttd/admin.key")
    said = shell.run(
        f'curl -sS -H "X-API-KEY: $(cat {key})" http://127.0.0.1:8080/api/v2/events?limit=200'
    )
    return {event["message"] for event in json.loads(said)["events"]}


def run_tail(network: OwnNetwork, shell: GuideShell, tail: str, send: str, log: Path) -> None:
    """`muttd tail` never ends: it is watched until it shows what is sent."""

    def shown() -> str:
        shell.run(send)
        return log.read_text()

    with network.process(shell.translated(tail), log, {"HOME": str(log.parent)}, ROOT):
        eventually(shown, lambda text: "LINK-3-UPDOWN" in text)


def test_who_follows_the_readme_sees_events_and_gets_an_alert(tmp_path: Path) -> None:
    start, point, send, rules = blocks("README.md", "Start it")
    [rule_file] = blocks("README.md", "Start it", "yaml")
    (tmp_path / "rules.yaml").write_text(rule_file)
    state, got = tmp_path / "state", tmp_path / "got"
    places = {"rules.yaml": str(tmp_path / "rules.yaml"), ".muttd": str(state)}
    with own_network() as network:
        shell = GuideShell(places=places, prefix=network.prefix, cwd=ROOT)
        with network.daemon(state, tmp_path / "first", command=f"{ROOT}/{start.strip()}"):
            assert '"status":"queued"' in shell.run(point).replace(" ", "")
            wanted = {"hello from logger", "hello from curl"}
            eventually(partial(seen, shell), wanted.issubset)
            syslog, trap, tail, status = send.splitlines()
            shell.run(syslog + "\n" + trap)
            run_tail(network, shell, tail, syslog, tmp_path / "tail")
            assert "syslog_udp" in shell.run(status)
            make, look, again = rules.splitlines()
            assert "2 created" in shell.run(make)
            assert "interface down" in shell.run(look)
        receiver = f"python3 -c '{_RECEIVER}' {got}"
        with (
            network.process(receiver, tmp_path / "receiver", {}),
            network.daemon(
                state,
                tmp_path / "second",
                command=again.replace("script/run", f"{ROOT}/script/run"),
            ),
        ):
            shell.run(syslog)
            eventually(lambda: got.exists() and "LINK-3-UPDOWN" in got.read_text())
