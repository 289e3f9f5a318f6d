"""The whole daemon as a process of its own, and a webhook that answers from a script.

Everything is on port 0; what the kernel chose is read from the daemon's log.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

# A start takes a second of CPU, which beside a busy machine's other work comes late.
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 60.0
# Made once: it reads every CA of this machine, and hardly a test daemon speaks HTTPS.
_TLS = ssl.create_default_context()
_LISTENING = re.compile(r"(\w+): listening on (\S+):(\d+)")


def eventually(
    look: Callable[[], T], is_right: Callable[[T], object] = bool, *, within_s: float = 20.0
) -> T:
    """What look() gives as soon as it is right; fails with the last one when it never is."""
    pause = threading.Event()
    rounds = int(within_s / 0.02)
    seen = look()
    for _ in range(rounds):
        if is_right(seen):
            return seen
        pause.wait(0.02)
        seen = look()
    assert is_right(seen), f"after {within_s} s: {seen!r}"
    return seen


class RunningDaemon:
    """A daemon that was started, and is killed at the latest with its fixture.

    Args:
        state_dir: Its state directory.
        environ: Settings besides those that every test daemon has.
        passed: Sockets that it inherits, as systemd passes them.
    """

    def __init__(
        self,
        state_dir: Path,
        environ: Mapping[str, str],
        *,
        passed: Sequence[socket.socket] = (),
    ) -> None:
        self.state_dir = state_dir
        self.log: list[str] = []
        self.ports: dict[str, int] = {}
        self._ready = threading.Event()
        self._trust = _TLS
        is_secured = environ.get("MUTTD_TLS_CERT") and environ.get("MUTTD_HTTP_TLS") != "off"
        self.scheme = "https" if is_secured else "http"
        if is_secured:
            self._trust = ssl.create_default_context(cafile=environ["MUTTD_TLS_CA"])
        settings = {
            "MUTTD_STATE_DIR": str(state_dir),
            "MUTTD_DAEMON_NAME": "test-daemon",
            # Meta-alerts are events of their own: what a test counts should be what it sent.
            "MUTTD_UNHANDLED_THRESHOLD": "1000000000",
            "MUTTD_SYSLOG_UDP": "[::]:0",
            "MUTTD_SYSLOG_TCP": "[::]:0",
            "MUTTD_SNMP_UDP": "[::]:0",
            "MUTTD_HTTP": "[::]:0",
            **environ,
        }
        command = [sys.executable, "-m", "muttd", "run"]
        if passed:
            # Descriptors from 3 on, and a number that is known only to the process itself.
            places = " ".join(f"{at}<&{sock.fileno()}" for at, sock in enumerate(passed, start=3))
            script = f'exec {places}; LISTEN_FDS={len(passed)} LISTEN_PID=$$ exec "$@"'
            command = ["bash", "-c", script, "bash", *command]
        self.process = subprocess.Popen(
            command,
            pass_fds=[sock.fileno() for sock in passed],
            env={"PATH": os.environ["PATH"], "HOME": str(state_dir), **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            if found := _LISTENING.search(line):
                self.ports.setdefault(found[1], int(found[3]))
            if " is ready" in line:
                self._ready.set()
        # The end of the log is an answer too: it will never be ready.
        self._ready.set()

    def wait_ready(self, *, within_s: float = START_TIMEOUT_S) -> RunningDaemon:
        """Wait until every listener is bound."""
        assert self._ready.wait(within_s), self.log
        assert any(" is ready" in line for line in self.log), self.log
        return self

    def wait_exit(self, *, within_s: float = 20.0) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def terminate(self, *, within_s: float = 20.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(within_s=within_s)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said. Harmless when it is over already."""
        self.process.kill()
        self.wait_exit()

    def key(self, name: str = "admin") -> str:
        """The API key that the first start made."""
        return (self.state_dir / f"{name}.key").read_text().strip()

    @property
    def url(self) -> str:
        """Of the page and the API."""
        return f"{self.scheme}://127.0.0.1:{self.ports['http']}"

    def client(self, key: str = "admin") -> httpx.Client:
        """An API client with that key."""
        return httpx.Client(
            base_url=self.url,
            headers={"X-API-KEY": self.key(key)},
            timeout=ANSWER_TIMEOUT_S,
            trust_env=False,
            verify=self._trust,
        )

    def get(self, path: str, **params: Any) -> Any:
        """GET JSON with the admin key."""
        with self.client() as client:
            answer = client.get(path, params=params)
            assert answer.status_code == 200, answer.text
            return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """POST JSON with the admin key."""
        with self.client() as client:
            answer = client.post(path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

    def listener(self, name: str) -> dict[str, Any]:
        """One listener's part of the status document."""
        rows = self.get("/api/v2/status")["listeners"]
        return next(row for row in rows if row["name"] == name)

    def events(self, **params: Any) -> list[dict[str, Any]]:
        """Stored events, newest first."""
        found = self.get("/api/v2/events", limit=200, **params)["events"]
        assert isinstance(found, list)
        return found

    def all_events(self) -> Iterator[dict[str, Any]]:
        """Every stored event, newest first."""
        cursor: dict[str, str] = {}
        with self.client() as client:
            while True:
                answer = client.get("/api/v2/events", params={"limit": 200, **cursor}).json()
                yield from answer["events"]
                if answer["next_cursor"] is None:
                    return
                cursor = {"cursor": answer["next_cursor"]}

    def wait_idle(self) -> None:
        """Wait until the queue's ingest stream is empty."""
        eventually(lambda: self.get("/api/v2/status"), _is_idle)

    def send_udp(self, octets: bytes, listener: str = "syslog_udp") -> None:
        """Send one datagram."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(octets, ("127.0.0.1", self.ports[listener]))


def _is_idle(status: dict[str, Any]) -> bool:
    waiting: int = status["intake"]["waiting_events"] + status["queue"]["ingest"]["items"]
    return waiting == 0


def resident_octets(pid: int) -> int:
    """A process's resident set, from proc(5)."""
    return _memory_octets(pid, "VmRSS")


def _memory_octets(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


def growth_of(pid: int) -> Callable[[], int]:
    """Tells how many octets a process has grown by from now on, at its peak."""
    # proc(5): 5 sets the peak back to what is resident now.
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _memory_octets(pid, "VmHWM")
    return lambda: _memory_octets(pid, "VmHWM") - before


def a_rule(**values: Any) -> dict[str, Any]:
    """A rule as the API takes it: pages on LINK-3-UPDOWN, unless values say otherwise."""
    return {
        "name": "link down",
        "match_string": "LINK-3-UPDOWN",
        "match_type": "contains",
        "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
        **values,
    }


@dataclass
class WebhookCall:
    """One request that the webhook got; octets are those of the body."""

    headers: dict[str, str]
    body: dict[str, Any]
    octets: bytes = b""


@dataclass
class ScriptedWebhook:
    """A webhook that answers from a script.

    Attributes:
        url: Where it listens.
        calls: What it got, in order.
        accepted: Those that it answered with 2xx.
        answer: Gives status, headers and body for a call.
    """

    url: str
    calls: list[WebhookCall] = field(default_factory=list)
    accepted: list[WebhookCall] = field(default_factory=list)
    answer: Callable[[WebhookCall], tuple[int, dict[str, str], str]] = lambda call: (200, {}, "{}")


@contextmanager
def scripted_webhook(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedWebhook]:
    """Serve a webhook on port 0 until the block ends; over TLS when it is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes; the second would wait for the ACK of the first, 40 ms.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            octets = self.rfile.read(int(self.headers["Content-Length"]))
            call = WebhookCall(dict(self.headers.items()), json.loads(octets), octets)
            webhook.calls.append(call)
            status, headers, text = webhook.answer(call)
            if 200 <= status < 300:
                webhook.accepted.append(call)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as http.server has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http" if tls is None else "https"
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    webhook = ScriptedWebhook(f"{scheme}://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
