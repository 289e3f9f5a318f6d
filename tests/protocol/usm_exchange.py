"""Users, and what a test sends to a Usm and reads of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from usm_corpus import (
    OURS,
    SENDER,
    key_of,
    opened_by,
    user_of,
)

from muttd.errors import (
    RefusedByUsm,
)
from muttd.protocol.ber import encode_element, encode_integer, read_header
from muttd.protocol.snmp_encode import encode_pdu
from muttd.protocol.snmp_v3 import (
    Envelope,
    Key,
    V3Message,
    encode_message,
    encode_scoped,
    parse_message,
    read_scoped,
)
from muttd.protocol.snmp_varbind import WireVarbind, read_varbinds
from muttd.protocol.usm import Usm
from muttd.protocol.usm_crypto import AuthProtocol, PrivProtocol, decrypt, mac
from muttd.protocol.usm_users import UsmUser

NOBODY = user_of("nobody")


AUTH = user_of("auth SHA authpass12")


BOTH = user_of("both SHA authpass12 AES privpass12")


CISCO = user_of("cisco MD5 authpass12 AES-256-C privpass12")


EVERY_USER = [
    user_of(f"u {auth.label} authpass12 {priv.label} privpass12")
    for auth in AuthProtocol
    for priv in PrivProtocol
]


def label_of(user: UsmUser) -> str:
    return "-".join(each.label for each in (user.auth, user.priv) if each)


_KEYS: dict[str, Key] = {}


def key_of_cached(user: UsmUser) -> Key:
    return _KEYS.setdefault(label_of(user), key_of(user, SENDER))


def data_of(message: V3Message, octets: bytes, key: Key) -> bytes:
    """The ScopedPDU of a message of ours, its MAC checked as its receiver does."""
    if key.auth is not None:
        blank = octets.replace(message.mac, bytes(len(message.mac)))
        assert mac(key.auth, key.auth_key, blank) == message.mac
    if key.priv is None or not message.flags & 2:
        return octets[message.data_at : message.end]
    _, start, stop = read_header(octets, message.data_at, message.end)
    engine = (message.engine_boots, message.engine_time)
    return decrypt(key.priv, key.priv_key, engine, message.salt, octets[start:stop])


def refused(usm: Usm, octets: bytes, kind: type[RefusedByUsm], *, now: float = 1000.0) -> Any:
    """The error; counted once and nowhere else."""
    before = dict(usm.stats)
    with pytest.raises(RefusedByUsm) as caught:
        opened_by(usm, octets, now=now)
    assert type(caught.value) is kind
    before[kind.counter] += 1
    assert usm.stats == before
    return caught.value


def report_of(octets: bytes | None, key: Key = Key()) -> tuple[V3Message, int, WireVarbind]:  # noqa: B008 -- frozen
    """(message, request-id, varbind) of a Report."""
    assert octets is not None
    message = parse_message(octets)
    assert message.flags == (1 if key.auth else 0)
    scoped = data_of(message, octets, key)
    engine_id, name, at, end = read_scoped(scoped, 0, len(scoped))
    assert (engine_id, name) == (OURS, b"")
    identifier, at, end = read_header(scoped, at, end)
    assert identifier == 0xA8
    _, start, stop = read_header(scoped, at, end)
    request_id = int.from_bytes(scoped[start:stop], signed=True)
    assert scoped[stop : stop + 6] == b"\x02\x01\x00\x02\x01\x00"
    _, at, end = read_header(scoped, stop + 6, end)
    [varbind], _ = read_varbinds(scoped, at, end)
    return message, request_id, varbind


def probe_of(engine_id: bytes = b"", user_name: bytes = b"", request_id: int = 99) -> bytes:
    """What a sender asks who does not know our engine ID (RFC 3414, 4)."""
    envelope = Envelope(31, engine_id, 0, 0, user_name, is_reportable=True)
    pdu = encode_pdu(0xA0, request_id, [])
    return encode_message(envelope, encode_scoped(b"", b"", pdu), Key())


def resealed(user: UsmUser, data: bytes, *, salt: bytes = b"saltsalt") -> bytes:
    """An authentic message whose encrypted data are these octets, or which are in the clear."""
    key = key_of(user, SENDER)
    envelope = Envelope(5, SENDER, 1, 0, user.name, salt)
    plain = encode_message(envelope, data, Key())
    message = parse_message(plain)
    names = (
        encode_element(4, SENDER)
        + encode_integer(1)
        + encode_integer(0)
        + encode_element(4, user.name)
        + encode_element(4, bytes(12))
        + encode_element(4, salt)
    )
    head = encode_integer(5) + encode_integer(1000) + encode_element(4, b"\3") + encode_integer(3)
    whole = encode_element(
        0x30,
        encode_integer(3)
        + encode_element(0x30, head)
        + encode_element(4, encode_element(0x30, names))
        + plain[message.data_at :],
    )
    assert key.auth is not None
    return whole.replace(bytes(12), mac(key.auth, key.auth_key, whole), 1)
