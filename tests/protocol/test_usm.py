"""USM: who is believed, who is refused and by which counter, who is told what (RFC 3414, 3.2)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from mutations import nudged
from usm_corpus import (
    CASES,
    LINK_DOWN,
    OURS,
    SENDER,
    Case,
    inform_of,
    key_of,
    opened_by,
    scoped_of,
    trap_of,
    user_of,
    usm_of,
)
from usm_exchange import (
    AUTH,
    BOTH,
    CISCO,
    EVERY_USER,
    NOBODY,
    data_of,
    key_of_cached,
    label_of,
    probe_of,
    refused,
    report_of,
    resealed,
)

from muttd.errors import (
    DecryptionError,
    MalformedBer,
    MalformedTrap,
    NotInTimeWindow,
    PeerError,
    UnknownEngineId,
    UnknownUserName,
    UnsupportedSecurityLevel,
    WrongDigest,
)
from muttd.protocol import usm as usm_module
from muttd.protocol.ber import encode_element, encode_integer, read_header
from muttd.protocol.snmp import Pdu, Version
from muttd.protocol.snmp_v3 import (
    Envelope,
    Key,
    encode_message,
    encode_scoped,
    parse_message,
    read_scoped,
)
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trap_of_net_snmp_says_what_its_case_expects(case: Case) -> None:
    notification = opened_by(usm_of(), case.octets).notification
    security = notification.security
    assert security is not None
    assert notification.version is Version.V3
    assert {
        "security_name": security.security_name,
        "security_level": security.security_level,
        "engine_id": security.engine_id.hex(),
        "context_name": security.context_name,
        "pdu": notification.pdu.name,
        "trap_oid": notification.trap_oid,
        "sys_up_time": notification.sys_up_time,
        "varbinds": [
            [name, syntax, value.decode() if isinstance(value, bytes) else value]
            for name, syntax, value in notification.varbinds
        ],
    } == case.expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_octets_behind_the_message_change_nothing(case: Case) -> None:
    whole = opened_by(usm_of(), case.octets)
    assert opened_by(usm_of(), case.octets + b"\x00\x30\xff junk") == whole


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_message_cut_at_any_length_is_refused(case: Case) -> None:
    usm = usm_of()
    for end in range(len(case.octets)):
        with pytest.raises(PeerError):
            usm.open(case.octets[:end], now=1000.0)
    assert usm.known == (0, 0)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "nobody"], ids=str)
def test_a_single_changed_bit_is_refused(case: Case) -> None:
    """Not a bit of an authentic message may change but those that say how long a thing is."""
    usm = usm_of()
    for at in range(len(case.octets)):
        damaged = bytearray(case.octets)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(PeerError):
            usm.open(bytes(damaged), now=1000.0)
    assert usm.known == (0, 0)


def test_octets_from_a_stranger_raise_nothing_but_peer_errors() -> None:
    rng = random.Random(3414)
    usm = usm_of()
    originals = [case.octets for case in CASES]
    opened = 0
    reports = []
    for _ in range(12_000):
        octets = nudged(rng.choice(originals), rng)
        try:
            usm.open(octets, now=1000.0)
        except PeerError as exc:
            reports.append(getattr(exc, "report", None))
        else:
            opened += 1
    assert {parse_message(report).engine_id for report in reports if report} == {OURS}
    # Those of the user without a key.
    assert opened > 10


def test_authentic_octets_raise_nothing_but_peer_errors() -> None:
    """Who has the keys may still send rubbish inside."""
    rng = random.Random(3826)
    usm = usm_of(AUTH, BOTH)
    scoped = scoped_of(SENDER)
    raised = set()
    for _ in range(6000):
        damaged = bytearray(scoped)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        user = rng.choice((AUTH, BOTH))
        flags: dict[str, Any] = {"is_reportable": rng.random() < 0.5}
        envelope = Envelope(5, SENDER, 1, 0, user.name, b"saltsalt", **flags)
        try:
            usm.open(encode_message(envelope, bytes(damaged), key_of_cached(user)), now=1000.0)
        except PeerError as exc:
            raised.add(type(exc))
    assert {DecryptionError, MalformedBer, MalformedTrap} <= raised


@pytest.mark.parametrize("user", [NOBODY, AUTH, *EVERY_USER], ids=label_of)
def test_a_trap_of_any_engine_is_opened(user: UsmUser) -> None:
    usm = usm_of(user)
    for engine_id in (SENDER, b"\x80" + bytes(4), b"\x80" + bytes(31)):
        notification = opened_by(usm, trap_of(user, engine_id)).notification
        assert notification.trap_oid == LINK_DOWN
        assert notification.security is not None
        assert notification.security.engine_id == engine_id
        assert notification.security.context_name == "ctx"
    assert usm.known == ((3, 3) if user.auth else (0, 0))
    assert set(usm.stats.values()) == {0}


@pytest.mark.parametrize("user", [NOBODY, AUTH, *EVERY_USER], ids=label_of)
def test_an_inform_is_answered_at_its_level(user: UsmUser) -> None:
    usm = usm_of(user)
    inform = inform_of(user)
    opened = opened_by(usm, inform)
    answers = [usm.encode_response(opened, now=1060.0) for _ in range(3)]
    # Of three, two bear salts on either side of where the counter begins anew.
    salts = {parse_message(answer).salt for answer in answers}
    assert len(salts) == (3 if user.priv else 1)
    message = parse_message(answers[0])
    assert (message.msg_id, message.flags, message.user_name) == (5, user.level, user.name)
    assert (message.engine_id, message.engine_boots, message.engine_time) == (OURS, 7, 60)
    scoped = data_of(message, answers[0], key_of(user, OURS))
    engine_id, name, at, end = read_scoped(scoped, 0, len(scoped))
    assert (engine_id, name) == (OURS, b"ctx")
    identifier, _, _ = read_header(scoped, at, end)
    assert identifier == 0xA2
    # The PDU of the inform, but for its identifier.
    expected = scoped_of(OURS, pdu=Pdu.INFORM)
    assert scoped[at + 1 : end] == expected[at + 1 :]


def test_only_an_inform_is_answered() -> None:
    usm = usm_of(AUTH)
    opened = opened_by(usm, trap_of(AUTH))
    with pytest.raises(ValueError, match="only an Inform"):
        usm.encode_response(opened, now=1000.0)


@pytest.mark.parametrize("engine_id", [b"", b"abcd", b"x" * 33, SENDER])
def test_who_asks_for_our_engine_id_is_told_it(engine_id: bytes) -> None:
    usm = usm_of(AUTH)
    for count in (1, 2):
        error = refused(usm, probe_of(engine_id), UnknownEngineId, now=1030.5)
        message, request_id, varbind = report_of(error.report)
        assert (message.engine_id, message.engine_boots, message.engine_time) == (OURS, 7, 30)
        assert (message.msg_id, message.user_name, request_id) == (31, b"", 99)
        assert varbind == WireVarbind("1.3.6.1.6.3.15.1.1.4.0", "Counter32", count)


@pytest.mark.parametrize("request_id", [-1, 2**31, 2**100])
def test_a_request_id_that_is_none_is_not_repeated(request_id: int) -> None:
    envelope = Envelope(31, b"", 0, 0, b"", is_reportable=True)
    pdu = encode_element(0xA0, encode_integer(request_id))
    octets = encode_message(envelope, encode_scoped(b"", b"", pdu), Key())
    _, told, _ = report_of(refused(usm_of(), octets, UnknownEngineId).report)
    assert told == 0


def test_a_request_that_cannot_be_read_is_answered_without_its_request_id() -> None:
    envelope = Envelope(31, b"", 0, 0, b"", is_reportable=True)
    octets = encode_message(envelope, b"\x04\x00", Key())
    assert report_of(refused(usm_of(), octets, UnknownEngineId).report)[1] == 0
    octets = inform_of(BOTH, SENDER)
    assert report_of(refused(usm_of(), octets, UnknownEngineId).report)[1] == 0


def test_who_does_not_ask_is_told_nothing() -> None:
    usm = usm_of(AUTH)
    assert refused(usm, trap_of(AUTH, b"abcd"), UnknownEngineId).report is None
    assert refused(usm, trap_of(NOBODY), UnknownUserName).report is None


def test_an_unknown_user_is_refused_and_told() -> None:
    error = refused(usm_of(AUTH), inform_of(BOTH), UnknownUserName)
    message, _, varbind = report_of(error.report)
    assert message.user_name == b"both"
    assert varbind.name == "1.3.6.1.6.3.15.1.1.3.0"


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("u SHA authpass12 AES privpass12", "u SHA authpass12"),
        ("u SHA authpass12 AES privpass12", "u"),
        ("u SHA authpass12", "u"),
        ("u SHA authpass12", "u SHA authpass12 AES privpass12"),
        ("u", "u SHA authpass12"),
    ],
)
def test_a_message_of_another_level_than_its_users_is_refused(configured: str, sent: str) -> None:
    usm = usm_of(user_of(configured))
    refused(usm, trap_of(user_of(sent)), UnsupportedSecurityLevel)
    # Neither does it help to have sent a good one before.
    opened_by(usm, trap_of(user_of(configured)))
    error = refused(usm, inform_of(user_of(sent)), UnsupportedSecurityLevel)
    assert report_of(error.report)[2].name == "1.3.6.1.6.3.15.1.1.1.0"


@pytest.mark.parametrize(
    "other", ["u SHA authpass13 AES privpass12", "u SHA-256 authpass12 AES privpass12"]
)
def test_another_digest_is_refused_and_told(other: str) -> None:
    usm = usm_of(user_of("u SHA authpass12 AES privpass12"))
    assert refused(usm, trap_of(user_of(other)), WrongDigest).report is None
    error = refused(usm, inform_of(user_of(other)), WrongDigest)
    assert report_of(error.report)[2].name == "1.3.6.1.6.3.15.1.1.5.0"
    assert usm.known == (0, 0)


@pytest.mark.parametrize(
    "other", ["u SHA authpass12 AES privpass13", "u SHA authpass12 DES privpass12"]
)
@pytest.mark.parametrize("priv", ["AES", "DES"])
def test_another_privacy_is_refused_and_told(priv: str, other: str) -> None:
    usm = usm_of(user_of(f"u SHA authpass12 {priv} privpass14"))
    assert refused(usm, trap_of(user_of(other)), DecryptionError).report is None
    error = refused(usm, inform_of(user_of(other)), DecryptionError)
    assert report_of(error.report)[2].name == "1.3.6.1.6.3.15.1.1.6.0"


@pytest.mark.parametrize("salt", [b"", b"saltsal", b"saltsalt."])
def test_a_salt_of_another_length_is_a_decryption_error(salt: bytes) -> None:
    refused(usm_of(BOTH), resealed(BOTH, encode_element(4, bytes(16)), salt=salt), DecryptionError)


def test_half_a_block_of_des_is_a_decryption_error() -> None:
    user = user_of("des MD5 authpass12 DES privpass12")
    refused(usm_of(user), resealed(user, encode_element(4, bytes(15))), DecryptionError)


def test_data_in_the_clear_in_an_encrypted_message_are_malformed() -> None:
    with pytest.raises(MalformedBer):
        usm_of(BOTH).open(resealed(BOTH, scoped_of(SENDER)), now=1000.0)


def test_a_stranger_who_guesses_leaves_no_trace() -> None:
    usm = usm_of(BOTH)
    guess = user_of("both SHA guessed-pass AES privpass12")
    key = key_of(guess, SENDER)
    for number in range(2000):
        envelope = Envelope(5, b"\x80" + number.to_bytes(8), 1, 0, b"both", b"saltsalt")
        with pytest.raises(WrongDigest):
            usm.open(encode_message(envelope, scoped_of(SENDER), key), now=1000.0)
    assert usm.known == (0, 0)


def test_who_has_the_key_cannot_grow_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usm_module, "MAX_ENGINES", 10)
    monkeypatch.setattr(usm_module, "MAX_SENDERS", 20)
    usm = usm_of(AUTH, BOTH)
    for number in range(50):
        for user in (AUTH, BOTH):
            opened_by(usm, trap_of(user, b"\x80\0\0\0" + number.to_bytes(2)))
    assert usm.known == (10, 20)


def test_a_user_bound_to_an_engine_is_known_there_only() -> None:
    bound = user_of(f"-e {SENDER.hex()} u SHA bound-pass")
    usm = usm_of(bound)
    opened_by(usm, trap_of(bound, SENDER))
    refused(usm, trap_of(bound, b"\x80\0\0\0\1"), UnknownUserName)
    # Beside one for all engines, he goes first.
    everywhere = user_of("u SHA authpass12")
    usm = usm_of(everywhere, bound)
    opened_by(usm, trap_of(bound, SENDER))
    refused(usm, trap_of(everywhere, SENDER), WrongDigest)
    opened_by(usm, trap_of(everywhere, b"\x80\0\0\0\1"))


# The window of a sender (RFC 3414, 3.2 (7) b).


# Our own window (RFC 3414, 3.2 (7) a).


# Costly keys.


def test_a_costly_key_is_asked_for_once_and_by_nobody_without_the_first() -> None:
    usm = usm_of(CISCO)
    stranger = user_of("cisco MD5 guessed-pass AES-256-C privpass12")
    refused(usm, trap_of(stranger), WrongDigest)
    pending = usm.open(trap_of(CISCO), now=1000.0)
    assert isinstance(pending, PendingKey)
    # Not learned yet: asked for again.
    assert usm.open(trap_of(CISCO), now=1000.0) == pending
    usm.learn(pending, pending.derive())
    assert opened_by(usm, trap_of(CISCO)).key == key_of(CISCO, SENDER)
    assert usm.known == (1, 1)


def test_a_key_of_a_user_who_was_replaced_is_not_taken() -> None:
    usm = usm_of(CISCO)
    pending = usm.open(trap_of(CISCO), now=1000.0)
    assert isinstance(pending, PendingKey)
    usm.replace_users([AUTH])
    usm.learn(pending, pending.derive())
    assert usm.known[1] == 0
    refused(usm, trap_of(CISCO), UnknownUserName)


def test_users_are_replaced_and_clocks_are_kept() -> None:
    usm = usm_of(AUTH)
    opened_by(usm, trap_of(AUTH, clock=(3, 1000)))
    other = user_of("auth SHA-256 authpass13")
    usm.replace_users([other])
    refused(usm, trap_of(AUTH, clock=(3, 1000)), WrongDigest)
    refused(usm, trap_of(other, clock=(2, 1000)), NotInTimeWindow)
    opened_by(usm, trap_of(other, clock=(3, 1001)))


def test_five_thousand_engines_of_three_users_need_no_line_each() -> None:
    users = (AUTH, BOTH, user_of("third SHA-256 authpass12 AES-256 privpass12"))
    usm = usm_of(*users)
    scoped = scoped_of(SENDER)
    for number in range(5000):
        engine_id = b"\x80\0\0\0\5" + number.to_bytes(4)
        for user in users:
            envelope = Envelope(5, engine_id, 1, 0, user.name, b"saltsalt")
            opened_by(usm, encode_message(envelope, scoped, key_of(user, engine_id)))
    assert usm.known == (5000, 15_000)
    assert set(usm.stats.values()) == {0}
