"""The SNMPv3 message: its header, its security parameters and its scoped PDU, read and written.

    SEQUENCE                                                        RFC 3412, 6
      INTEGER 3                                                     msgVersion
      SEQUENCE  msgID  msgMaxSize  msgFlags  msgSecurityModel       msgGlobalData
      OCTET STRING of                                               RFC 3414, 2.4
        SEQUENCE  engine ID  boots  time  user name  MAC  salt      msgSecurityParameters
      SEQUENCE  contextEngineID  contextName  PDU                   ScopedPDU: msgData in the clear,
      OCTET STRING                                                  or encrypted

No key is used here: what the octets say, not whether it is true. That is usm.py's.
"""

from __future__ import annotations

from typing import NamedTuple

from muttd.errors import MalformedTrap, RefusedTrap
from muttd.protocol.ber import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    encode_element,
    encode_integer,
    read_element,
    read_integer,
)
from muttd.protocol.snmp import MAX_MESSAGE_OCTETS, Version
from muttd.protocol.usm_crypto import (
    SALT_OCTETS,
    AuthProtocol,
    PrivProtocol,
    encrypt,
    mac,
)

# msgFlags (RFC 3412, 6.4).
AUTH = 1
PRIV = 2
REPORTABLE = 4
LEVEL = AUTH | PRIV
# By the level of msgFlags; privacy without authentication is none (RFC 3412, 7.2 (5) d).
LEVEL_NAMES = {0: "noAuthNoPriv", AUTH: "authNoPriv", AUTH | PRIV: "authPriv"}

# INTEGER (0..2147483647) of the ASN.1 in both RFCs.
MAX_INT = 2**31 - 1
_USM = 3
_MAX_USER_OCTETS = 32
_LONG_SEQUENCES = (b"\x30\x81", b"\x30\x82")
# msgVersion, and the identifier of msgGlobalData.
_VERSION_AND_GLOBAL = b"\x02\x01\x03\x30"
# Identifiers in msgSecurityParameters.
_PARAMETERS = bytes((OCTET_STRING, INTEGER, INTEGER, OCTET_STRING, OCTET_STRING, OCTET_STRING))
# What we take, as we say it in every message of ours.
_OUR_MAX_SIZE = 65_507


class V3Message(NamedTuple):
    """One SNMPv3 message, its data still closed.

    Attributes:
        msg_id: By which a sender knows our answer.
        flags: msgFlags.
        engine_id: msgAuthoritativeEngineID; any length.
        engine_boots, engine_time: Of that engine, as the sender believes; 0 to 2**31-1.
        user_name: msgUserName, at most 32 octets.
        mac_at, mac: msgAuthenticationParameters, and where its content begins.
        salt: msgPrivacyParameters.
        data_at: Where msgData begins.
        end: Where the message ends.
    """

    msg_id: int
    flags: int
    engine_id: bytes
    engine_boots: int
    engine_time: int
    user_name: bytes
    mac_at: int
    mac: bytes
    salt: bytes
    data_at: int
    end: int


class Key(NamedTuple):
    """What one user at one engine authenticates and encrypts with; in no repr.

    Attributes:
        auth, auth_key: None and empty for noAuthNoPriv.
        priv, priv_key: None and empty unless authPriv.
    """

    auth: AuthProtocol | None = None
    auth_key: bytes = b""
    priv: PrivProtocol | None = None
    priv_key: bytes = b""

    def __repr__(self) -> str:
        return f"Key({self.auth}, {self.priv})"


class Envelope(NamedTuple):
    """What a message of ours says on its outside; as V3Message."""

    msg_id: int
    engine_id: bytes
    engine_boots: int
    engine_time: int
    user_name: bytes
    salt: bytes = b""
    is_reportable: bool = False


def is_v3(octets: bytes) -> bool:
    """Whether a datagram says that it is SNMPv3. Whatever cannot be read says no.

    Cost: 0.2 us; the two forms of a length that agents use, and no other.
    """
    at = 2 + (octets[1] & 0x7F if octets[1:2] > b"\x80" else 0)
    return octets.startswith(b"\x02\x01\x03", at)


def parse_message(octets: bytes) -> V3Message:
    """Parse the outside of one SNMPv3 message.

    Args:
        octets: One datagram. What follows the message in it is ignored.

    Raises:
        MalformedBer: Not BER, or not the structure of a message.
        MalformedTrap: A field is out of its range.
        RefusedTrap: Another security model than USM.

    Source: RFC 3412, 7.2; RFC 3414, 3.2 (1) and (2).
    """
    if len(octets) > MAX_MESSAGE_OCTETS:
        raise MalformedTrap("message is too long", at=MAX_MESSAGE_OCTETS, source="RFC 3417, 3.2")
    plain = _read_plain(octets)
    if plain is not None:
        return plain
    at, end = read_element(octets, 0, len(octets), SEQUENCE)
    version, at = read_integer(octets, at, end)
    if version != Version.V3:
        raise MalformedTrap(f"SNMP version {version} is not 3", at=at, source="RFC 3412, 6.1")
    msg_id, flags, at = _read_global(octets, at, end)
    start, data_at = read_element(octets, at, end, OCTET_STRING)

    at, stop = read_element(octets, start, data_at, SEQUENCE)
    start, at = read_element(octets, at, stop, OCTET_STRING)
    engine_id = octets[start:at]
    boots, at = _read_number(octets, at, stop)
    time, at = _read_number(octets, at, stop)
    start, at = read_element(octets, at, stop, OCTET_STRING)
    user_name = octets[start:at]
    if len(user_name) > _MAX_USER_OCTETS:
        raise MalformedTrap("msgUserName is too long", at=start, source="RFC 3414, 2.4")
    mac_at, at = read_element(octets, at, stop, OCTET_STRING)
    start, salt_end = read_element(octets, at, stop, OCTET_STRING)
    return V3Message(
        msg_id,
        flags,
        engine_id,
        boots,
        time,
        user_name,
        mac_at,
        octets[mac_at:at],
        octets[start:salt_end],
        data_at,
        end,
    )


def _read_plain(octets: bytes) -> V3Message | None:
    """The outside of a message as nearly everybody writes it, in half of the time.

    That is with lengths of one octet, but for that of the message, which ends with the datagram.
    None for what is written otherwise, or at fault: then all of it is read again.
    """
    end = len(octets)
    try:
        at = 3 if octets[1] == 0x81 else 4
        length = octets[2] if at == 3 else octets[2] << 8 | octets[3]
        if octets[:2] not in _LONG_SEQUENCES or at + length != end:
            return None
        # What is past its end is no such element, or ends where it must not.
        stop = at + 5 + octets[at + 4]
        id_at = at + 7
        size_at = id_at + octets[at + 6]
        flags_at = size_at + 2 + octets[size_at + 1]
        flags = octets[flags_at + 2]
        if (
            octets[at : at + 4] != _VERSION_AND_GLOBAL
            or octets[at + 5] != INTEGER
            or octets[size_at] != INTEGER
            or octets[flags_at : flags_at + 2] != b"\x04\x01"
            or octets[flags_at + 3 : stop] != b"\x02\x01\x03"
            or flags & LEVEL not in LEVEL_NAMES
            or octets[stop] != OCTET_STRING
            or octets[stop + 1] > 0x7F
            or octets[stop + 2] != SEQUENCE
            or octets[stop + 3] + 2 != octets[stop + 1]
        ):
            return None
        head = octets[id_at:size_at], octets[size_at + 2 : flags_at], flags
        return _read_plain_parameters(octets, stop, head)
    except IndexError:
        return None


def _read_plain_parameters(
    octets: bytes, at: int, head: tuple[bytes, bytes, int]
) -> V3Message | None:
    """The rest of what _read_plain() reads; `head` is msgID, msgMaxSize and msgFlags."""
    data_at = at + 2 + octets[at + 1]
    at += 4
    parts = []
    for identifier in _PARAMETERS:
        start = at + 2
        if octets[at] != identifier:
            return None
        at = start + octets[at + 1]
        parts.append(octets[start:at])
    engine_id, boots, time, user_name, mac, salt = parts
    msg_id, max_size, flags = head
    if at != data_at or at > len(octets) or len(user_name) > _MAX_USER_OCTETS:
        return None
    for number in (msg_id, max_size, boots, time):
        # Of four octets at most, and not negative.
        if not 0 < len(number) <= 4 or number[0] > 0x7F:
            return None
    return V3Message(
        int.from_bytes(msg_id),
        flags,
        engine_id,
        int.from_bytes(boots),
        int.from_bytes(time),
        user_name,
        at - len(salt) - 2 - len(mac),
        mac,
        salt,
        at,
        len(octets),
    )


def _read_global(octets: bytes, at: int, end: int) -> tuple[int, int, int]:
    """msgGlobalData: (msgID, msgFlags, where it ends)."""
    at, end = read_element(octets, at, end, SEQUENCE)
    msg_id, at = _read_number(octets, at, end)
    # msgMaxSize: what we answer with is about as long as what was sent, or much shorter.
    _, at = _read_number(octets, at, end)
    start, at = read_element(octets, at, end, OCTET_STRING)
    if at - start != 1:
        raise MalformedTrap("msgFlags is not one octet", at=start, source="RFC 3412, 6.4")
    flags = octets[start]
    if flags & LEVEL not in LEVEL_NAMES:
        raise MalformedTrap("privacy without authentication", at=start, source="RFC 3412, 7.2 (5)")
    model, _ = _read_number(octets, at, end)
    if model != _USM:
        raise RefusedTrap("security model is not USM", at=at, source="RFC 3412, 7.2 (4)")
    return msg_id, flags, end


def _read_number(octets: bytes, at: int, end: int) -> tuple[int, int]:
    number, stop = read_integer(octets, at, end)
    if not 0 <= number <= MAX_INT:
        raise MalformedTrap("number is not within 0 to 2**31-1", at=at, source="RFC 3412, 6")
    return number, stop


def read_scoped(octets: bytes, at: int, end: int) -> tuple[bytes, bytes, int, int]:
    """Read the head of a ScopedPDU.

    Returns:
        (contextEngineID, contextName, at, end): the PDU is within octets[at:end].

    Raises:
        MalformedBer: It is none.

    Source: RFC 3412, 6.8.
    """
    at, end = read_element(octets, at, end, SEQUENCE)
    start, at = read_element(octets, at, end, OCTET_STRING)
    engine_id = octets[start:at]
    start, at = read_element(octets, at, end, OCTET_STRING)
    return engine_id, octets[start:at], at, end


def encode_scoped(context_engine_id: bytes, context_name: bytes, pdu: bytes) -> bytes:
    """One ScopedPDU."""
    context = encode_element(OCTET_STRING, context_engine_id)
    return encode_element(SEQUENCE, context + encode_element(OCTET_STRING, context_name) + pdu)


def encode_message(envelope: Envelope, scoped: bytes, key: Key) -> bytes:
    """One SNMPv3 message, encrypted and authenticated as far as the key goes.

    Args:
        envelope: Its salt must be new for every message that is encrypted.
        scoped: As encode_scoped() makes it.
        key: Its level is the level of the message.

    Source: RFC 3414, 3.1 (8).
    """
    flags = REPORTABLE if envelope.is_reportable else 0
    salt = data = b""
    if key.priv is not None:
        flags |= PRIV
        salt = envelope.salt[:SALT_OCTETS]
        engine = (envelope.engine_boots, envelope.engine_time)
        data = encode_element(OCTET_STRING, encrypt(key.priv, key.priv_key, engine, salt, scoped))
    else:
        data = scoped
    mac_octets = 0
    if key.auth is not None:
        flags |= AUTH
        mac_octets = key.auth.mac_octets
    tail = encode_element(OCTET_STRING, salt)
    parameters = (
        encode_element(OCTET_STRING, envelope.engine_id)
        + encode_integer(envelope.engine_boots)
        + encode_integer(envelope.engine_time)
        + encode_element(OCTET_STRING, envelope.user_name)
        + encode_element(OCTET_STRING, bytes(mac_octets))
        + tail
    )
    head = (
        encode_integer(envelope.msg_id)
        + encode_integer(_OUR_MAX_SIZE)
        + encode_element(OCTET_STRING, bytes([flags]))
        + encode_integer(_USM)
    )
    whole = encode_element(
        SEQUENCE,
        encode_integer(Version.V3)
        + encode_element(SEQUENCE, head)
        + encode_element(OCTET_STRING, encode_element(SEQUENCE, parameters))
        + data,
    )
    if key.auth is None:
        return whole
    # Over the message with zeros in the place of the MAC (RFC 3414, 6.3.1).
    end = len(whole) - len(data) - len(tail)
    digest = mac(key.auth, key.auth_key, whole)
    return whole[: end - mac_octets] + digest + whole[end:]
