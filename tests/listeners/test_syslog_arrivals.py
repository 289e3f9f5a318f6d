"""muttd/listeners/syslog_arrivals.py: what a source's policy makes of its messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from msgspec import structs

from muttd.arrivals import Arrivals
from muttd.event import Event, Transport
from muttd.event_ids import EventIds
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.sources import Sources, parse_sources

RECEIVED_AT = datetime(2026, 7, 11, 12, 0, tzinfo=UTC)
POLICY = """
192.0.2.1  zone=Asia/Tokyo
192.0.2.2  zone=America/New_York
192.0.2.3  trust_hostname=no
default    trust_hostname=yes
"""


def arrivals_of(octets: Sequence[bytes], source_ips: Sequence[str], policy: str) -> list[Arrivals]:
    sources = Sources(parse_sources(policy, source=""))
    arrivals = SyslogArrivals(EventIds(), sources, zone=UTC, max_message_octets=480)
    return arrivals.of(octets, source_ips, Transport.SYSLOG_UDP, {"tls_peer": "p"})


def event(octets: bytes, source_ip: str, received_at: datetime = RECEIVED_AT) -> Event:
    [arrivals] = arrivals_of([octets], [source_ip], POLICY)
    origin = structs.replace(arrivals.origin, received_at=received_at)
    [made] = structs.replace(arrivals, origin=origin).events()
    return made


@pytest.mark.parametrize(
    ("source_ip", "hour"), [("192.0.2.1", 3), ("192.0.2.2", 16), ("192.0.2.9", 12)]
)
def test_a_stamp_without_a_zone_is_in_that_of_its_source(source_ip: str, hour: int) -> None:
    made = event(b"<34>Jul 11 12:00:00 sw1 su: x", source_ip)
    assert made.event_time == datetime(2026, 7, 11, hour, tzinfo=UTC)


def test_a_stamp_with_a_zone_is_in_its_own() -> None:
    made = event(b"<34>1 2026-07-11T12:00:00+02:00 sw1 su - - - x", "192.0.2.1")
    assert made.event_time == datetime(2026, 7, 11, 10, tzinfo=UTC)
    cisco = event(b"<189>1: *Jul 11 12:00:00.003 UTC: %LINK-3-UPDOWN: x", "192.0.2.1")
    assert cisco.event_time == datetime(2026, 7, 11, 12, 0, 0, 3000, tzinfo=UTC)


def test_the_zone_decides_the_year_too() -> None:
    """It is New Year in Tokyo nine hours before it is in Greenwich."""
    received_at = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    made = event(b"<34>Jan  1 01:00:00 sw1 su: x", "192.0.2.1", received_at)
    assert made.event_time == received_at


def test_a_sender_that_is_not_believed_is_known_by_its_address_and_its_claim_is_kept() -> None:
    made = event(b"<34>Jul 11 12:00:00 core-1 su: x", "192.0.2.3")
    assert (made.hostname, made.source_ip) == ("192.0.2.3", "192.0.2.3")
    assert made.attributes == {"tls_peer": "p", "claimed_hostname": "core-1"}
    believed = event(b"<34>Jul 11 12:00:00 core-1 su: x", "192.0.2.4")
    assert (believed.hostname, believed.attributes) == ("core-1", {"tls_peer": "p"})


@pytest.mark.parametrize("octets", [b"<34>su: x", b"<34>Jul 11 12:00:00 192.0.2.3 su: x"])
def test_who_claims_nothing_or_his_own_address_has_no_claim(octets: bytes) -> None:
    made = event(octets, "192.0.2.3")
    assert (made.hostname, made.attributes) == ("192.0.2.3", {"tls_peer": "p"})


def test_what_is_known_of_a_sender_is_not_shared_between_events() -> None:
    [arrivals] = arrivals_of([b"<34>x", b"<34>y"], ["192.0.2.1"], POLICY)
    one, two = arrivals.events()
    one.attributes["more"] = 1
    assert (two.attributes, arrivals.origin.attributes) == ({"tls_peer": "p"}, {"tls_peer": "p"})


def test_messages_of_sources_of_one_policy_stay_together_in_their_order() -> None:
    source_ips = ["192.0.2.1", "192.0.2.3", "192.0.2.9", "192.0.2.1", "192.0.2.3"]
    octets = [b"<34>Jul 11 12:00:00 h su: %d" % n for n in range(5)]
    made = arrivals_of(octets, source_ips, POLICY)
    assert [each.source_ips for each in made] == [
        ["192.0.2.1", "192.0.2.1"],
        ["192.0.2.3", "192.0.2.3"],
        ["192.0.2.9"],
    ]
    events = [event for each in made for event in each.events()]
    assert [event.message for event in events] == ["0", "3", "1", "4", "2"]
    assert len({event.event_id for event in events}) == 5


def test_without_policies_all_of_them_are_one() -> None:
    source_ips = ["192.0.2.1", "192.0.2.3", "192.0.2.9"]
    [made] = arrivals_of([b"<34>x"] * 3, source_ips, "")
    assert [event.source_ip for event in made.events()] == source_ips
