"""The cases of tests/corpus/usm: SNMPv3 messages as net-snmp's snmptrap sends them, and its users.

input.hex holds the datagram; expected.json what the notification says. The passphrases are
authpass12 and privpass12, the engine ID is 8000000001020304.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muttd.protocol.snmp import Pdu
from muttd.protocol.snmp_encode import about, encode_pdu
from muttd.protocol.snmp_v3 import Envelope, Key, encode_message, encode_scoped
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm import Engine, Opened, Usm
from muttd.protocol.usm_crypto import localised
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser, parse_users

_CORPUS = Path(__file__).parent.parent / "corpus" / "usm"

SENDER = bytes.fromhex("8000000001020304")
OURS = bytes.fromhex("8000000005") + b"ourselves..."
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
# Our clock: started at 1000, boots 7.
ENGINE = Engine(OURS, boots=7, started_at=1000.0, first_salt=2**64 - 2)


@dataclass(frozen=True, slots=True)
class Case:
    """One directory of the corpus."""

    name: str
    octets: bytes
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def _read(folder: Path) -> Case:
    octets = bytes.fromhex((folder / "input.hex").read_text())
    return Case(folder.name, octets, json.loads((folder / "expected.json").read_text()))


CASES = [_read(folder) for folder in sorted(_CORPUS.iterdir()) if folder.is_dir()]


@functools.cache
def corpus_users() -> tuple[UsmUser, ...]:
    """Those who sent the corpus."""
    return tuple(parse_users((_CORPUS / "users.conf").read_text(), source="users.conf"))


@functools.cache
def user_of(line: str) -> UsmUser:
    """The user of one createUser line."""
    [user] = parse_users(f"createUser {line}", source="test")
    return user


def usm_of(*users: UsmUser) -> Usm:
    """A Usm that knows these users, or those of the corpus."""
    return Usm(users or corpus_users(), ENGINE)


def key_of(user: UsmUser, engine_id: bytes) -> Key:
    """What the user secures a message with at this engine."""
    if user.auth is None:
        return Key()
    if user.priv is None:
        return Key(user.auth, localised(user.auth, user.auth_key, engine_id))
    return PendingKey(user, engine_id).derive()


def scoped_of(
    engine_id: bytes, *, pdu: Pdu = Pdu.TRAP_V2, varbinds: tuple[WireVarbind, ...] = ()
) -> bytes:
    """A ScopedPDU with a linkDown."""
    whole = encode_pdu(pdu, 77, [*about(LINK_DOWN, 372_345), *varbinds])
    return encode_scoped(engine_id, b"ctx", whole)


def trap_of(
    user: UsmUser, engine_id: bytes = SENDER, clock: tuple[int, int] = (1, 0), **more: Any
) -> bytes:
    """A linkDown as that user at that engine sends it; `more` goes into the Envelope."""
    envelope = Envelope(5, engine_id, *clock, user.name, b"saltsalt", **more)
    return encode_message(envelope, scoped_of(engine_id), key_of(user, engine_id))


def inform_of(user: UsmUser, engine_id: bytes = OURS, clock: tuple[int, int] = (7, 0)) -> bytes:
    """An inform to the engine that is named; to us unless another one is."""
    envelope = Envelope(5, engine_id, *clock, user.name, b"saltsalt", is_reportable=True)
    return encode_message(envelope, scoped_of(engine_id, pdu=Pdu.INFORM), key_of(user, engine_id))


def opened_by(usm: Usm, octets: bytes, *, now: float = 1000.0) -> Opened:
    """What is in it; a costly key is learned on the way."""
    opened = usm.open(octets, now=now)
    if isinstance(opened, PendingKey):
        usm.learn(opened, opened.derive())
        opened = usm.open(octets, now=now)
    assert isinstance(opened, Opened)
    return opened
