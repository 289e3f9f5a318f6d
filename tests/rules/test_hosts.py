"""Hosts by exact name, address, network and glob."""

from __future__ import annotations

import pytest

from muttd.rules.hosts import HostMap, HostSet, address_of, check_host_entry
from muttd.rules.model import TeamEntry


def has(entry: str, hostname: str, source_ip: str = "192.0.2.1") -> bool:
    return HostSet([check_host_entry(entry)]).has(hostname, source_ip)


def team_of(
    teams: list[tuple[str, str]], hostname: str, source_ip: str = "192.0.2.1"
) -> str | None:
    entries = [TeamEntry(hostname=host, team_assignment=team) for host, team in teams]
    return HostMap(entries).team_of(hostname, source_ip)


def test_an_exact_name_is_compared_without_regard_to_case() -> None:
    assert has("SW1.example.net", "sw1.EXAMPLE.net")


def test_a_short_name_is_not_the_same_host_as_a_full_one() -> None:
    assert not has("sw1", "sw1.example.net")
    assert not has("sw1.example.net", "sw1")


@pytest.mark.parametrize(
    ("glob", "hostname", "holds"),
    [
        ("sw*", "sw1.example.net", True),
        ("SW*.net", "sw1.example.NET", True),
        ("sw?", "sw1", True),
        ("sw?", "sw12", False),
        ("sw[12]", "sw2", True),
        ("sw[12]", "sw3", False),
        ("sw[!12]", "sw3", True),
        ("sw[!12]", "sw1", False),
        ("sw[0-9]-lab", "sw7-lab", True),
        ("sw[]]", "sw]", True),
        ("sw[^1]", "sw^", True),
        ("sw[^1]", "sw2", False),
        ("sw[", "sw[", True),
        ("sw[]", "sw[]", True),
        ("*", "anything", True),
        ("*.lab", "sw1.lab.net", False),
        ("sw.1*", "swx1", False),
        ("é*", "éa", True),
        ("*kelvin", "\u212aelvin", True),
    ],
)
def test_a_glob_is_compared_with_the_whole_name(glob: str, hostname: str, holds: bool) -> None:
    assert has(glob, hostname) is holds


def test_a_glob_is_not_compared_with_the_address() -> None:
    assert not has("*.1", "sw2", "192.0.2.1")


@pytest.mark.parametrize(
    ("entry", "hostname", "source_ip", "holds"),
    [
        ("10.1.0.0/16", "sw1", "10.1.2.3", True),
        ("10.1.0.0/16", "sw1", "10.2.2.3", False),
        ("10.1.0.0/16", "10.1.2.3", "192.0.2.1", True),
        ("10.1.0.0/255.255.0.0", "sw1", "10.1.2.3", True),
        ("0.0.0.0/0", "sw1", "192.0.2.1", True),
        ("0.0.0.0/0", "sw1", "2001:db8::1", False),
        ("2001:DB8::/32", "sw1", "2001:db8::1", True),
        ("2001:db8::/32", "sw1", "10.1.2.3", False),
        ("10.1.2.3", "sw1", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", "192.0.2.1", True),
        ("10.1.2.3", "sw1", "10.1.2.4", False),
        ("10.1.2.3", "sw1", "::ffff:10.1.2.3", True),
        ("2001:0DB8::0001", "sw1", "2001:db8::1", True),
        ("fe80::/10", "sw1", "fe80::1%eth0", True),
        ("10.1.0.0/16", "sw1", "not an address 1", False),
    ],
)
def test_an_address_or_network_is_compared_with_the_peer_and_a_literal_hostname(
    entry: str, hostname: str, source_ip: str, holds: bool
) -> None:
    assert has(entry, hostname, source_ip) is holds


def test_a_hostname_that_is_no_unicode_text_is_just_another_host() -> None:
    assert not has("sw*", "\ud800")


def test_the_most_specific_team_wins() -> None:
    teams = [
        ("*", "any"),
        ("sw*", "switches"),
        ("10.0.0.0/8", "ten"),
        ("10.1.0.0/16", "ten one"),
        ("10.1.2.3", "this address"),
        ("sw1", "this name"),
    ]
    assert team_of(teams, "x") == "any"
    assert team_of(teams, "sw2") == "switches"
    assert team_of(teams, "sw2", "10.9.9.9") == "ten"
    assert team_of(teams, "sw2", "10.1.9.9") == "ten one"
    assert team_of(teams, "sw2", "10.1.2.3") == "this address"
    assert team_of(teams, "sw1", "10.1.2.3") == "this name"


def test_among_equals_the_team_written_first_wins() -> None:
    assert team_of([("a*1", "first"), ("*b1", "second")], "ab1") == "first"
    assert team_of([("*b1", "second"), ("a*1", "first")], "ab1") == "second"


def test_a_host_that_nobody_names_has_no_team() -> None:
    assert team_of([("sw1", "NETO")], "sw2") is None
    assert team_of([], "sw2") is None


def test_five_thousand_entries_each_find_their_own() -> None:
    teams = [(f"sw{n}.example.net", f"exact {n}") for n in range(2000)]
    teams += [(f"*-rack{n}-*", f"glob {n}") for n in range(2000)]
    teams += [(f"10.{n // 256}.{n % 256}.0/24", f"net {n}") for n in range(1000)]
    assert team_of(teams, "sw1999.example.net") == "exact 1999"
    assert team_of(teams, "x-rack1999-y") == "glob 1999"
    assert team_of(teams, "x", "10.3.231.9") == "net 999"


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        (" sw1 ", "sw1"),
        ("SW1", "SW1"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("10.1.0.0/255.255.0.0", "10.1.0.0/16"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("sw*", "sw*"),
    ],
)
def test_an_entry_is_brought_to_its_normal_form(written: str, normal: str) -> None:
    assert check_host_entry(written) == normal


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("a" * 256, "at most 255"),
        ("sw 1", "blanks"),
        ("sw\x001", "control"),
        ("sw\ud8001", "characters"),
        ("10.0.0/24", "not a network"),
        ("10.0.0.0/33", "not a network"),
        ("fw/admin", "not a network"),
        ("10.0.0.5/24", "10.0.0.0/24 was probably meant"),
        ("sw[z-a]", "not a valid glob"),
    ],
)
def test_an_entry_that_can_name_no_host_is_refused(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_host_entry(written)


def test_only_what_is_an_address_is_one() -> None:
    assert address_of("sw1") is None
    assert address_of("example.net") is None
    assert str(address_of("::ffff:192.0.2.1")) == "192.0.2.1"
