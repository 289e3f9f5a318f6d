"""A sender in a process of its own: numbered events, made beforehand, sent at a steady pace.

    python bench/wire_load.py udp 127.0.0.1:5514 --count 100000 --rate 20000 --log FILE [--key KEY]

Says "ready" when everything is made and connected, waits for a line on stdin, sends, and writes to
the log file what it sent when, and the CPU time that took. Datagrams go out some dozens at once
(UDP_SEGMENT, udp(7)), so that it takes little of the machine that it loads.

Every event holds seq=NNNNNNNNN. One in five says that an interface "changed state to down", one in
a thousand instead that a "power supply failed".
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from muttd.protocol.snmp import Pdu
from muttd.protocol.snmp_encode import about, encode_pdu, encode_v2c_trap
from muttd.protocol.snmp_v3 import Envelope, encode_message, encode_scoped
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import parse_users

INPUTS = ("udp", "tcp", "tls", "http", "ndjson", "trap-v2c", "trap-v3")
MATCHED, PAGED = "changed state to down", "power supply failed"
# As createUser of snmptrapd.conf has it; ENGINE is the sender's.
TRAP_USER = "createUser trapuser SHA authpass12 AES privpass12\n"
ENGINE = bytes.fromhex("8000000001020304")
SYSLOG_OCTETS = 200
HOSTS = 200

_SOL_UDP, _UDP_SEGMENT = 17, 103
# UDP_MAX_SEGMENTS of the kernel, and what one send may hold.
_SEGMENTS, _SEND_OCTETS = 64, 65_000
_PACE_S = 0.005
_LINES = (
    "<165>1 {iso}Z host{h}.example.com evntslog 4711 ID47 - link {port} {what} seq={n:09}",
    "<38>{bsd} host{h} sshd[{pid}]: Failed password for root from 10.1.2.{h} {what} seq={n:09}",
    "<189>{pid}: router{h}: *{bsd}.003 UTC: %LINK-5-STATE: {port} {what} seq={n:09}",
    "<165>1 {iso}+00:00 host{h} app {pid} ID47"
    ' [exampleSDID@32473 iut="3" eventID="{pid}"] {port} {what} seq={n:09}',
    "<30>{iso}+00:00 host{h} systemd[1]: Started session {pid} {what} seq={n:09}",
    "<134>{bsd} bigip{h} notice mcpd[5432]: 01070638:5: Pool member {port} {what} seq={n:09}",
    "<4>{bsd} host{h} kernel: [{pid}.123456] eth0: NIC {port} {what} seq={n:09}",
)
# What makes a line as long as the others.
_REST = (
    "as its agent says, in so many words as devices use when somebody wants them to be clear " * 2
)
_JSON = (
    '{{"message":"{port} {what} seq={n:09}","hostname":"host{h}.example.com","severity":"err",'
    '"app_name":"poller","timestamp":"{iso}Z","site":"north"}}'
)
_LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


def what_of(number: int) -> str:
    """What the event of this number says."""
    if number % 1000 == 0:
        return PAGED
    return MATCHED if number % 5 == 0 else "is as it was before"


def _words(number: int) -> dict[str, object]:
    now = time.gmtime()
    return {
        "n": number,
        "h": number * 7 % HOSTS,
        "pid": 10_000 + number % 20_000,
        "port": f"Gi0/{number % 48:02}",
        "what": what_of(number),
        "iso": f"{time.strftime('%Y-%m-%dT%H:%M:%S', now)}.{number % 1_000_000:06}",
        "bsd": time.strftime("%b %e %H:%M:%S", now),
    }


def syslog_octets(number: int) -> bytes:
    """One message of SYSLOG_OCTETS, of the kinds that are on a busy wire."""
    line = _LINES[number % len(_LINES)].format(**_words(number))
    return f"{line} {_REST[: SYSLOG_OCTETS - 1 - len(line)]}".encode()


def json_octets(number: int) -> bytes:
    """One event as the HTTP interface takes it."""
    return _JSON.format(**_words(number)).encode()


def _varbinds(number: int) -> list[WireVarbind]:
    text = f"Gi0/{number % 48:02} {what_of(number):22} seq={number:09}"
    return [
        WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
        WireVarbind("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", text.encode()),
        WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "INTEGER", 2),
    ]


def trap_octets(number: int) -> bytes:
    """One v2c linkDown."""
    return encode_v2c_trap(
        b"public", _LINK_DOWN, _varbinds(number), request_id=0x1000_0000 + number, sys_up_time=9999
    )


def v3_encoder() -> Callable[[int], bytes]:
    """Makes v3 linkDowns, authenticated and encrypted."""
    [user] = parse_users(TRAP_USER, source="bench")
    key = PendingKey(user, ENGINE).derive()

    def encode(number: int) -> bytes:
        varbinds = [*about(_LINK_DOWN, 9999), *_varbinds(number)]
        scoped = encode_scoped(ENGINE, b"", encode_pdu(Pdu.TRAP_V2, 0x1000_0000 + number, varbinds))
        salt = (number + 1).to_bytes(8)
        message_id = 0x1000_0000 + number
        return encode_message(Envelope(message_id, ENGINE, 3, 1000, user.name, salt), scoped, key)

    return encode


@dataclass
class Sent:
    """What became of it.

    Attributes:
        times: When each chunk went out.
        refused: Numbers that the other side said no to.
    """

    chunk: int
    times: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


class _Datagrams:
    """Several of one length at once, where the kernel can, from each of some source ports in turn.

    Where daemons share a port, the source port says which of them gets it.
    """

    def __init__(self, target: tuple[str, int], octets: int, ports: int) -> None:
        self._octets = octets
        self._socks = deque(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(ports))
        self._is_segmented = True
        for sock in self._socks:
            sock.connect(target)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            try:
                sock.setsockopt(_SOL_UDP, _UDP_SEGMENT, octets)
            except OSError:
                self._is_segmented = False

    def __call__(self, octets: bytes, _first: int) -> None:
        sock = self._socks[0]
        self._socks.rotate(-1)
        if self._is_segmented:
            sock.send(octets)
            return
        for at in range(0, len(octets), self._octets):
            sock.send(octets[at : at + self._octets])


class _Stream:
    """Over one TCP connection."""

    def __init__(self, target: tuple[str, int], ca: str | None) -> None:
        sock = socket.create_connection(target)
        if ca is not None:
            context = ssl.create_default_context(cafile=ca)
            sock = context.wrap_socket(sock, server_hostname="localhost")
        self._sock = sock

    def __call__(self, octets: bytes, _first: int) -> None:
        self._sock.sendall(octets)

    def finish(self) -> None:
        """Say that this was all."""
        self._sock.shutdown(socket.SHUT_WR)


class _Requests:
    """Over some HTTP connections in turn, one request at a time on each."""

    def __init__(self, target: tuple[str, int], connections: int, sent: Sent) -> None:
        self._socks = deque(socket.create_connection(target) for _ in range(connections))
        for sock in self._socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asked: dict[socket.socket, int] = {}
        self._sent = sent

    def __call__(self, octets: bytes, first: int) -> None:
        sock = self._socks[0]
        self._socks.rotate(-1)
        self._await_answer(sock)
        sock.sendall(octets)
        self._asked[sock] = first

    def finish(self) -> None:
        """Wait for the last answers."""
        for sock in self._socks:
            self._await_answer(sock)

    def _await_answer(self, sock: socket.socket) -> None:
        first = self._asked.pop(sock, None)
        if first is None:
            return
        octets = b""
        while not _is_whole(octets):
            more = sock.recv(65_536)
            if not more:
                raise SystemExit(f"cut off after {octets!r}")
            octets += more
        if not octets.startswith(b"HTTP/1.1 200"):
            self._sent.refused += range(first, first + self._sent.chunk)


def _is_whole(octets: bytes) -> bool:
    head, blank, body = octets.partition(b"\r\n\r\n")
    if not blank:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
    return len(body) >= int(length or 0)


def _request(body: bytes, media_type: str, key: str) -> bytes:
    head = (
        f"POST /api/v2/ingest HTTP/1.1\r\nHost: bench\r\nX-API-KEY: {key}\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class _Kind:
    encode: Callable[[int], bytes]
    most: int
    join: Callable[[list[bytes]], bytes] = b"".join


def _kind(args: argparse.Namespace) -> _Kind:
    lines = partial(b"".join)
    if args.input == "udp":
        return _Kind(syslog_octets, _SEGMENTS)
    if args.input in ("tcp", "tls"):
        return _Kind(lambda number: syslog_octets(number) + b"\n", 256, lines)
    if args.input == "http":
        return _Kind(json_octets, 1, lambda one: _request(one[0], "application/json", args.key))
    if args.input == "ndjson":
        return _Kind(
            json_octets,
            500,
            lambda some: _request(b"\n".join(some), "application/x-ndjson", args.key),
        )
    encode = trap_octets if args.input == "trap-v2c" else v3_encoder()
    return _Kind(encode, min(_SEGMENTS, _SEND_OCTETS // len(encode(1))))


def _made(kind: _Kind, count: int, chunk: int) -> list[bytes]:
    return [
        kind.join([kind.encode(n) for n in range(first, min(first + chunk, count))])
        for first in range(0, count, chunk)
    ]


def main() -> None:
    """Make, wait, send, write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", choices=INPUTS)
    parser.add_argument("target")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--ca")
    parser.add_argument("--ports", type=int, default=1)
    args = parser.parse_args()
    host, _, port = args.target.rpartition(":")
    target = (host, int(port))
    kind = _kind(args)
    chunk = max(1, min(kind.most, int(args.rate * _PACE_S)))
    sent = Sent(chunk)
    chunks = _made(kind, args.count, chunk)
    if args.input in ("udp", "trap-v2c", "trap-v3"):
        send = _Datagrams(target, len(kind.encode(0)), args.ports)
    elif args.input in ("tcp", "tls"):
        send = _Stream(target, args.ca)
    else:
        send = _Requests(target, 32 if args.input == "http" else 8, sent)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu_s, started = time.process_time(), time.time()
    for place, octets in enumerate(chunks):
        ahead_s = started + place * chunk / args.rate - time.time()
        if ahead_s > 0:
            time.sleep(ahead_s)
        sent.times.append(time.time())
        send(octets, place * chunk)
    if not isinstance(send, _Datagrams):
        send.finish()
    told = {
        "started": started,
        "ended": time.time(),
        "cpu_s": time.process_time() - cpu_s,
        "chunk": chunk,
        "times": sent.times,
        "refused": sent.refused,
    }
    args.log.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
