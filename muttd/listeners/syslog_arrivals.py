"""From octets off the wire to Arrivals: what syslog over UDP, TCP and TLS have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from muttd.arrivals import Arrivals, Origin
from muttd.event import Transport, utc_now
from muttd.event_ids import EventIds
from muttd.sources import Sources, zone_name

_NOTHING: Mapping[str, Any] = {}


class SyslogArrivals:
    """Makes arrivals of messages that have just come off the wire.

    Args:
        event_ids: The daemon's source of event ids.
        sources: Who may send, from which zone, and whether he is believed; listeners ask it too.
        zone: The zone of RFC 3164 stamps, which carry none, of all other sources.
        max_message_octets: What is longer is cut there and marked malformed.
    """

    def __init__(
        self, event_ids: EventIds, sources: Sources, *, zone: tzinfo, max_message_octets: int
    ) -> None:
        self.sources = sources
        self._event_ids = event_ids
        self._zone = zone_name(zone)
        self._max_octets = max_message_octets

    def of(
        self,
        messages: Sequence[bytes],
        source_ips: Sequence[str],
        transport: Transport,
        attributes: Mapping[str, Any] = _NOTHING,
    ) -> list[Arrivals]:
        """Arrivals of all these messages, each in the order given.

        Args:
            messages: Their octets, unframed; at least one.
            source_ips: The peer of each, or one alone that is that of all.
            transport: How they came.
            attributes: What is known of their sender besides.
        """
        if not self.sources.is_shaping:
            return [self._alike(messages, source_ips, (self._zone, True), transport, attributes)]
        if len(source_ips) == 1:
            shape = self._shape(source_ips[0])
            return [self._alike(messages, source_ips, shape, transport, attributes)]
        by_shape: dict[tuple[str, bool], tuple[list[bytes], list[str]]] = {}
        for octets, source_ip in zip(messages, source_ips, strict=True):
            alike = by_shape.setdefault(self._shape(source_ip), ([], []))
            alike[0].append(octets)
            alike[1].append(source_ip)
        return [
            self._alike(*alike, shape, transport, attributes) for shape, alike in by_shape.items()
        ]

    def _shape(self, source_ip: str) -> tuple[str, bool]:
        policy = self.sources.policy(source_ip)
        zone = self._zone if policy.zone is None else zone_name(policy.zone)
        return zone, policy.trusts_hostname

    def _alike(
        self,
        messages: Sequence[bytes],
        source_ips: Sequence[str],
        shape: tuple[str, bool],
        transport: Transport,
        attributes: Mapping[str, Any],
    ) -> Arrivals:
        zone, trusts_hostname = shape
        return Arrivals(
            first_event_id=self._event_ids.first_of(len(messages)),
            origin=Origin(
                transport=transport,
                received_at=utc_now(),
                zone=zone,
                max_octets=self._max_octets,
                trusts_hostname=trusts_hostname,
                attributes=dict(attributes),
            ),
            source_ips=list(source_ips),
            messages=list(messages),
        )
