"""Who may send, how fast, from which time zone, and whose word for a host name is taken.

    10.0.0.0/8       zone=Europe/Berlin rate=1000 burst=5000
    192.0.2.7        trust_hostname=yes
    198.51.100.0/24  deny
    default          trust_hostname=no

MUTTD_SOURCES_FILE, one line a source: an address, a network or "default", then what holds for it.
The most specific line decides, and it decides alone: what it does not say is as if there were no
file. Without lines nobody is looked up.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import stat
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from muttd.errors import ConfigError
from muttd.settings_values import parse_zone

SETTING = "MUTTD_SOURCES_FILE"
# Some 30 000 lines.
_MAX_OCTETS = 1_048_576
# Sources of UDP can be spoofed: neither what was looked up nor what was counted may grow for ever.
_KNOWN_SOURCES = 16_384
_MAX_RATE = 1e9
_DEFAULT = "default"
_KEYS = ("allow", "deny", "zone", "rate", "burst", "trust_hostname")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePolicy:
    """What holds for one source.

    Attributes:
        is_allowed: Whether it may send at all.
        zone: Of its RFC 3164 stamps; None is that of MUTTD_SYSLOG_TIME_ZONE.
        trusts_hostname: Whether it is believed whose message it says it is.
        rate: Most messages a second in the long run; None is any number.
        burst: Messages that it may send at once.
    """

    is_allowed: bool = True
    zone: tzinfo | None = None
    trusts_hostname: bool = True
    rate: float | None = None
    burst: float = 1.0


_NOTHING_SAID = SourcePolicy()


class SourceTable:
    """The lines of one file.

    Args:
        lines: By network.

    Attributes:
        is_limiting: Whether any line denies or limits anybody.
        is_shaping: Whether any line changes what an event becomes.
    """

    def __init__(self, lines: Mapping[Network, SourcePolicy] | None = None) -> None:
        # By version and length of the prefix, the longest first; then by the network's number.
        self._prefixes: dict[int, list[tuple[int, dict[int, SourcePolicy]]]] = {4: [], 6: []}
        lines = lines or {}
        for network in sorted(lines, key=lambda each: -each.prefixlen):
            prefixes = self._prefixes[network.version]
            shift = network.max_prefixlen - network.prefixlen
            if not prefixes or prefixes[-1][0] != shift:
                prefixes.append((shift, {}))
            prefixes[-1][1][int(network.network_address) >> shift] = lines[network]
        policies = lines.values()
        self.is_limiting = any(not each.is_allowed or each.rate is not None for each in policies)
        self.is_shaping = any(each.zone or not each.trusts_hostname for each in policies)
        self._known: dict[str, SourcePolicy] = {}

    def policy(self, source_ip: str) -> SourcePolicy:
        """What holds for an address.

        Args:
            source_ip: In text, IPv4-mapped addresses as IPv4.

        Cost: 0.1 us; for an address that was not seen lately some microseconds.
        """
        found = self._known.get(source_ip)
        if found is None:
            if len(self._known) >= _KNOWN_SOURCES:
                self._known.clear()
            found = self._known[source_ip] = self._find(source_ip)
        return found

    def _find(self, source_ip: str) -> SourcePolicy:
        address = ipaddress.ip_address(source_ip)
        number = int(address)
        for shift, networks in self._prefixes[address.version]:
            found = networks.get(number >> shift)
            if found is not None:
                return found
        return _NOTHING_SAID


class Sources:
    """The table in force, and how much of its rate each source has used.

    A source that is limited has a bucket of `burst` messages that fills with `rate` a second.

    Args:
        table: Of the file.

    Attributes:
        is_limiting: Whether anybody is denied or limited.
        is_shaping: Whether any source has a zone, or is not believed.
    """

    def __init__(self, table: SourceTable | None = None) -> None:
        self.replace(table or SourceTable())
        # By address: what is left in its bucket (below 0 is a debt), and when that was so.
        self._buckets: dict[str, tuple[float, float]] = {}

    def replace(self, table: SourceTable) -> None:
        """Put another table in force, from the next message on."""
        self._table = table
        self.is_limiting = table.is_limiting
        self.is_shaping = table.is_shaping

    def policy(self, source_ip: str) -> SourcePolicy:
        """What holds for an address; see SourceTable.policy."""
        return self._table.policy(source_ip)

    def takes(self, source_ip: str, policy: SourcePolicy, now: float) -> bool:
        """Whether a source that is limited may send one message more; if so, it is booked.

        Args:
            source_ip: Of the source.
            policy: Its own, with a rate.
            now: By a clock that never goes back.
        """
        left = self._left(source_ip, policy, now)
        if left >= 1.0:
            self._buckets[source_ip] = (left - 1.0, now)
            return True
        return False

    def book(self, source_ip: str, count: int, now: float) -> None:
        """Book messages that were read already; what was too much is a debt."""
        policy = self.policy(source_ip)
        if policy.rate is not None:
            self._buckets[source_ip] = (self._left(source_ip, policy, now) - count, now)

    def wait_s(self, source_ip: str, now: float) -> float:
        """How long a source is not read from, until its debt is paid."""
        policy = self.policy(source_ip)
        if policy.rate is None:
            return 0.0
        return max(0.0, -self._left(source_ip, policy, now) / policy.rate)

    def _left(self, source_ip: str, policy: SourcePolicy, now: float) -> float:
        assert policy.rate is not None
        bucket = self._buckets.get(source_ip)
        if bucket is None:
            if len(self._buckets) >= _KNOWN_SOURCES:
                del self._buckets[next(iter(self._buckets))]
            self._buckets[source_ip] = (policy.burst, now)
            return policy.burst
        left, at = bucket
        return min(policy.burst, left + (now - at) * policy.rate)


def zone_name(zone: tzinfo, localtime: Path = Path("/etc/localtime")) -> str:
    """What a zone that parse_zone() gave is called, for parse_zone() on another machine.

    That of this machine has a name in the IANA database where /etc/localtime is a link into it;
    elsewhere it stays "local".
    """
    name = zone.key if isinstance(zone, zoneinfo.ZoneInfo) else str(zone)
    if name != "local":
        return name
    _, is_known, name = str(localtime.resolve()).partition("/zoneinfo/")
    return name if is_known else "local"


def read_sources(path: Path | None) -> SourceTable:
    """The table of a file; an empty one without a file.

    Raises:
        ConfigError: It cannot be read, or lines in it are wrong: all of them.
    """
    if path is None:
        return SourceTable()
    try:
        # Not to wait for a writer, should it be a FIFO.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            octets = file.read(_MAX_OCTETS + 1) if is_file else None
    except OSError as exc:
        raise ConfigError([f"{SETTING}: cannot read {path}: {exc.strerror}"]) from exc
    if octets is None:
        raise ConfigError([f"{SETTING}: {path} is not a file"])
    if len(octets) > _MAX_OCTETS:
        raise ConfigError([f"{SETTING}: {path} is longer than {_MAX_OCTETS} octets"])
    return parse_sources(octets.decode("utf-8", "replace"), source=f"{SETTING}: {path}")


def parse_sources(text: str, *, source: str) -> SourceTable:
    """Read the lines of a file.

    Args:
        text: The file. What follows a # is a comment.
        source: What a mistake is prefixed with: the setting and the file.

    Raises:
        ConfigError: Every mistake there is, with its line number.
    """
    lines: dict[Network, SourcePolicy] = {}
    numbers: dict[Network, int] = {}
    mistakes = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        wrong: list[str] = []
        networks = _networks(words[0], wrong)
        policy = _policy(words[1:], wrong)
        for network in networks:
            before = numbers.setdefault(network, number)
            if before != number:
                wrong.append(f"{words[0]} is in line {before} already")
                break
            lines[network] = policy
        mistakes += [f"{source}, line {number}: {what}" for what in wrong]
    if mistakes:
        raise ConfigError(mistakes)
    return SourceTable(lines)


def _networks(word: str, wrong: list[str]) -> list[Network]:
    if word == _DEFAULT:
        return [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        wrong.append("does not begin with an address, a network such as 10.0.0.0/8, or default")
        return []
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        # Peers are known by their IPv4 address, whatever the socket.
        wrong.append(f"{word} is an IPv4 address; write it as one")
    elif "/" in word and ipaddress.ip_interface(word).ip != network.network_address:
        wrong.append(f"{word} names a host; the network is {network}")
    return [network]


def _policy(words: list[str], wrong: list[str]) -> SourcePolicy:
    said: dict[str, str] = {}
    for word in words:
        key, has_value, value = word.partition("=")
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {near[0]}?" if near else f": {', '.join(_KEYS)}"
            wrong.append("there is no such word" + hint)
        elif bool(has_value) is (key in ("allow", "deny")):
            wrong.append(f"{key} takes {'no value' if has_value else f'a value: {key}=...'}")
        elif key in said:
            wrong.append(f"{key} is there twice")
        else:
            said[key] = value
    if "deny" in said and len(said) > 1:
        wrong.append("deny goes with nothing else")
    if not words:
        wrong.append(f"says nothing of this source: {', '.join(_KEYS)}")
    policy = SourcePolicy(is_allowed="deny" not in said)
    if "zone" in said:
        try:
            policy = replace(policy, zone=parse_zone(said["zone"]))
        except ValueError as exc:
            wrong.append(f"zone: {exc}")
    trust = said.get("trust_hostname", "yes")
    if trust not in ("yes", "no"):
        wrong.append("trust_hostname: must be yes or no")
    rate, burst = _rate(said, wrong)
    return replace(policy, trusts_hostname=trust != "no", rate=rate, burst=burst)


def _rate(said: Mapping[str, str], wrong: list[str]) -> tuple[float | None, float]:
    numbers: dict[str, float] = {}
    for key in ("rate", "burst"):
        if key in said:
            try:
                number = float(said[key])
            except ValueError:
                number = math.nan
            # A bucket that holds less than one message never lets one through.
            if not (0 < number <= _MAX_RATE) or (key == "burst" and number < 1):
                unit = "messages a second" if key == "rate" else "messages, at least 1"
                wrong.append(f"{key}: must be a number of {unit}")
            numbers[key] = number
    if "burst" in said and "rate" not in said:
        wrong.append("burst goes with rate")
    rate = numbers.get("rate")
    # Else one second's worth.
    return rate, numbers.get("burst", max(1.0, rate or 0.0))
