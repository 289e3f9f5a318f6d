"""Names for OIDs, and what a MIB says of their values: enumeration, BITS, DISPLAY-HINT.

    1.3.6.1.2.1.2.2.1.8.3  --longest known prefix-->  IF-MIB, ifOperStatus, .3, {1: up, 2: down}

The table is a file that comes with the package, mib_table.tsv.gz beside this module, made by
script/build-mib-table, where its form is described. Whoever needs a Mib reads the file and hands
the octets in. What operators' own MIBs define is added to a copy, which is put in force whole.
"""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from muttd.errors import ConfigError
from muttd.protocol.trap_severity import TrapSeverities

TABLE_FILE_NAME = "mib_table.tsv.gz"
_FIRST_LINE = "muttd-mib-table 2"

# Devices repeat a few names; 8192 of them take some 3 MB.
_CACHED_PLACES = 8192

# Kinds of a fact.
NOTIFICATION = "n"
OBJECT = "o"


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


class Fact(NamedTuple):
    """What a MIB says of one OID.

    Attributes:
        name: Without its module.
        module: That defines it; empty when only the registry of enterprises knows it.
        kind: NOTIFICATION, OBJECT (it has values), or empty.
        syntax: As the table writes it: "E up=1,down=2", "B linkUp=0", "H 1x:", or empty.
    """

    name: str
    module: str
    kind: str
    syntax: str


class Mib:
    """Names, and severities of notifications. Immutable but for caches; safe in several threads.

    Args:
        entries: OID -> name, number of module, kind and number of syntax, with tabs between.
        modules: Names of modules, by number.
        syntaxes: Syntaxes as the table writes them, by number.
        types: Number of module, name and number of syntax, with tabs between.
        severities: Of notifications.
    """

    def __init__(
        self,
        entries: Mapping[str, str],
        modules: Sequence[str],
        syntaxes: Sequence[str],
        types: Sequence[str],
        severities: TrapSeverities,
    ) -> None:
        self._entries = entries
        self._modules = modules
        self._syntaxes = syntaxes
        self._types = types
        self.place_of = functools.lru_cache(maxsize=_CACHED_PLACES)(self._find_place)
        self.severity_of = severities.of

    @classmethod
    def from_octets(cls, octets: bytes) -> Mib:
        """Read a table.

        Args:
            octets: The file TABLE_FILE_NAME.

        Raises:
            ConfigError: These are not the octets of a table.

        Cost: 20 ms and 8 MB for the table that is shipped; lines are taken apart when first met.
        """
        try:
            blocks = gzip.decompress(octets).decode().split("\n\n")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
            raise ConfigError([f"{TABLE_FILE_NAME} is damaged: {exc}"]) from exc
        if len(blocks) != 5 or blocks[0] != _FIRST_LINE:
            raise ConfigError([f"{TABLE_FILE_NAME} is not a table of MIBs that we can read"])
        modules, syntaxes, types, lines = (block.split("\n") for block in blocks[1:])
        entries = {oid: facts for oid, _, facts in (line.partition("\t") for line in lines)}
        return cls(entries, modules, syntaxes, types, TrapSeverities({}, {}))

    def extended(self, facts: Mapping[str, Fact], severities: TrapSeverities) -> Mib:
        """Another Mib that knows these facts as well; where it knew an OID, they replace it.

        Cost: some 2 ms, and as much again for every 2000 facts.
        """
        entries = dict(self._entries)
        modules = _Numbers(self._modules)
        syntaxes = _Numbers(self._syntaxes)
        for oid, (name, module, kind, syntax) in facts.items():
            entries[oid] = f"{name}\t{modules.of(module)}\t{kind}\t{syntaxes.of(syntax)}"
        return Mib(entries, modules.texts, syntaxes.texts, self._types, severities)

    def facts(self) -> Iterator[tuple[str, Fact]]:
        """Every OID that is known and what is said of it."""
        for oid, text in self._entries.items():
            yield oid, self._fact(text)

    def types(self) -> Iterator[tuple[str, str, str]]:
        """Every type that the table's modules define: module, name and syntax."""
        for line in self._types:
            module_at, name, syntax_at = line.split("\t")
            syntax = self._syntaxes[int(syntax_at)] if syntax_at else ""
            yield self._modules[int(module_at)], name, syntax

    def name_of(self, oid: str) -> str:
        """The name of its longest known prefix, and the numbers that remain.

        "ifIndex.3"; "enterprises.4242.1" when no more is known; a notification with its module,
        "IF-MIB::linkDown"; the OID itself when nothing is known.
        """
        return self.place_of(oid).name

    def qualified_name_of(self, oid: str) -> str:
        """As name_of, always with the module: "SNMPv2-SMI::enterprises.4242.1"."""
        return self.place_of(oid).qualified_name

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
        label, module, kind, syntax_text = self._fact(facts)
        name = label + suffix
        qualified_name = f"{module}::{name}" if module else name
        syntax = _parse_syntax(syntax_text) if syntax_text else NO_SYNTAX
        return Place(qualified_name if kind == NOTIFICATION else name, qualified_name, syntax)

    def _fact(self, text: str) -> Fact:
        name, module_at, kind, syntax_at = text.split("\t")
        return Fact(
            name,
            self._modules[int(module_at)] if module_at else "",
            kind,
            self._syntaxes[int(syntax_at)] if syntax_at else "",
        )


class _Numbers:
    """Texts by number, to which more are added."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self._number_of = {text: number for number, text in enumerate(texts)}

    def of(self, text: str) -> str:
        """The number of a text; empty for no text."""
        if not text:
            return ""
        number = self._number_of.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return str(number)


class MibInForce:
    """The Mib that names things now; replaced whole while traps come in."""

    def __init__(self, mib: Mib) -> None:
        self.current = mib


@functools.lru_cache(maxsize=2048)
def _parse_syntax(text: str) -> Syntax:
    form, _, rest = text.partition(" ")
    if form == "H":
        return Syntax({}, False, rest)
    pairs = (pair.rpartition("=") for pair in rest.split(","))
    return Syntax({int(number): name for name, _, number in pairs}, form == "B", "")
