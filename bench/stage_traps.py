"""What one trap costs: parse, describe, both; and the worst datagrams. CPU time, one core.

    .venv/bin/python bench/stage_traps.py [seconds for each line]

Prints microseconds an event and events a second, the best of five rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from muttd.errors import PeerError
from muttd.protocol import mib as mib_module
from muttd.protocol.mib import TABLE_FILE_NAME, Mib
from muttd.protocol.snmp import parse_notification
from muttd.protocol.snmp_encode import V1Trap, encode_v1_trap, encode_v2c_trap
from muttd.protocol.snmp_text import describe
from muttd.protocol.snmp_varbind import WireVarbind

LINK = [
    WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
    WireVarbind("1.3.6.1.2.1.2.2.1.7.3", "INTEGER", 1),
    WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "INTEGER", 2),
]
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
ROUNDS = 5


def measure(name: str, work: Callable[[], object], seconds: float) -> None:
    count = 1
    while (spent := cpu_s(work, count)) < 0.01:
        count *= 2
    count = max(1, int(count * seconds / ROUNDS / spent))
    each = min(cpu_s(work, count) for _ in range(ROUNDS)) / count
    print(f"{name:32} {each * 1e6:10.2f} us {1 / each:12,.0f} /s")


def cpu_s(work: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - began


def refused(octets: bytes) -> None:
    try:
        parse_notification(octets)
    except PeerError:
        return
    raise AssertionError("a datagram that should be refused was not")


def both(octets: bytes, mib: Mib) -> None:
    describe(parse_notification(octets), mib)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    table = Path(mib_module.__file__).with_name(TABLE_FILE_NAME).read_bytes()
    mib = Mib.from_octets(table)
    trap = V1Trap("1.3.6.1.4.1.9.1.516", 2, 0, "192.0.2.7", 372_345)
    for name, octets in (
        ("v1 linkDown", encode_v1_trap(b"public", trap, LINK)),
        ("v2c linkDown", encode_v2c_trap(b"public", LINK_DOWN, LINK, sys_up_time=372_345)),
    ):
        notification = parse_notification(octets)
        measure(f"{name}: parse", partial(parse_notification, octets), seconds)
        measure(f"{name}: describe", partial(describe, notification, mib), seconds)
        measure(f"{name}: both", partial(both, octets, mib), seconds)
    small = bytes.fromhex("3082fdfc020101 0400 a782fdf3 020101 020100 020100 3082fde6")
    measure("257 varbinds, refused", lambda: refused(small + b"\x30\5\6\1\0\5\0" * 9286), seconds)
    measure("load the table", lambda: Mib.from_octets(table), seconds)


if __name__ == "__main__":
    main()
