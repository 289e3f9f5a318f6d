"""Numbered load on several daemons, and a ledger of what each sender was told.

    sender --"seq=KIND-NUMBER"--> a daemon that lives --> [ ledger ]

    sent            a number was used once and never again, whatever became of it
    acknowledged    HTTP answered 200, the Inform was answered: it must be stored
    refused         the sender was told no (503, connection refused): a reported loss
    silent          UDP, TCP, traps: nobody says anything

No number is ever sent twice, so a number that is stored twice was doubled by the daemons.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx
from running_daemon import RunningDaemon

from muttd.protocol.snmp_encode import encode_v2c_inform, encode_v2c_trap
from muttd.protocol.snmp_varbind import WireVarbind

KINDS = ("udp", "tcp", "trap", "inform", "http")
# Of all events. What one HTTP request carries is a batch, as of a collector that forwards.
SHARES = {"udp": 0.4, "tcp": 0.2, "trap": 0.15, "inform": 0.05, "http": 0.2}
HTTP_BATCH_EVENTS = 10
# One event in so many raises an alert, one in so many is audited without one.
ALERT_EVERY = 20
AUDIT_EVERY = 4
SEQUENCE = re.compile(r"seq=([a-z]+)-(\d+)\b")

_TICK_S = 0.02
_IF_DESCR = "1.3.6.1.2.1.2.2.1.2.1"
_COLD_START = "1.3.6.1.6.3.1.1.5.1"


def text_of(kind: str, number: int) -> str:
    """The message of an event: its number, and what the rules look for."""
    if number % ALERT_EVERY == 0:
        return f"LINK-3-UPDOWN seq={kind}-{number} changed state to down"
    if number % AUDIT_EVERY == 0:
        return f"CONFIG-5-CHANGED seq={kind}-{number} by an operator"
    return f"SESSION-6-INFO seq={kind}-{number} and nothing happened"


@dataclass(slots=True)
class Ledger:
    """What became of the numbers of one kind.

    Attributes:
        sent: By number: when, and to which daemon.
        acknowledged, refused: Numbers about which the sender was told so.
    """

    kind: str
    sent: list[tuple[float, str]] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def take_numbers(self, count: int, daemon: str) -> range:
        """The next numbers, now sent to that daemon."""
        first = len(self.sent)
        self.sent.extend([(time.monotonic(), daemon)] * count)
        return range(first, first + count)


class Fleet:
    """The daemons that senders may choose from, as a virtual IP or a DNS name gives them.

    Attributes:
        killed_at: By daemon, when it was killed.
    """

    def __init__(self, daemons: Sequence[RunningDaemon]) -> None:
        self._alive = {str(daemon.state_dir): daemon for daemon in daemons}
        self.killed_at: dict[str, float] = {}

    @property
    def names(self) -> list[str]:
        """Those that live."""
        return list(self._alive)

    def daemon(self, name: str) -> RunningDaemon | None:
        """None when it lives no longer."""
        return self._alive.get(name)

    def kill(self, daemon: RunningDaemon) -> None:
        """SIGKILL; senders turn to the others."""
        name = str(daemon.state_dir)
        self.killed_at[name] = time.monotonic()
        daemon.kill()
        del self._alive[name]

    def leave(self, daemon: RunningDaemon) -> None:
        """Senders turn to the others, as when the virtual address moves away."""
        del self._alive[str(daemon.state_dir)]

    def join(self, daemon: RunningDaemon) -> None:
        """One more daemon, or one that is back."""
        self._alive[str(daemon.state_dir)] = daemon


@dataclass(frozen=True, slots=True)
class Job:
    """What a sender does.

    Attributes:
        ledger: Written by that sender alone.
        rate_per_s: Events a second.
        fleet: Whom to send to.
        over: Set when it is to stop.
    """

    ledger: Ledger
    rate_per_s: float
    fleet: Fleet
    over: threading.Event


class Sender(threading.Thread):
    """Sends one kind at a rate, in turn to every daemon that lives."""

    def __init__(self, job: Job) -> None:
        super().__init__(name=f"sender-{job.ledger.kind}", daemon=True)
        self.ledger = job.ledger
        self._rate_per_s = job.rate_per_s
        self._fleet = job.fleet
        self._over = job.over
        self._turn = 0

    def run(self) -> None:
        """Keep to the rate; what could not be sent in time is sent no more."""
        due = 0.0
        last = time.monotonic()
        while not self._over.wait(_TICK_S):
            now = time.monotonic()
            # After a call that hung: no burst that makes up for it.
            due += min(now - last, 0.5) * self._rate_per_s
            last = now
            count = int(due)
            due -= count
            if count:
                self._turn += 1
                names = self._fleet.names
                self.send(names[self._turn % len(names)], count)
        self.finish()

    def send(self, name: str, count: int) -> None:
        """Send so many events to that daemon."""
        raise NotImplementedError

    def finish(self) -> None:
        """Close what is open."""


class DatagramSender(Sender):
    """Syslog over UDP, traps and informs.

    Args:
        job: What it does.
        encode: The datagram of a number.
        listener: Which of the daemon's ports.
    """

    def __init__(self, job: Job, encode: Callable[[int], bytes], listener: str) -> None:
        super().__init__(job)
        self._encode = encode
        self._listener = listener
        self._sockets: dict[str, socket.socket] = {}

    def send(self, name: str, count: int) -> None:
        """One datagram each."""
        sock = self._socket(name)
        for number in self.ledger.take_numbers(count, name):
            try:
                if sock is None:
                    raise ConnectionRefusedError
                sock.send(self._encode(number))
            except ConnectionRefusedError:
                # ICMP said that an earlier one came to nobody, and this one was not sent.
                self.ledger.refused.add(number)
        self.collect(0.0)

    def finish(self) -> None:
        """Wait a little for the last answers."""
        self.collect(2.0)
        for sock in self._sockets.values():
            sock.close()

    def collect(self, wait_s: float) -> None:
        """Read the answers that are there: they carry the varbinds of what they answer."""
        deadline = time.monotonic() + wait_s
        while self._sockets:
            left_s = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select(list(self._sockets.values()), [], [], left_s)
            if not readable:
                return
            for sock in readable:
                with contextlib.suppress(ConnectionRefusedError):
                    if found := SEQUENCE.search(sock.recv(65_536).decode("latin-1")):
                        self.ledger.acknowledged.add(int(found[2]))

    def _socket(self, name: str) -> socket.socket | None:
        daemon = self._fleet.daemon(name)
        if daemon is None:
            return None
        port = daemon.ports[self._listener]
        sock = self._sockets.get(f"{name}:{port}")
        if sock is None:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(("127.0.0.1", port))
            self._sockets[f"{name}:{port}"] = sock
        return sock


class TcpSender(Sender):
    """Syslog over TCP, octet-counted, one connection a daemon."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._sockets: dict[str, socket.socket] = {}

    def send(self, name: str, count: int) -> None:
        """One write for all of them."""
        for each in set(self._sockets) - set(self._fleet.names):
            self._forget(each)
        numbers = self.ledger.take_numbers(count, name)
        messages = [syslog_octets("tcp", number) for number in numbers]
        try:
            self._socket(name).sendall(b"".join(b"%d %s" % (len(m), m) for m in messages))
        except ConnectionRefusedError:
            self.ledger.refused.update(numbers)
        except OSError:
            # The daemon died meanwhile; TCP does not say what it had taken.
            self._forget(name)

    def finish(self) -> None:
        """Say that this was all, and wait until the daemon closes, which it does after reading."""
        for sock in self._sockets.values():
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)
            sock.close()

    def _forget(self, name: str) -> None:
        if sock := self._sockets.pop(name, None):
            sock.close()

    def _socket(self, name: str) -> socket.socket:
        daemon = self._fleet.daemon(name)
        if daemon is None:
            raise ConnectionRefusedError
        if name not in self._sockets:
            address = ("127.0.0.1", daemon.ports["syslog_tcp"])
            self._sockets[name] = socket.create_connection(address, timeout=60)
        return self._sockets[name]


class HttpSender(Sender):
    """POSTs batches; what the rate owes, a batch at a time."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._clients: dict[str, httpx.Client] = {}
        self._owed = 0

    def send(self, name: str, count: int) -> None:
        """Whole batches; what is left over waits for the next turn."""
        self._owed += count
        while self._owed >= HTTP_BATCH_EVENTS and not self._over.is_set():
            self._owed -= HTTP_BATCH_EVENTS
            self._post(name, self.ledger.take_numbers(HTTP_BATCH_EVENTS, name))

    def finish(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _post(self, name: str, numbers: range) -> None:
        daemon = self._fleet.daemon(name)
        if daemon is None:
            self.ledger.refused.update(numbers)
            return
        if name not in self._clients:
            self._clients[name] = daemon.client("ingest")
        body = [
            {"message": text_of("http", number), "hostname": f"web-{number % 7}"}
            for number in numbers
        ]
        # One that was restarted has another port.
        self._clients[name].base_url = daemon.url
        try:
            answer = self._clients[name].post("/ingest", json=body)
        except httpx.ConnectError:
            self.ledger.refused.update(numbers)
        except httpx.HTTPError:
            # No answer: it may be stored, and it may not.
            return
        else:
            told = self.ledger.acknowledged if answer.status_code == 200 else self.ledger.refused
            told.update(numbers)


def syslog_octets(kind: str, number: int) -> bytes:
    """RFC 5424, so that no stamp needs a year."""
    host = f"sw{number % 50}"
    return f"<134>1 - {host} app {number % 1000} - - {text_of(kind, number)}".encode()


def _varbinds(kind: str, number: int) -> tuple[WireVarbind]:
    return (WireVarbind(_IF_DESCR, "OCTET STRING", text_of(kind, number).encode()),)


def _trap_octets(number: int) -> bytes:
    return encode_v2c_trap(b"public", _COLD_START, _varbinds("trap", number))


def _inform_octets(number: int) -> bytes:
    varbinds = _varbinds("inform", number)
    return encode_v2c_inform(b"public", _COLD_START, varbinds, request_id=number + 1)


class Load:
    """All senders at once.

    Args:
        fleet: Whom they send to.
        rate_per_s: Events a second, all kinds together.

    Attributes:
        ledgers: By kind; whole once stop() has returned.
    """

    def __init__(self, fleet: Fleet, rate_per_s: float) -> None:
        self._over = threading.Event()
        self.ledgers = {kind: Ledger(kind) for kind in KINDS}
        self.started_at = time.monotonic()
        self.lasted_s = 0.0

        jobs = {
            kind: Job(self.ledgers[kind], rate_per_s * SHARES[kind], fleet, self._over)
            for kind in KINDS
        }
        self._senders: list[Sender] = [
            DatagramSender(jobs["udp"], partial(syslog_octets, "udp"), "syslog_udp"),
            DatagramSender(jobs["trap"], _trap_octets, "snmp"),
            DatagramSender(jobs["inform"], _inform_octets, "snmp"),
            TcpSender(jobs["tcp"]),
            HttpSender(jobs["http"]),
        ]

    def start(self) -> None:
        """Begin to send."""
        self.started_at = time.monotonic()
        for sender in self._senders:
            sender.start()

    def go_on(self, seconds: float) -> None:
        """Let the load run for so long."""
        self._over.wait(seconds)

    def stop(self) -> None:
        """Send no more, and wait for the answers that are under way."""
        self._over.set()
        self.lasted_s = time.monotonic() - self.started_at
        for sender in self._senders:
            sender.join(90)
            assert not sender.is_alive(), sender.name

    @property
    def sent_count(self) -> int:
        """Events so far."""
        return sum(len(ledger.sent) for ledger in self.ledgers.values())

    @property
    def acknowledged_count(self) -> int:
        """Events so far whose sender was told yes."""
        return sum(len(ledger.acknowledged) for ledger in self.ledgers.values())
