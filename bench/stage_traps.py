"""What one trap costs: parse, describe, both; SNMPv3 with its time window; the worst datagrams.

    .venv/bin/python bench/stage_traps.py [seconds for each line]

Prints microseconds of CPU time (one core) an event and events a second, the best of five rounds.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from muttd.errors import PeerError
from muttd.protocol import mib as mib_module
from muttd.protocol.mib import TABLE_FILE_NAME, Mib
from muttd.protocol.snmp import Notification, Pdu, parse_notification
from muttd.protocol.snmp_encode import (
    V1Trap,
    about,
    encode_pdu,
    encode_v1_trap,
    encode_v2c_trap,
)
from muttd.protocol.snmp_plain import read_plain_trap
from muttd.protocol.snmp_text import describe
from muttd.protocol.snmp_v3 import Envelope, Key, encode_message, encode_scoped
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm import Engine, Opened, Usm
from muttd.protocol.usm_sender import PendingKey, auth_key
from muttd.protocol.usm_users import UsmUser, parse_users

LINK = [
    WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
    WireVarbind("1.3.6.1.2.1.2.2.1.7.3", "INTEGER", 1),
    WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "INTEGER", 2),
]
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
ROUNDS = 5
SENDER = bytes.fromhex("8000000001020304")
USERS = """
createUser noAuth
createUser auth-SHA SHA authpass12
createUser SHA-AES SHA authpass12 AES privpass12
createUser SHA-256-AES-256 SHA-256 authpass12 AES-256 privpass12
createUser MD5-DES MD5 authpass12 DES privpass12
"""


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


def read(octets: bytes) -> Notification:
    """As the listener does."""
    return read_plain_trap(octets) or parse_notification(octets)


def both(octets: bytes, mib: Mib) -> None:
    describe(read(octets), mib)


def key_of(user: UsmUser, engine_id: bytes) -> Key:
    if user.priv is not None:
        return PendingKey(user, engine_id).derive()
    return Key() if user.auth is None else auth_key(user, engine_id)


def v3_trap(user: UsmUser, key: Key, engine_id: bytes) -> bytes:
    scoped = encode_scoped(
        engine_id, b"", encode_pdu(Pdu.TRAP_V2, 1, [*about(LINK_DOWN, 1), *LINK])
    )
    return encode_message(Envelope(5, engine_id, 3, 1000, user.name, b"saltsalt"), scoped, key)


def refused_by(usm: Usm, octets: bytes) -> None:
    try:
        usm.open(octets, now=1.0)
    except PeerError:
        return
    raise AssertionError("a message that should be refused was not")


def both_v3(usm: Usm, octets: bytes, mib: Mib) -> None:
    opened = usm.open(octets, now=1.0)
    assert isinstance(opened, Opened)
    describe(opened.notification, mib)


def measure_v3(seconds: float, mib: Mib) -> None:
    users = parse_users(USERS, source="bench")
    usm = Usm(users, Engine(b"\x80\0\0\0\5ourselves", 1, 0.0, 0))
    for user in users:
        octets = v3_trap(user, key_of(user, SENDER), SENDER)
        measure(f"v3 {user.name.decode()}: open", partial(usm.open, octets, now=1.0), seconds)
        if user.priv is not None:
            measure(f"v3 {user.name.decode()}: both", partial(both_v3, usm, octets, mib), seconds)
    user = users[2]
    # Of as many engines in turn as there may be: nothing is in the processor's caches.
    octets_of = [
        v3_trap(user, key_of(user, engine_id), engine_id)
        for engine_id in (SENDER + number.to_bytes(2) for number in range(5000))
    ]
    turns = itertools.cycle(octets_of)
    measure("v3 5 000 engines: open", lambda: usm.open(next(turns), now=1.0), seconds)
    forged = v3_trap(user, Key(user.auth, bytes(20), user.priv, bytes(16)), b"\x80" + bytes(9))
    measure("v3 forged engine ID, refused", partial(refused_by, usm, forged), seconds)
    costly = parse_users("createUser u SHA authpass12 AES-256-C privpass12", source="bench")[0]
    measure("v3 costly key", PendingKey(costly, SENDER).derive, seconds)


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
        measure(f"{name}: parse", partial(read, octets), seconds)
        measure(f"{name}: describe", partial(describe, notification, mib), seconds)
        measure(f"{name}: both", partial(both, octets, mib), seconds)
    measure_v3(seconds, mib)
    small = bytes.fromhex("3082fdfc020101 0400 a782fdf3 020101 020100 020100 3082fde6")
    measure("257 varbinds, refused", lambda: refused(small + b"\x30\5\6\1\0\5\0" * 9286), seconds)
    measure("load the table", lambda: Mib.from_octets(table), seconds)


if __name__ == "__main__":
    main()
