"""Names for OIDs, and what a MIB says of their values: enumeration, BITS, DISPLAY-HINT, severity.

    1.3.6.1.2.1.2.2.1.8.3  --longest known prefix-->  IF-MIB, ifOperStatus, .3, {1: up, 2: down}

The table is a file that comes with the package, mib_table.tsv.gz beside this module, made by
script/build-mib-table, where its form is described. Whoever needs a Mib reads the file and hands
the octets in.
"""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from muttd.errors import ConfigError

TABLE_FILE_NAME = "mib_table.tsv.gz"
_FIRST_LINE = "muttd-mib-table 1"

# RFC 5424, 6.2.1, table 2.
_NOTICE = 5
_WARNING = 4
_ERROR = 3

# A notification says what happened, and its MIB does not say how bad that is.
DEFAULT_SEVERITY = _NOTICE
SEVERITIES: Mapping[str, int] = {
    "1.3.6.1.6.3.1.1.5.1": _WARNING,  # coldStart
    "1.3.6.1.6.3.1.1.5.2": _WARNING,  # warmStart
    "1.3.6.1.6.3.1.1.5.3": _ERROR,  # linkDown
    "1.3.6.1.6.3.1.1.5.4": _NOTICE,  # linkUp
    "1.3.6.1.6.3.1.1.5.5": _WARNING,  # authenticationFailure
    "1.3.6.1.6.3.1.1.5.6": _ERROR,  # egpNeighborLoss
}

# Devices repeat a few names; 8192 of them take some 3 MB.
_CACHED_PLACES = 8192

_NOTIFICATION = "n"


class Syntax(NamedTuple):
    """What the MIB says of the values of an object, beyond their type on the wire.

    Attributes:
        names: Of an enumeration, or of the bits of BITS; empty for all else.
        is_bits: Whether the names are of bits.
        hint: Its DISPLAY-HINT, or empty.
    """

    names: Mapping[int, str]
    is_bits: bool
    hint: str


NO_SYNTAX = Syntax({}, False, "")


class Place(NamedTuple):
    """Where an OID is in the tree of names.

    Attributes:
        name: As it is shown: "ifIndex.3", "IF-MIB::linkDown"; numbers when nothing is known.
        qualified_name: With the module, whatever it is: "IF-MIB::ifIndex.3".
        syntax: Of the object that the OID is an instance of.
    """

    name: str
    qualified_name: str
    syntax: Syntax


class Mib:
    """The names of one table. Immutable but for a cache; safe in several threads.

    Args:
        entries: OID -> name, number of module, kind and number of syntax, with tabs between.
        modules: Names of modules, by number.
        syntaxes: Syntaxes as the table writes them, by number.
        severities: Trap OID -> severity, in addition to the standard ones and before them.
    """

    def __init__(
        self,
        entries: Mapping[str, str],
        modules: Sequence[str],
        syntaxes: Sequence[str],
        severities: Mapping[str, int],
    ) -> None:
        self._entries = entries
        self._modules = modules
        self._syntaxes = syntaxes
        self._severities = {**SEVERITIES, **severities}
        self.place_of = functools.lru_cache(maxsize=_CACHED_PLACES)(self._find_place)

    @classmethod
    def from_octets(cls, octets: bytes, *, severities: Mapping[str, int] | None = None) -> Mib:
        """Read a table.

        Args:
            octets: The file TABLE_FILE_NAME.
            severities: Trap OID -> severity 0 to 7, in addition to the standard ones.

        Raises:
            ConfigError: These are not the octets of a table.

        Cost: 20 ms and 8 MB for the table that is shipped; lines are taken apart when first met.
        """
        try:
            blocks = gzip.decompress(octets).decode().split("\n\n")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
            raise ConfigError([f"{TABLE_FILE_NAME} is damaged: {exc}"]) from exc
        if len(blocks) != 4 or blocks[0] != _FIRST_LINE:
            raise ConfigError([f"{TABLE_FILE_NAME} is not a table of MIBs that we can read"])
        modules, syntaxes, lines = (block.split("\n") for block in blocks[1:])
        entries = {oid: facts for oid, _, facts in (line.partition("\t") for line in lines)}
        return cls(entries, modules, syntaxes, severities or {})

    def name_of(self, oid: str) -> str:
        """The name of its longest known prefix, and the numbers that remain.

        "ifIndex.3"; "enterprises.4242.1" when no more is known; a notification with its module,
        "IF-MIB::linkDown"; the OID itself when nothing is known.
        """
        return self.place_of(oid).name

    def qualified_name_of(self, oid: str) -> str:
        """As name_of, always with the module: "SNMPv2-SMI::enterprises.4242.1"."""
        return self.place_of(oid).qualified_name

    def severity_of(self, trap_oid: str) -> int:
        """The severity of a notification, 0 to 7; notice (5) where nothing says otherwise."""
        return self._severities.get(trap_oid, DEFAULT_SEVERITY)

    def _find_place(self, oid: str) -> Place:
        # At most 128 steps, one an arc (RFC 2578, 3.5).
        prefix = oid
        while prefix:
            facts = self._entries.get(prefix)
            if facts is not None:
                return self._place(facts, oid[len(prefix) :])
            prefix = prefix.rpartition(".")[0]
        return Place(oid, oid, NO_SYNTAX)

    def _place(self, facts: str, suffix: str) -> Place:
        label, module_at, kind, syntax_at = facts.split("\t")
        name = label + suffix
        qualified_name = f"{self._modules[int(module_at)]}::{name}"
        syntax = _parse_syntax(self._syntaxes[int(syntax_at)]) if syntax_at else NO_SYNTAX
        return Place(qualified_name if kind == _NOTIFICATION else name, qualified_name, syntax)


@functools.lru_cache(maxsize=2048)
def _parse_syntax(text: str) -> Syntax:
    form, _, rest = text.partition(" ")
    if form == "H":
        return Syntax({}, False, rest)
    pairs = (pair.rpartition("=") for pair in rest.split(","))
    return Syntax({int(number): name for name, _, number in pairs}, form == "B", "")
