"""Two hundred viewers beside two thousand events a second, one of whom never reads.

    PYTHONPATH=.:bench python bench/live_viewers.py [--viewers 200] [--rate 2000] [--seconds 40]
    PYTHONPATH=.:bench python bench/live_viewers.py --viewers 10 --latency

Starts a daemon on a directory of its own. Intake must lose nothing, the one who stopped must be
cut off, and memory must stay bounded. With --latency every viewer reads every frame: the time from
the sending of a datagram to its event on the socket of a viewer. Exits 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import selectors
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import msgspec
from process_costs import resident_mib
from udp_conservation import cpu_s, start, status

_HANDSHAKE = (
    "GET /api/v2/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n"
    "X-API-KEY: {key}\r\n\r\n"
)
_SENT_AT = re.compile(rb"at=(\d+\.\d+)")
_BURST_S = 0.01


def connect(port: int, key: str, *, receive_buffer: int | None = None) -> socket.socket:
    """A viewer whose handshake is done."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", port))
    nonce = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(_HANDSHAKE.format(nonce=nonce, key=key).encode())
    answer = sock.recv(4096)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no viewer: {answer[:200]!r}")
    return sock


class Readers:
    """Viewers that read: octets counted, or every event's delay taken."""

    def __init__(self, socks: list[socket.socket], *, measures: bool) -> None:
        self.octets = 0
        self.delays_s: list[float] = []
        self._measures = measures
        self._buffers = {sock: bytearray() for sock in socks}
        self._stopped = False
        self._selector = selectors.DefaultSelector()
        for sock in socks:
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)

    def run(self) -> None:
        """Read until stopped."""
        while not self._stopped:
            for key, _ in self._selector.select(0.2):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                octets = sock.recv(1 << 18)
                if not octets:
                    raise SystemExit("a viewer that read was cut off")
                self.octets += len(octets)
                if self._measures:
                    self._take(self._buffers[sock], octets, time.time())

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True

    def _take(self, buffer: bytearray, octets: bytes, now: float) -> None:
        # RFC 6455, 5.2: a server's frames are not masked.
        buffer += octets
        while len(buffer) >= 2:
            head, length = 2, buffer[1] & 0x7F
            if length >= 126:
                width = 2 if length == 126 else 8
                head = 2 + width
                length = int.from_bytes(buffer[2:head])
            if len(buffer) < head + length:
                return
            payload = bytes(buffer[head : head + length])
            del buffer[: head + length]
            if b'"events"' in payload[:40] and msgspec.json.decode(payload)["type"] == "events":
                self.delays_s += [now - float(at) for at in _SENT_AT.findall(payload)]


def flood(port: int, rate: int, seconds: float) -> int:
    """Send datagrams that say when they were sent; how many."""
    count, started = 0, time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        while (elapsed_s := time.perf_counter() - started) < seconds:
            while count < elapsed_s * rate:
                message = b"<189>Oct 11 22:14:15 sw%d app: number=%d at=%.6f interface is up"
                sock.send(message % (count % 50, count, time.time()))
                count += 1
            time.sleep(_BURST_S)
    return count


def cut_off_count(port: int) -> float:
    """muttd_live_cut_off_total."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    found = re.search(r"^muttd_live_cut_off_total (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def percentile(values: list[float], share: float) -> float:
    """That share of the values are no larger."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--latency", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        state_dir = Path(directory)
        # All of them come from one address here.
        process, ports = start(state_dir, MUTTD_HTTP_MAX_CONNECTIONS_PER_PEER="1000")
        key = (state_dir / "admin.key").read_text().strip()
        socks = [connect(ports["http"], key) for _ in range(args.viewers - (not args.latency))]
        if not args.latency:
            socks_stopped = connect(ports["http"], key, receive_buffer=4096)
        readers = Readers(socks, measures=args.latency)
        reading = threading.Thread(target=readers.run)
        reading.start()
        before_mib, before_s = resident_mib(process.pid), cpu_s(process.pid)
        sent = flood(ports["syslog_udp"], args.rate, args.seconds)
        peak_mib, used_s = resident_mib(process.pid), cpu_s(process.pid) - before_s
        ended_at = time.perf_counter()
        while True:
            document = status(ports, state_dir)
            row = next(each for each in document["listeners"] if each["name"] == "syslog_udp")
            if row["queued"] == sent or time.perf_counter() - ended_at > 30:
                break
            time.sleep(0.2)
        drained_s = time.perf_counter() - ended_at
        cut_off = cut_off_count(ports["http"])
        readers.stop()
        reading.join()
        for sock in socks:
            sock.close()
        if not args.latency:
            socks_stopped.close()
        process.terminate()
        process.wait()
    lost = sent - row["queued"]
    print(f"sent            {sent} in {args.seconds:.0f} s, beside {args.viewers} viewers")
    print(f"lost            {lost} (kernel {row['kernel_dropped']}, dropped {row['dropped']})")
    print(f"drained         {drained_s:.1f} s after the last was sent")
    print(f"to viewers      {readers.octets / 2**20:.0f} MiB")
    print(f"memory          {before_mib:.0f} MiB before, {peak_mib:.0f} MiB at the end")
    print(f"CPU             {used_s / args.seconds:.2f} of one core")
    held = lost == 0
    if args.latency:
        p50, p99 = (percentile(readers.delays_s, share) * 1000 for share in (0.5, 0.99))
        print(f"event to viewer p50 {p50:.0f} ms, p99 {p99:.0f} ms, {len(readers.delays_s)} shown")
        held = held and p99 < 500
    else:
        print(f"cut off         {cut_off:.0f} (the one who did not read)")
        held = held and cut_off == 1 and peak_mib - before_mib < 200
    print("every promise is kept" if held else "A PROMISE IS BROKEN")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
