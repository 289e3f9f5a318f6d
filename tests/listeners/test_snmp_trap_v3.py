"""SNMPv3 on real sockets: net-snmp's snmptrap and snmpinform send, the listener takes and answers.

Debian: snmp; RHEL: net-snmp-utils.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from test_snmp_trap import LINK_DOWN
from trap_v3_scene import BY_NAME, CISCO, LEVELS, OURS, SENDER, Scene, options_of, user_name

from muttd.event import encode_events
from muttd.listeners import snmp_keys
from muttd.protocol.snmp import Pdu
from muttd.protocol.snmp_encode import about, encode_pdu
from muttd.protocol.snmp_v3 import Envelope, Key, encode_message, encode_scoped, parse_message
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser, parse_users

_ABSENT = shutil.which("snmptrap") is None or shutil.which("snmpinform") is None
# In CI (MUTTD_TEST_REQUIRE=snmp,...) what is missing is a failure.
_REQUIRED = "snmp" in os.environ.get("MUTTD_TEST_REQUIRE", "").split(",")
needs_net_snmp = pytest.mark.skipif(
    _ABSENT and not _REQUIRED, reason="snmptrap is not here: install snmp (net-snmp-utils on RHEL)"
)


@pytest.fixture
def scene(nursery: trio.Nursery) -> Iterator[Scene]:
    scene = Scene(nursery)
    yield scene
    scene.sender.close()
    scene.receiver.close()


def level_id(level: tuple[str, str]) -> str:
    return user_name(*level)


@needs_net_snmp
@pytest.mark.parametrize("level", LEVELS, ids=level_id)
async def test_snmptrap_is_taken_at_every_level(
    scene: Scene, tmp_path: Path, level: tuple[str, str]
) -> None:
    options = ("-e", "0x8000000001020304", "-n", "ctx", *options_of(*level))
    assert await scene.run(tmp_path, "snmptrap", *options) == 0
    [event] = await scene.wait_events(1)
    auth, priv = level
    assert event.message == "IF-MIB::linkDown ifIndex.3=3"
    assert (event.trap_oid, event.severity, event.hostname) == (LINK_DOWN, 3, "127.0.0.1")
    assert event.attributes == {
        "snmp_version": "v3",
        "pdu": "trap",
        "sys_up_time": 372_345,
        "security_name": user_name(*level),
        "security_level": "authPriv" if priv else "authNoPriv" if auth else "noAuthNoPriv",
        "engine_id": "8000000001020304",
        "context_name": "ctx",
    }
    # As received: what is encrypted in it stays encrypted.
    assert parse_message(event.raw).engine_id == SENDER
    assert scene.stats() == {}


@needs_net_snmp
@pytest.mark.parametrize("level", LEVELS, ids=level_id)
async def test_snmpinform_is_content_at_every_level(
    scene: Scene, tmp_path: Path, level: tuple[str, str]
) -> None:
    """It finds out our engine ID, our boots and our time by itself."""
    assert await scene.run(tmp_path, "snmpinform", *options_of(*level)) == 0
    [event] = await scene.wait_events(1)
    assert event.attributes["pdu"] == "inform"
    assert event.attributes["engine_id"] == OURS.hex()
    assert scene.stats()["usmStatsUnknownEngineIDs"] == 1
    assert scene.account.received == 1 + sum(scene.account.refused.values())


@needs_net_snmp
async def test_snmpinform_is_told_our_time_when_it_believes_another(
    scene: Scene, tmp_path: Path
) -> None:
    options = ("-e", OURS.hex(), "-Z", "3,4", *options_of("SHA-256", "AES"))
    assert await scene.run(tmp_path, "snmpinform", *options) == 0
    await scene.wait_events(1)
    assert scene.stats() == {"usmStatsNotInTimeWindows": 1}


@needs_net_snmp
@pytest.mark.parametrize(
    ("options", "counter", "reason"),
    [
        (
            options_of("SHA", "AES", user="nobody-knows"),
            "usmStatsUnknownUserNames",
            "usm_user_name",
        ),
        (
            options_of("SHA", "AES", auth_pass="authpass13"),
            "usmStatsWrongDigests",
            "usm_digest",
        ),
        (
            options_of("SHA-256", "AES", user="u-sha-aes"),
            "usmStatsWrongDigests",
            "usm_digest",
        ),
        (
            options_of("SHA", "AES", priv_pass="privpass13"),
            "usmStatsDecryptionErrors",
            "usm_decryption",
        ),
        (
            options_of("SHA", "", user="u-sha-aes"),
            "usmStatsUnsupportedSecLevels",
            "usm_security_level",
        ),
        (
            options_of("", "", user="u-sha-aes"),
            "usmStatsUnsupportedSecLevels",
            "usm_security_level",
        ),
        (
            options_of("SHA", "AES", user="u-sha"),
            "usmStatsUnsupportedSecLevels",
            "usm_security_level",
        ),
    ],
    ids=["user", "key", "digest", "privacy key", "below", "far below", "above"],
)
async def test_what_net_snmp_may_not_is_refused_counted_and_told(
    scene: Scene, tmp_path: Path, options: list[str], counter: str, reason: str
) -> None:
    assert await scene.run(tmp_path, "snmptrap", "-e", "0x8000000001020304", *options) == 0
    await scene.wait_received(1)
    assert scene.stats() == {counter: 1}
    assert scene.account.refused[reason] == 1
    # An inform fails, and by our Report at once: it does not wait for its timeout.
    began = trio.current_time()
    assert await scene.run(tmp_path, "snmpinform", "-t", "15", *options) != 0
    assert trio.current_time() - began < 10
    assert scene.stats()[counter] == 2
    assert scene.sink.events == []
    assert sum(scene.account.refused.values()) == scene.account.received


@needs_net_snmp
async def test_a_trap_from_before_the_last_start_is_refused(scene: Scene, tmp_path: Path) -> None:
    options = ("-e", "0x8000000001020304", *options_of("SHA", "AES"))
    for count, clock in enumerate(("3,1000", "3,1001", "4,0"), 1):
        assert await scene.run(tmp_path, "snmptrap", "-Z", clock, *options) == 0
        await scene.wait_events(count)
    for count, clock in enumerate(("3,1002", "1,0"), 4):
        assert await scene.run(tmp_path, "snmptrap", "-Z", clock, *options) == 0
        await scene.wait_received(count)
    assert scene.stats() == {"usmStatsNotInTimeWindows": 2}
    assert scene.account.refused["usm_time_window"] == 2
    assert len(scene.sink.events) == 3


def message_of(
    user: UsmUser, engine_id: bytes = SENDER, *varbinds: WireVarbind, pdu: Pdu = Pdu.TRAP_V2
) -> bytes:
    """As that user sends it; an inform is for us, now."""
    clock = (7, 86_400) if engine_id == OURS else (1, 0)
    envelope = Envelope(5, engine_id, *clock, user.name, b"saltsalt")
    whole = encode_pdu(pdu, 77, [*about(LINK_DOWN, 1), *varbinds])
    scoped = encode_scoped(engine_id, b"", whole)
    return encode_message(envelope, scoped, PendingKey(user, engine_id).derive())


async def test_an_inform_is_answered_only_when_the_queue_has_it(scene: Scene) -> None:
    user = BY_NAME["u-sha-aes"]
    scene.sink.is_open = False
    scene.sender.send(message_of(user, OURS, pdu=Pdu.INFORM))
    await scene.wait_events(1)
    assert scene.nothing_answered()
    scene.sink.receipts[0]()
    message = parse_message(await scene.wait_answer())
    assert (message.msg_id, message.user_name, message.flags) == (5, b"u-sha-aes", 3)
    assert message.engine_time >= 86_400
    # Sent again: no second event, and the answer once more, with another salt.
    scene.sender.send(message_of(user, OURS, pdu=Pdu.INFORM))
    assert parse_message(await scene.wait_answer()).salt != message.salt
    assert len(scene.sink.events) == 1


async def test_a_forged_engine_id_is_not_answered_and_leaves_no_trace(scene: Scene) -> None:
    [stranger] = parse_users("createUser u-sha-aes SHA guessed-pass AES guessed-pass", source="t")
    for number in range(200):
        scene.sender.send(message_of(stranger, b"\x80\0\0\0" + number.to_bytes(4)))
    await scene.wait_received(200)
    assert scene.usm.known == (0, 0)
    assert scene.account.refused["usm_digest"] == 200
    assert scene.nothing_answered()


async def test_the_community_of_a_proxy_is_hidden_in_what_is_not_encrypted(scene: Scene) -> None:
    community = WireVarbind("1.3.6.1.6.3.18.1.4.0", "OCTET STRING", b"TOPSECRET")
    envelope = Envelope(5, SENDER, 1, 0, b"u")
    whole = encode_pdu(Pdu.TRAP_V2, 77, [*about(LINK_DOWN, 1), community])
    scoped = encode_scoped(SENDER, b"", whole)
    scene.sender.send(encode_message(envelope, scoped, Key()))
    scene.sender.send(message_of(BY_NAME["u-sha-aes"], SENDER, community))
    for event in await scene.wait_events(2):
        assert "snmpTrapCommunity.0=***" in event.message
        assert b"TOPSECRET" not in encode_events([event])


async def test_traps_that_wait_for_a_costly_key_come_in_order(scene: Scene) -> None:
    """Others overtake them; nobody waits for a key that is not his."""
    engines = [b"\x80\0\0\0" + bytes([number]) for number in range(3)]
    names = [WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", number) for number in range(4)]
    for name in names:
        for engine_id in engines:
            scene.sender.send(message_of(CISCO, engine_id, name))
    scene.sender.send(message_of(BY_NAME["u-sha-aes"]))
    events = await scene.wait_events(13)
    for engine_id in engines:
        found = [e for e in events if e.attributes["engine_id"] == engine_id.hex()]
        assert [e.varbinds[2].value for e in found] == ["0", "1", "2", "3"]
    assert scene.usm.known == (4, 4)
    assert scene.account.dropped == 0


async def test_what_waits_for_a_key_is_bounded_and_what_is_lost_is_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = [message_of(CISCO, b"\x80\0\0\0" + bytes([number])) for number in range(20)]
    monkeypatch.setattr(snmp_keys, "MAX_WAITING_OCTETS", 3 * len(octets[0]))
    for each in octets:
        scene.sender.send(each)
    await scene.wait(lambda: scene.account.dropped + len(scene.sink.events) == 20)
    assert scene.account.received == 20
    assert 3 <= len(scene.sink.events) < 20


def send_costly(scene: Scene, count: int) -> None:
    """Traps that each need a costly key."""
    for number in range(count):
        scene.sender.send(message_of(CISCO, b"\x80\0\0\0" + bytes([number])))


async def test_the_end_waits_for_keys(scene: Scene) -> None:
    send_costly(scene, 5)
    scene.serving.cancel()
    await trio.testing.wait_all_tasks_blocked()
    await scene.listener.drain()
    assert len(scene.sink.events) == 5
    assert scene.account.dropped == 0


async def test_what_waits_for_a_key_when_time_is_up_is_counted_as_dropped(scene: Scene) -> None:
    send_costly(scene, 5)
    scene.serving.cancel()
    await trio.testing.wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await scene.listener.drain()
    assert scene.account.received == 5
    assert len(scene.sink.events) + scene.account.dropped == 5
    assert scene.account.dropped > 0


async def test_every_series_is_there_at_zero(scene: Scene) -> None:
    families = {family.name: family for family in scene.registry.collect()}
    stats = families["muttd_snmp_usm_stats"].samples
    assert {(sample.labels["counter"], sample.value) for sample in stats} == {
        ("usmStatsUnsupportedSecLevels", 0),
        ("usmStatsNotInTimeWindows", 0),
        ("usmStatsUnknownUserNames", 0),
        ("usmStatsUnknownEngineIDs", 0),
        ("usmStatsWrongDigests", 0),
        ("usmStatsDecryptionErrors", 0),
    }
    for name in ("muttd_snmp_usm_engines", "muttd_snmp_usm_keys"):
        assert [sample.value for sample in families[name].samples] == [0]
    reasons = {
        sample.labels["reason"]
        for sample in families["muttd_intake_refused"].samples
        if sample.labels["listener"] == "snmp"
    }
    assert {"usm_digest", "usm_engine_id", "usm_user_name", "usm_time_window"} <= reasons
    assert "usm_decryption" in reasons
    assert "usm_security_level" in reasons
