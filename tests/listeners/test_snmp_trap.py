"""muttd/listeners/snmp_trap.py on real sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry
from test_syslog_tcp import MemorySink

import muttd.protocol
from muttd.accounts import Accounts
from muttd.event import encode_events
from muttd.event_ids import EventIds
from muttd.listeners.bind import bind
from muttd.listeners.snmp_trap import Communities, SnmpTraps, TrapEvents
from muttd.listeners.udp import UdpSocket
from muttd.protocol.mib import TABLE_FILE_NAME, Mib, MibInForce
from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm import Engine, Usm
from muttd.sources import Sources, parse_sources

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
MIB = Mib.from_octets(Path(muttd.protocol.__file__).with_name(TABLE_FILE_NAME).read_bytes())


class Scene:
    """A listener, and a sender that is connected to it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.receiver = UdpSocket(
            bind("::", 0, socket.SOCK_DGRAM).sock, receive_buffer_octets=1 << 20
        )
        self.sink = MemorySink()
        self.accounts = Accounts(CollectorRegistry())
        self.account = self.accounts["snmp"]
        self.sources = Sources()
        self.listener = SnmpTraps(
            self.receiver,
            TrapEvents(EventIds(), MibInForce(MIB), self.sources),
            Communities(["public", "s3cret"]),
            Usm([], Engine(b"\x80\0\0\0\5" + b"ourselves", 1, 0.0, 0)),
            self.sink,
            self.accounts,
        )
        nursery.start_soon(self.listener.serve)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(("127.0.0.1", self.receiver.port))
        self.sender.setblocking(False)

    async def wait_received(self, count: int) -> None:
        with trio.fail_after(10):
            while self.account.received < count:
                await trio.lowlevel.checkpoint()


@pytest.fixture
def scene(nursery: trio.Nursery) -> Iterator[Scene]:
    scene = Scene(nursery)
    yield scene
    scene.sender.close()
    scene.receiver.close()


async def test_a_v1_trap_keeps_the_agents_identity(scene: Scene) -> None:
    trap = V1Trap(
        enterprise="1.3.6.1.4.1.9.1.1", generic_trap=2, agent_addr="192.0.2.7", sys_up_time=99
    )
    scene.sender.send(encode_v1_trap(b"public", trap))
    await scene.wait_received(1)
    [event] = scene.sink.events
    assert (event.hostname, event.source_ip) == ("192.0.2.7", "127.0.0.1")
    assert (event.trap_oid, event.severity, event.facility) == (LINK_DOWN, 3, None)
    assert event.attributes == {
        "snmp_version": "v1",
        "pdu": "trap",
        "agent_addr": "192.0.2.7",
        "enterprise": "1.3.6.1.4.1.9.1.1",
        "generic_trap": 2,
        "specific_trap": 0,
        "sys_up_time": 99,
    }


async def test_an_agent_that_is_not_believed_keeps_its_peers_address(scene: Scene) -> None:
    scene.sources.replace(parse_sources("default trust_hostname=no", source=""))
    trap = V1Trap(enterprise="1.3.6.1.4.1.9.1.1", generic_trap=2, agent_addr="192.0.2.7")
    scene.sender.send(encode_v1_trap(b"public", trap))
    scene.sender.send(encode_v1_trap(b"public", V1Trap(generic_trap=0)))
    await scene.wait_received(2)
    claimed, plain = scene.sink.events
    assert claimed.hostname == plain.hostname == "127.0.0.1"
    assert claimed.attributes["claimed_hostname"] == "192.0.2.7"
    assert "claimed_hostname" not in plain.attributes


async def test_a_source_that_may_not_send_is_not_even_read(scene: Scene) -> None:
    scene.sources.replace(parse_sources("127.0.0.0/8 deny", source=""))
    scene.sender.send(encode_v2c_trap(b"wrong community", LINK_DOWN))
    scene.sender.send(encode_v2c_inform(b"public", LINK_DOWN, request_id=77))
    await scene.wait_received(2)
    assert scene.sink.events == []
    assert scene.account.refused["source"] == 2
    assert scene.account.refused["refused"] == 0


async def test_an_agent_addr_of_zeros_is_nobody(scene: Scene) -> None:
    scene.sender.send(encode_v1_trap(b"public", V1Trap(generic_trap=0)))
    await scene.wait_received(1)
    assert scene.sink.events[0].hostname == "127.0.0.1"


@pytest.mark.parametrize("community", [b"s3cret", b"public"])
async def test_no_community_is_kept_in_an_event(scene: Scene, community: bytes) -> None:
    scene.sender.send(encode_v2c_trap(community, LINK_DOWN))
    await scene.wait_received(1)
    [event] = scene.sink.events
    assert community not in event.raw
    assert b"*" * len(community) in event.raw


async def test_an_inform_is_answered_only_when_the_queue_has_it(scene: Scene) -> None:
    scene.sink.is_open = False
    scene.sender.send(encode_v2c_inform(b"public", LINK_DOWN, request_id=77))
    await scene.sink.arrived.wait()
    with pytest.raises(BlockingIOError):
        scene.sender.recv(1000)
    scene.sink.receipts[0]()
    await trio.lowlevel.wait_readable(scene.sender)
    answer = scene.sender.recv(1000)
    # GetResponse-PDU, with the request-id of the inform (RFC 3416, 4.2.7).
    assert b"\xa2" in answer
    assert b"\x02\x01\x4d" in answer


async def test_an_unknown_community_is_refused_and_its_name_is_not_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scene.sender.send(encode_v2c_inform(b"guessed", LINK_DOWN))
    await scene.wait_received(1)
    assert scene.account.refused["refused"] == 1
    assert scene.sink.events == []
    with pytest.raises(BlockingIOError):
        scene.sender.recv(1000)
    assert "guessed" not in caplog.text


async def test_a_malformed_datagram_is_counted_and_logged_by_its_digest(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.sender.send(b"\x30\x82")
    scene.sender.send(encode_v2c_trap(b"public", LINK_DOWN))
    await scene.wait_received(2)
    assert len(scene.sink.events) == 1
    assert scene.account.refused["ber"] == 1
    assert "SHA-256" in caplog.text
    assert "127.0.0.1" in caplog.text


async def test_an_inform_sent_again_is_no_second_event_and_is_answered_once_it_is_queued(
    scene: Scene,
) -> None:
    scene.sink.is_open = False
    inform = encode_v2c_inform(b"public", LINK_DOWN, request_id=77)
    scene.sender.send(inform)
    scene.sender.send(inform)
    await scene.wait_received(2)
    assert len(scene.sink.events) == 1
    with pytest.raises(BlockingIOError):
        scene.sender.recv(1000)
    scene.sink.receipts[0]()
    await trio.lowlevel.wait_readable(scene.sender)
    answer = scene.sender.recv(1000)
    # That answer was lost on the way, say: the next repetition gets it again.
    scene.sender.send(inform)
    await trio.lowlevel.wait_readable(scene.sender)
    assert scene.sender.recv(1000) == answer
    assert len(scene.sink.events) == 1
    assert scene.account.refused["duplicate"] == 2


async def test_another_request_id_is_another_event(scene: Scene) -> None:
    for request_id in (77, 78):
        scene.sender.send(encode_v2c_inform(b"public", LINK_DOWN, request_id=request_id))
    await scene.wait_received(2)
    assert len(scene.sink.events) == 2


@pytest.mark.parametrize("instance", [".0", ""], ids=["whole", "without its .0"])
async def test_a_community_that_a_proxy_appended_is_hidden(scene: Scene, instance: str) -> None:
    varbind = WireVarbind(f"1.3.6.1.6.3.18.1.4{instance}", "OCTET STRING", b"TOPSECRET")
    scene.sender.send(encode_v2c_trap(b"s3cret", LINK_DOWN, [varbind]))
    await scene.wait_received(1)
    [event] = scene.sink.events
    assert f"snmpTrapCommunity{instance}=***" in event.message
    assert b"TOPSECRET" not in encode_events([event])
    assert b"s3cret" not in encode_events([event])
