"""Hosts by what operators write: exact names, globs, addresses and networks.

    sw1.example.net      exact: the event's hostname, case-insensitive; "sw1" is another host
    10.1.2.3             an address: the peer's, or the hostname if that is an address
    10.1.0.0/16          a network: the same
    sw*.example.net      glob: the event's hostname; * ? [abc] [!abc]; * crosses dots

A glob is not compared with the peer's address: "*1" means names that end in 1. Most specific
first: exact name, address, longest network prefix, glob with most literal characters; among
equals the one written first.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum

from muttd.rules.expression import BadExpression, Expression, compiled
from muttd.rules.model import TeamEntry
from muttd.rules.needles import Needles

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOB_PARTS = re.compile(r"\*+|\?|\[(!?)(\]?[^\]]*)\]|[^*?\[]+|\[", re.DOTALL)
_MAX_PREFIX_LEN = 128
# RFC 1035, 2.3.4: a name has at most 255 octets.
MAX_ENTRY_CHARACTERS = 255
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")


class _Kind(IntEnum):
    GLOB = 0
    NETWORK = 1
    EXACT = 2


def address_of(text: str) -> Address | None:
    """The address that a text is, without a zone; IPv4 in IPv6 (RFC 4291, 2.5.5.2) as IPv4."""
    if ":" not in text and not text[-1:].isdigit():
        # Names come by the thousand and an exception costs a microsecond.
        return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_glob(entry: str) -> bool:
    """Whether an entry is compared as a glob."""
    return any(character in entry for character in "*?[")


def glob_expression(glob: str) -> tuple[str, list[str]]:
    """A glob as an expression for RE2, and its literal parts."""
    expression: list[str] = []
    literals: list[str] = []
    for part in _GLOB_PARTS.finditer(glob):
        text = part[0]
        if text[0] == "*":
            expression.append(".*")
        elif text == "?":
            expression.append(".")
        elif part[2]:
            members = re.sub(r"([\\\[\]^])", r"\\\1", part[2])
            expression.append(f"[{'^' if part[1] else ''}{members}]")
        else:
            expression.append(re.escape(text))
            literals.append(text)
    return rf"\A(?:{''.join(expression)})\z", literals


def check_host_entry(text: str) -> str:
    """Bring an entry to its normal form: no blanks around it, addresses in their shortest form.

    Raises:
        ValueError: It can name no host; the text says why, for a human.
    """
    entry = text.strip()
    if not entry:
        raise ValueError("must not be empty")
    if len(entry) > MAX_ENTRY_CHARACTERS:
        raise ValueError(f"has {len(entry)} characters, at most {MAX_ENTRY_CHARACTERS} are allowed")
    if _FORBIDDEN.search(entry) is not None:
        raise ValueError("must not contain blanks or control characters")
    address = address_of(entry)
    if address is not None:
        return str(address)
    if "/" in entry:
        return _checked_network(entry)
    if is_glob(entry):
        try:
            compiled(glob_expression(entry)[0], dot_nl=True)
        except BadExpression as exc:
            raise ValueError(f"not a valid glob: {exc}") from exc
    return entry


def _checked_network(entry: str) -> str:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError as exc:
        raise ValueError(f"not a network such as 10.1.0.0/16 or 2001:db8::/32: {exc}") from exc
    if str(network.network_address) != str(ipaddress.ip_address(entry.partition("/")[0])):
        raise ValueError(f"has bits set behind the prefix; {network} was probably meant")
    return str(network)


class HostIndex:
    """Finds every entry that names a host, in time that hardly depends on how many there are.

    Args:
        entries: Entries that check_host_entry took; the key of one is its place.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._exact: dict[str, list[int]] = {}
        # (IP version, prefix length) -> first address of the network as a number -> keys
        self._networks: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._globs: dict[int, Expression] = {}
        self._bare_globs: list[int] = []
        self._rank: list[tuple[_Kind, int]] = []
        pairs: list[tuple[str, int]] = []
        for key, entry in enumerate(entries):
            self._rank.append(self._add(key, entry, pairs))
        self._needles = Needles(pairs)

    def _add(self, key: int, entry: str, pairs: list[tuple[str, int]]) -> tuple[_Kind, int]:
        address = address_of(entry)
        if address is not None or "/" in entry:
            network = ipaddress.ip_network(entry if address is None else address, strict=False)
            of_length = self._networks.setdefault((network.version, network.prefixlen), {})
            of_length.setdefault(int(network.network_address), []).append(key)
            return (_Kind.NETWORK if address is None else _Kind.EXACT), network.prefixlen
        if not is_glob(entry):
            self._exact.setdefault(entry.casefold(), []).append(key)
            return _Kind.EXACT, _MAX_PREFIX_LEN + 1
        expression, literals = glob_expression(entry)
        self._globs[key] = compiled(expression, dot_nl=True)
        # Only ASCII: how RE2 and casefold() fold the rest is not the same in every version.
        folded = [literal.casefold() for literal in literals if literal.isascii()]
        if folded:
            pairs.append((max(folded, key=len), key))
        else:
            self._bare_globs.append(key)
        return _Kind.GLOB, sum(map(len, literals))

    def keys_of(self, hostname: str, source_ip: str) -> set[int]:
        """The places of all entries that name this host."""
        octets = hostname.encode("utf-8", "replace")
        folded = octets.decode().casefold()
        found = set(self._exact.get(folded, ()))
        if self._networks:
            self._add_of_address(address_of(hostname), found)
            self._add_of_address(address_of(source_ip), found)
        if self._globs:
            candidates = set(self._bare_globs)
            self._needles.add_keys_of(folded, candidates)
            found.update(k for k in candidates if self._globs[k].search(octets) is not None)
        return found

    def _add_of_address(self, address: Address | None, found: set[int]) -> None:
        if address is None:
            return
        number = int(address)
        bits = address.max_prefixlen
        for (version, prefix_len), networks in self._networks.items():
            if version == address.version:
                mask = (1 << bits) - (1 << (bits - prefix_len))
                found.update(networks.get(number & mask, ()))

    def most_specific(self, keys: Iterable[int]) -> int | None:
        """The most specific of these entries; among equals the first."""
        return max(keys, key=lambda key: (*self._rank[key], -key), default=None)


class HostSet:
    """Membership, as of development_hosts."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._index = HostIndex(entries)

    def has(self, hostname: str, source_ip: str) -> bool:
        """Whether any entry names this host."""
        return bool(self._index.keys_of(hostname, source_ip))


class HostMap:
    """A value per host, as of device_teams; the most specific entry wins."""

    def __init__(self, entries: Sequence[TeamEntry]) -> None:
        self._index = HostIndex([entry.hostname for entry in entries])
        self._teams = [entry.team_assignment for entry in entries]

    def team_of(self, hostname: str, source_ip: str) -> str | None:
        """The team of the most specific entry that names this host, if one does."""
        key = self._index.most_specific(self._index.keys_of(hostname, source_ip))
        return None if key is None else self._teams[key]
