"""Octets as strangers send them: real messages, damaged from a seeded source of chance."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_varbind import WireVarbind

SYSLOG = (
    b'<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [x@1 a="b\\"c"][y@2] m',
    b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
    b"<189>83: *Mar  1 00:01:02.003 UTC: %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
    b"<166>Oct 13 2023 10:01:02 asa : %ASA-6-302013: Built outbound TCP connection 1 for outside",
    b"<14>1 - - - - - - \xef\xbb\xbfonly text",
    b"no PRI at all",
)
_BINDINGS = (
    WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
    WireVarbind("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", b"Gi0/3"),
)
_LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
TRAPS = (
    encode_v1_trap(
        b"public",
        V1Trap(
            enterprise="1.3.6.1.4.1.9.1.1",
            agent_addr="192.0.2.7",
            generic_trap=2,
            specific_trap=0,
            sys_up_time=99,
        ),
        _BINDINGS,
    ),
    encode_v2c_trap(b"public", _LINK_DOWN, _BINDINGS),
    encode_v2c_inform(b"public", _LINK_DOWN, _BINDINGS),
)


def mutated(octets: bytes, dice: random.Random) -> bytes:
    """One damaged copy: octets flipped, removed, doubled, cut, or put in."""
    damaged = bytearray(octets)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(damaged) + 1)
        match dice.randrange(6):
            case 0 if at < len(damaged):
                damaged[at] = dice.randrange(256)
            case 1:
                del damaged[at : at + dice.randint(1, 8)]
            case 2:
                damaged[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                damaged[at:at] = damaged[at : at + 20]
            case 4:
                del damaged[at:]
            case _:
                damaged[at:at] = dice.choice((b"\0", b"\n", b"\xff\xff\xff\xff", b"\x30\x80", b"<"))
    return bytes(damaged)


def nudged(octets: bytes, dice: random.Random) -> bytes:
    """One damaged copy of which much can still be read; not empty."""
    damaged = bytearray(octets)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(damaged))
        match dice.randrange(4):
            case 0:
                damaged[at] = dice.randrange(256)
            case 1:
                damaged[at] ^= 1 << dice.randrange(8)
            case 2:
                del damaged[at : at + dice.randint(1, 3)]
                damaged = damaged or bytearray(b"\x30")
            case _:
                damaged[at:at] = dice.randbytes(dice.randint(1, 3))
    return bytes(damaged)


def mutations(corpus: Sequence[bytes], *, seed: int, count: int) -> Iterator[bytes]:
    """So many damaged messages; the same ones for the same seed."""
    dice = random.Random(seed)
    for _ in range(count):
        yield mutated(dice.choice(corpus), dice)
