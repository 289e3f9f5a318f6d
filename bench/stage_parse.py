"""How long one message takes to frame and to parse. Run: python bench/stage_parse.py [SECONDS].

The mix: RFC 5424 with and without STRUCTURED-DATA, RFC 3164 from Linux, Cisco IOS and ASA, F5,
Palo Alto; 200 octets each, a new second every 500 messages, as on a busy wire. Beside it the golden
corpus, every form that is known once, malformed ones and long ones too: the best of five rounds.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from muttd.protocol.framing import Framer
from muttd.protocol.syslog import parse_syslog

RECEIVED_AT = datetime(2024, 10, 11, 22, 30, tzinfo=UTC)

LINES = {
    "rfc5424": "<165>1 2024-10-11T22:{m:02}:{s:02}.{n:06}Z host{n}.example.com "
    "evntslog 4711 ID47 - {pad}",
    "rfc5424 sd": "<165>1 2024-10-11T22:{m:02}:{s:02}.{n:06}+02:00 host{n} app - ID47 "
    '[exampleSDID@32473 iut="3" eventSource="Application" eventID="{n}"] {pad}',
    "rfc3164": "<38>Oct 11 22:{m:02}:{s:02} host{n} sshd[{n}]: Failed password for root {pad}",
    "rfc3164 iso": "<30>2024-10-11T22:{m:02}:{s:02}.{n:06}+02:00 host{n} systemd[1]: Started {pad}",
    "cisco ios": "<189>{n}: router{n}: *Oct 11 22:{m:02}:{s:02}.003 UTC: %LINK-3-UPDOWN: "
    "Interface GigabitEthernet0/{n}, changed state to down {pad}",
    "cisco asa": "<166>Oct 11 2024 22:{m:02}:{s:02} asa{n} : %ASA-6-302013: "
    "Built inbound TCP {pad}",
    "palo alto": "<14>Oct 11 22:{m:02}:{s:02} PA-{n} 1,2024/10/11 22:14:15,001801,"
    "TRAFFIC,end {pad}",
    "f5": "<134>Oct 11 22:{m:02}:{s:02} bigip{n} notice mcpd[5432]: 01070638:5: Pool member {pad}",
}

# The share of each in 20 messages.
MIX = {
    "rfc5424": 5, "rfc5424 sd": 2, "rfc3164": 6, "rfc3164 iso": 2, "cisco ios": 2, "cisco asa": 1,
    "palo alto": 1, "f5": 1,
}  # fmt: skip


def messages(kind: str, count: int = 2000) -> list[bytes]:
    made = []
    for n in range(count):
        second = n // 500
        line = LINES[kind].format(n=n, m=second // 60 % 60, s=second % 60, pad="")
        made.append((line + "x" * (200 - len(line))).encode())
    return made


def per_message_us(batch: list[bytes], seconds: float) -> float:
    rounds = 0
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for octets in batch:
            parse_syslog(octets, received_at=RECEIVED_AT, zone=UTC)
        rounds += 1
    return spent / (rounds * len(batch)) * 1e6


def framed_us(stream: bytes, count: int, seconds: float, receive_octets: int) -> float:
    rounds = 0
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        framer = Framer(max_frame_octets=8192)
        for at in range(0, len(stream), receive_octets):
            framer.feed(stream[at : at + receive_octets])
            for _ in framer.frames():
                pass
        rounds += 1
    return spent / (rounds * count) * 1e6


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for kind in LINES:
        print(f"parse {kind:14} {per_message_us(messages(kind), seconds):6.2f} us")
    mixed = [m for kind, share in MIX.items() for m in messages(kind, 100 * share)]
    # Interleaved: a real wire does not sort its senders.
    mixed = [mixed[(n * 37) % len(mixed)] for n in range(len(mixed))]
    cost = per_message_us(mixed, seconds * 2)
    print(f"parse {'the mix':14} {cost:6.2f} us   {1e6 / cost:9,.0f} messages/s")
    folder = Path(__file__).parent.parent / "tests" / "corpus" / "syslog"
    corpus = [path.read_bytes() for path in sorted(folder.glob("*/input.bin"))]
    cost = min(per_message_us(corpus, seconds / 5) for _ in range(5))
    octets = sum(map(len, corpus)) / len(corpus)
    print(
        f"parse {'the corpus':14} {cost:6.2f} us   {1e6 / cost:9,.0f} messages/s"
        f"   ({len(corpus)} of {octets:.0f} octets)"
    )
    lines = b"".join(m + b"\n" for m in mixed)
    counted = b"".join(b"%d %b" % (len(m), m) for m in mixed)
    for name, stream in (("LF", lines), ("counted", counted)):
        for octets in (65536, 1460, 1):
            cost = framed_us(stream, len(mixed), seconds, octets)
            print(f"frame {name:8} {octets:5} {cost:6.2f} us")


if __name__ == "__main__":
    main()
