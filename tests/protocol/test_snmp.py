"""SNMPv1 and v2c notifications: whole, cut at every length, with junk behind, and mutated."""

from __future__ import annotations

import random

import pytest
from mutations import nudged
from trap_corpus import BAD, CASES, GOOD, Case, shipped_mib

from muttd import errors
from muttd.errors import MalformedTrap, PeerError
from muttd.protocol.snmp import MAX_MESSAGE_OCTETS, parse_notification
from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_text import describe
from muttd.protocol.snmp_varbind import SNMP_TRAP_COMMUNITY, WireVarbind


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_notification_says_what_its_case_expects(case: Case) -> None:
    notification = parse_notification(case.octets)
    text = describe(notification, shipped_mib())
    assert {
        "version": notification.version.name.lower(),
        "pdu": notification.pdu.name,
        "community": notification.community.decode("latin-1"),
        "request_id": notification.request_id,
        "trap_oid": notification.trap_oid,
        "enterprise": notification.enterprise,
        "agent_addr": notification.agent_addr,
        "host_address": notification.host_address,
        "generic_trap": notification.generic_trap,
        "specific_trap": notification.specific_trap,
        "sys_up_time": notification.sys_up_time,
        "severity": shipped_mib().severity_of(notification.trap_oid),
        "message": text.message,
        "varbinds": [list(varbind) for varbind in text.varbinds],
    } == case.expected


@pytest.mark.parametrize("case", BAD, ids=str)
def test_what_is_no_notification_is_refused_by_its_name(case: Case) -> None:
    with pytest.raises(PeerError) as caught:
        parse_notification(case.octets)
    assert type(caught.value) is getattr(errors, case.expected["error"])
    assert str(caught.value) == case.expected["says"]


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_octets_behind_the_message_change_nothing(case: Case) -> None:
    whole = parse_notification(case.octets)
    assert parse_notification(case.octets + b"\x00\x30\xff junk") == whole


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_message_cut_at_any_length_is_malformed(case: Case) -> None:
    for end in range(len(case.octets)):
        with pytest.raises(PeerError):
            parse_notification(case.octets[:end])


def test_octets_from_a_stranger_raise_nothing_but_peer_errors() -> None:
    rng = random.Random(3584)
    mib = shipped_mib()
    # Without the two of several kilobytes: most of their octets are alike.
    originals = [case.octets for case in CASES if len(case.octets) < 1000]
    parsed = 0
    for _ in range(12_000):
        octets = nudged(rng.choice(originals), rng)
        try:
            text = describe(parse_notification(octets), mib)
        except PeerError:
            continue
        assert text.message.isprintable()
        parsed += 1
    assert parsed > 1000


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x84\x00\x00\xff\xf0" + b"\x30\x82\xff\xff" * 16_000,
        b"\x30" * 65_000,
        # One name of 60,000 octets that is never complete.
        bytes.fromhex("3082ea7c 020101 0400 a782ea73 020101 020100 020100 3082ea66 3082ea62")
        + bytes.fromhex("0682ea5e")
        + b"\xff" * 59_998,
        # 13,000 varbinds as small as can be.
        bytes.fromhex("3082fdfc 020101 0400 a782fdf3 020101 020100 020100 3082fde6")
        + bytes.fromhex("3005060100 0500") * 9_286,
    ],
    ids=["nested lengths", "nested identifiers", "endless name", "endless varbinds"],
)
def test_a_datagram_made_to_cost_time_is_refused(octets: bytes) -> None:
    """What each of them costs is printed by bench/stage_traps.py."""
    with pytest.raises(PeerError):
        parse_notification(octets)


def test_a_message_above_64_kib_is_refused() -> None:
    octets = encode_v2c_inform(b"public", "1.3.6.1.6.3.1.1.5.1")
    assert parse_notification(octets.ljust(MAX_MESSAGE_OCTETS, b"\0"))
    with pytest.raises(MalformedTrap, match="too long"):
        parse_notification(octets.ljust(MAX_MESSAGE_OCTETS + 1, b"\0"))


def test_the_community_is_in_no_repr() -> None:
    notification = parse_notification(encode_v1_trap(b"s3cret-c0mmunity", V1Trap()))
    assert notification.community == b"s3cret-c0mmunity"
    assert "s3cret" not in repr(notification)
    assert "s3cret" not in f"{notification}"


def test_the_community_is_in_no_error() -> None:
    octets = encode_v2c_inform(b"s3cret", "1.3.6.1.6.3.1.1.5.1").replace(b"\xa6", b"\xa0", 1)
    with pytest.raises(MalformedTrap) as caught:
        parse_notification(octets)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("agent_addr", "host"), [("192.0.2.1", "192.0.2.1"), ("0.0.0.0", None)])
def test_the_agent_is_the_host_unless_its_address_is_zero(
    agent_addr: str, host: str | None
) -> None:
    notification = parse_notification(encode_v1_trap(b"public", V1Trap(agent_addr=agent_addr)))
    assert notification.agent_addr == agent_addr
    assert notification.host_address == host


@pytest.mark.parametrize("name", [SNMP_TRAP_COMMUNITY, SNMP_TRAP_COMMUNITY.removesuffix(".0")])
def test_communities_among_the_varbinds_are_told_apart(name: str) -> None:
    varbinds = [WireVarbind(name, "OCTET STRING", b"s3cret"), WireVarbind(name, "INTEGER", 5)]
    v1 = encode_v1_trap(b"public", V1Trap(), varbinds)
    for octets in (v1, encode_v2c_trap(b"public", "1.3.6.1.6.3.1.1.5.1", varbinds)):
        assert parse_notification(octets).trap_communities == (b"s3cret",)
    assert parse_notification(encode_v1_trap(b"public", V1Trap())).trap_communities == ()
