"""From a parsed syslog message to an Event: what UDP, TCP and TLS have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from muttd.event import Event, EventIds, Transport
from muttd.protocol.syslog import parse_syslog
from muttd.sources import Sources

# The attribute that keeps the host name of a sender whose word is not taken for it.
CLAIMED_HOSTNAME = "claimed_hostname"
_NOTHING: Mapping[str, Any] = {}


class SyslogEvents:
    """Makes events of syslog messages.

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
        self._zone = zone
        self._max_message_octets = max_message_octets

    def event(
        self,
        octets: bytes,
        source_ip: str,
        transport: Transport,
        received_at: datetime,
        attributes: Mapping[str, Any] = _NOTHING,
    ) -> Event:
        """The event of one message. Never raises: an ugly message is an event marked malformed.

        Args:
            octets: The message, unframed.
            source_ip, transport, received_at: As in the event.
            attributes: What is known of its sender besides.
        """
        too_long = None
        if len(octets) > self._max_message_octets:
            octets = octets[: self._max_message_octets]
            too_long = f"cut at {self._max_message_octets} octets"
        zone, believes = self._zone, True
        if self.sources.is_shaping:
            policy = self.sources.policy(source_ip)
            zone, believes = policy.zone or zone, policy.trusts_hostname
        message = parse_syslog(octets, received_at=received_at, zone=zone)
        hostname = message.hostname or source_ip
        if not believes and hostname != source_ip:
            attributes = {**attributes, CLAIMED_HOSTNAME: hostname}
            hostname = source_ip
        return Event(
            event_id=self._event_ids.next(),
            received_at=received_at,
            source_ip=source_ip,
            hostname=hostname,
            transport=transport,
            severity=message.severity,
            message=message.message,
            raw=octets,
            facility=message.facility,
            event_time=message.timestamp,
            app_name=message.app_name,
            procid=message.procid,
            msgid=message.msgid,
            structured_data=message.structured_data,
            attributes=dict(attributes) if attributes else {},
            malformed=message.malformed or too_long,
        )
