"""The listeners but HTTP, put together: what the sockets bring goes to the intake.

Bound --> UDP: syslog, SNMP | streams: syslog over TCP, over TLS --> parts.intake
"""

from __future__ import annotations

from dataclasses import dataclass

import trio

from muttd.listeners.accept import serve_streams
from muttd.listeners.snmp_trap import SnmpTraps, TrapEvents
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.syslog_tcp import SyslogTcp, TcpLimits
from muttd.listeners.syslog_tls import SyslogTls
from muttd.listeners.syslog_udp import SyslogUdp
from muttd.listeners.tls import TlsMetrics
from muttd.listeners.udp import MAX_BATCH, UdpSocket
from muttd.listeners.usm_metrics import UsmMetrics
from muttd.settings import Settings
from muttd.wiring import Bound, Parts
from muttd.wiring_reload import Reloadable
from muttd.workers.kernel_drops import DropGauge, KernelDrops

# A trap is decoded, and one of SNMPv3 decrypted, before the other tasks have their turn: in 20 ms.
_MAX_TRAPS = 256


@dataclass(frozen=True, slots=True)
class Intakes:
    """The UDP listeners, for their last moments.

    Attributes:
        udp_sockets: All of them.
        udp_listeners: What drains them.
        kernel_drops: Brings what the kernel dropped into the books.
    """

    udp_sockets: list[UdpSocket]
    udp_listeners: list[SyslogUdp | SnmpTraps]
    kernel_drops: KernelDrops

    async def drain(self) -> None:
        """Take what the kernel still holds."""
        for listener in self.udp_listeners:
            await listener.drain()

    def close(self) -> None:
        """Close the books and the sockets."""
        self.kernel_drops.book()
        for sock in self.udp_sockets:
            sock.close()


def start_intake(
    nursery: trio.Nursery, settings: Settings, parts: Parts, bound: Bound, reloadable: Reloadable
) -> Intakes:
    """Start every listener but HTTP."""
    sources = reloadable.sources
    arrivals = SyslogArrivals(
        parts.event_ids,
        sources,
        zone=settings.syslog.time_zone,
        max_message_octets=settings.syslog.max_message_octets,
    )
    buffer_octets = settings.udp_receive_buffer_octets
    sockets: dict[str, list[UdpSocket]] = {
        name: [
            UdpSocket(
                each.sock,
                receive_buffer_octets=buffer_octets,
                is_inherited=each.is_inherited,
                rush=parts.rush,
                max_batch=max_batch,
            )
            for each in bound.entries(name)
        ]
        for name, max_batch in (("syslog_udp", MAX_BATCH), ("snmp", _MAX_TRAPS))
    }
    listeners: list[SyslogUdp | SnmpTraps] = [
        SyslogUdp(sock, arrivals, parts.intake, parts.accounts) for sock in sockets["syslog_udp"]
    ]
    if sockets["snmp"]:
        traps = TrapEvents(parts.event_ids, parts.mibs.in_force, sources)
        listeners += [
            SnmpTraps(
                sock, traps, reloadable.communities, reloadable.usm, parts.intake, parts.accounts
            )
            for sock in sockets["snmp"]
        ]
    UsmMetrics(reloadable.usm, parts.registry)
    TlsMetrics(parts.registry, reloadable.tls, reloadable.expiries)
    gauges = [
        DropGauge(name, sock.kernel_drops, sock.inode if sock.is_inherited else None)
        for name, each in sockets.items()
        for sock in each
    ]
    kernel_drops = KernelDrops(parts.accounts, gauges, settings.state_dir / "kernel-drops.json")
    for listener in listeners:
        nursery.start_soon(listener.serve)
    nursery.start_soon(kernel_drops.run)
    for stream in _stream_listeners(settings, parts, arrivals, reloadable):
        tcp = bound.entries(stream.listener)
        if tcp:
            nursery.start_soon(serve_streams, stream.serve_connection, tcp)
    return Intakes([sock for each in sockets.values() for sock in each], listeners, kernel_drops)


def _stream_listeners(
    settings: Settings, parts: Parts, arrivals: SyslogArrivals, reloadable: Reloadable
) -> list[SyslogTcp]:
    limits = TcpLimits(
        max_frame_octets=settings.syslog.max_message_octets,
        idle_timeout_s=settings.syslog.idle_timeout_s,
        max_connections=settings.syslog.max_connections,
        max_connections_per_peer=settings.syslog.max_connections_per_peer,
    )
    streams = [SyslogTcp(arrivals, parts.intake, parts.accounts, limits)]
    tls = reloadable.tls.get(SyslogTls.listener)
    if tls is not None:
        peers = settings.syslog.tls_peers
        streams.append(SyslogTls(arrivals, parts.intake, parts.accounts, limits, tls, peers))
    return streams
