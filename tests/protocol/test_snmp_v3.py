"""The outside of SNMPv3 messages: whole, cut at every length, with junk behind, out of range."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usm_corpus import CASES, SENDER, Case, key_of, scoped_of, trap_of, user_of

from muttd.errors import MalformedBer, MalformedTrap, PeerError, RefusedTrap
from muttd.protocol.ber import encode_element, encode_integer
from muttd.protocol.snmp import MAX_MESSAGE_OCTETS
from muttd.protocol.snmp_encode import encode_v2c_trap
from muttd.protocol.snmp_v3 import (
    MAX_INT,
    Envelope,
    Key,
    _read_plain,
    encode_message,
    is_v3,
    parse_message,
    read_scoped,
)

NOBODY = user_of("nobody")
BOTH = user_of("both SHA authpass12 AES privpass12")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_message_of_net_snmp_is_read(case: Case) -> None:
    assert is_v3(case.octets)
    message = parse_message(case.octets)
    assert message.engine_id == SENDER
    assert message.user_name.decode() == case.expected["security_name"]
    assert message.end == len(case.octets)
    assert case.octets[message.mac_at :].startswith(message.mac)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_octets_behind_the_message_change_nothing(case: Case) -> None:
    assert parse_message(case.octets + b"\x00\x30\xff junk") == parse_message(case.octets)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_message_cut_at_any_length_is_malformed(case: Case) -> None:
    for end in range(len(case.octets)):
        with pytest.raises(PeerError):
            parse_message(case.octets[:end])
        is_v3(case.octets[:end])


def test_only_snmpv3_is_snmpv3() -> None:
    assert not is_v3(encode_v2c_trap(b"public", "1.3.6.1.6.3.1.1.5.1"))
    assert not is_v3(b"")
    assert not is_v3(b"\x30")
    assert is_v3(bytes.fromhex("3082000302010300"))
    assert is_v3(bytes.fromhex("30840000000302010300"))


def test_what_was_written_is_read() -> None:
    for user in (NOBODY, user_of("auth SHA-512 authpass12"), BOTH):
        message = parse_message(trap_of(user, clock=(3, 4), is_reportable=True))
        assert (message.engine_id, message.engine_boots, message.engine_time) == (SENDER, 3, 4)
        assert (message.msg_id, message.user_name) == (5, user.name)
        assert message.flags == user.level | 4
        assert len(message.salt) == (8 if user.priv else 0)


def test_a_long_message_has_its_mac_in_its_place() -> None:
    """Lengths of several octets move everything; the MAC is found from the end."""
    key = key_of(BOTH, SENDER)
    envelope = Envelope(MAX_INT, SENDER, MAX_INT, MAX_INT, b"u" * 32, b"saltsalt")
    octets = encode_message(envelope, b"\x30\x82\x01\x00" + bytes(256), key)
    message = parse_message(octets)
    assert len(message.mac) == 12
    assert any(message.mac)
    assert message.salt == b"saltsalt"


def test_no_key_is_in_a_repr() -> None:
    key = key_of(BOTH, SENDER)
    assert key.auth_key.hex() not in repr(key)
    assert repr(Key()) == "Key(None, None)"


def message_with(
    *,
    version: int = 3,
    numbers: tuple[int, int, int] = (5, 1000, 3),
    flags: bytes = b"\0",
    clock: tuple[int, int] = (1, 2),
    user_name: bytes = b"nobody",
) -> bytes:
    """A message with one field out of order."""
    msg_id, max_size, model = map(encode_integer, numbers)
    head = encode_element(0x30, msg_id + max_size + encode_element(4, flags) + model)
    clock_octets = b"".join(map(encode_integer, clock))
    names = encode_element(4, SENDER) + clock_octets + encode_element(4, user_name)
    parameters = encode_element(4, encode_element(0x30, names + encode_element(4, b"") * 2))
    whole = encode_integer(version) + head + parameters + scoped_of(SENDER)
    return encode_element(0x30, whole)


def test_the_longest_and_the_largest_are_read() -> None:
    octets = message_with(
        numbers=(MAX_INT, MAX_INT, 3), clock=(MAX_INT, MAX_INT), user_name=b"u" * 32
    )
    message = parse_message(octets)
    assert (message.msg_id, message.engine_boots) == (MAX_INT, MAX_INT)
    assert parse_message(octets.ljust(MAX_MESSAGE_OCTETS, b"\0")) == message


@pytest.mark.parametrize(
    ("octets", "error", "says"),
    [
        (message_with(version=2), MalformedTrap, "version 2 is not 3"),
        (message_with(numbers=(-1, 1000, 3)), MalformedTrap, "not within"),
        (message_with(numbers=(5, 2**31, 3)), MalformedTrap, "not within"),
        (message_with(numbers=(2**200, 0, 3)), MalformedBer, "too many octets"),
        (message_with(numbers=(5, 1000, 2)), RefusedTrap, "not USM"),
        (message_with(flags=b""), MalformedTrap, "msgFlags"),
        (message_with(flags=b"\0\0"), MalformedTrap, "msgFlags"),
        (message_with(flags=b"\2"), MalformedTrap, "privacy without authentication"),
        (message_with(clock=(-1, 0)), MalformedTrap, "not within"),
        (message_with(user_name=b"u" * 33), MalformedTrap, "msgUserName"),
        (message_with().ljust(MAX_MESSAGE_OCTETS + 1, b"\0"), MalformedTrap, "too long"),
    ],
)
def test_a_field_out_of_its_range_is_malformed(
    octets: bytes, error: type[PeerError], says: str
) -> None:
    with pytest.raises(PeerError, match=says) as caught:
        parse_message(octets)
    assert type(caught.value) is error


def test_a_scoped_pdu_is_opened() -> None:
    scoped = scoped_of(SENDER)
    engine_id, name, at, end = read_scoped(scoped, 0, len(scoped))
    assert (engine_id, name) == (SENDER, b"ctx")
    assert scoped[at] == 0xA7
    assert end == len(scoped)
    for cut in range(at):
        with pytest.raises(MalformedBer):
            read_scoped(scoped[:cut], 0, cut)


def agrees(octets: bytes) -> bool:
    """Whether the plain reader says anything; it is what the general one says, or the test fails.

    With an octet behind it no message is plain.
    """
    plain = _read_plain(octets)
    if plain is None:
        return False
    assert _read_plain(octets + b"\0") is None
    assert plain == parse_message(octets + b"\0")
    return True


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_net_snmp_writes_is_plain(case: Case) -> None:
    assert agrees(case.octets)
    for end in range(len(case.octets)):
        assert not agrees(case.octets[:end])


_ELEMENT_AT = st.integers(0, 11)
_CHANGED = st.sampled_from([b"", b"\2\0", b"\2\1\x80", b"\2\5\0\0\0\0\1", b"\4\x21" + b"u" * 33])
_LIMITS = st.sampled_from([0, 1, 127, 128, 65_507, MAX_INT, MAX_INT + 1, 2**32])


@given(
    st.lists(_LIMITS, min_size=4, max_size=4),
    st.integers(0, 7),
    st.sampled_from([3, 3, 3, 2]),
    st.binary(max_size=40),
    st.sampled_from([0, 1, 31, 32, 33]),
    st.sampled_from([0, 12, 48]),
    st.dictionaries(_ELEMENT_AT, _CHANGED, max_size=1),
    st.sampled_from([0, 1, 100, 300]),
)
def test_made_messages_are_read_alike_or_not_at_all(
    numbers: list[int],
    flags: int,
    model: int,
    engine_id: bytes,
    user_octets: int,
    mac_octets: int,
    changed: dict[int, bytes],
    data_octets: int,
) -> None:
    msg_id, max_size, boots, time = map(encode_integer, numbers)
    elements = [
        *(b"\2\1\3", msg_id, max_size, encode_element(4, bytes([flags])), encode_integer(model)),
        *(encode_element(4, engine_id), boots, time, encode_element(4, b"u" * user_octets)),
        *(encode_element(4, bytes(mac_octets)), encode_element(4, b"saltsalt"), b""),
    ]
    for at, octets in changed.items():
        elements[at] = octets
    version, msg_id, max_size, flag_octets, model_octets, *parameters = elements
    head = encode_element(0x30, msg_id + max_size + flag_octets + model_octets)
    security = encode_element(4, encode_element(0x30, b"".join(parameters)))
    agrees(encode_element(0x30, version + head + security + encode_element(4, bytes(data_octets))))


def test_mutated_messages_are_read_alike_or_not_at_all() -> None:
    rng = random.Random(3412)
    originals = [trap_of(user) for user in (NOBODY, BOTH, user_of("auth SHA-512 authpass12"))]
    read = 0
    for _ in range(20_000):
        octets = bytearray(rng.choice(originals))
        # All that is read of it is in front.
        at = rng.randrange(min(len(octets), 90))
        match rng.randrange(4):
            case 0:
                octets[at] = rng.randrange(256)
            case 1:
                octets[at] ^= 1 << rng.randrange(8)
            case 2:
                del octets[at]
                octets[2] -= octets[1] == 0x81
            case _:
                octets.insert(at, rng.randrange(256))
                octets[2] += octets[1] == 0x81 and octets[2] < 0xFF
        read += agrees(bytes(octets))
    assert 1000 < read < 19_000
