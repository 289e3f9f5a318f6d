"""What is kept of a MIB module: names, where they hang, and how values are written.

    text --parse.py--> Module --link.py--> OID -> Fact

A Module stands by itself: whatever it imports is still a name. So it can be kept, and need not be
read again when another module comes or goes.
"""

from __future__ import annotations

import msgspec

# SMI itself: macros and base types, whose texts define nothing that is ever sent (RFC 1155, 1212,
# 1215, 2578 to 2580). Their roots are in the table, and their macros are the parser's.
LANGUAGE_MODULES = frozenset(
    {
        "RFC1065-SMI",
        "RFC1155-SMI",
        "RFC-1212",
        "RFC-1215",
        "RFC1212",
        "RFC1215",
        "SNMPv2-SMI",
        "SNMPv2-SMI-v1",
        "SNMPv2-TC",
        "SNMPv2-TC-v1",
        "SNMPv2-CONF",
    }
)

# A node of an OID as it is written: { ciscoMgmt 41 } is ("ciscoMgmt", 41).
Oid = tuple[str | int, ...]


class Syntax(msgspec.Struct, frozen=True, array_like=True):
    """How values are written.

    Attributes:
        text: As the table of MIBs writes it: "E up=1,down=2", "B linkUp=0", "H 1x:", or empty.
        type_name: The type that says it when text is empty; empty for a type of SMI itself.
    """

    text: str = ""
    type_name: str = ""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One name that stands for an OID.

    Attributes:
        kind: As in the table of MIBs: NOTIFICATION, OBJECT, or empty.
        oid: Its parent and numbers; of a TRAP-TYPE its ENTERPRISE.
        syntax: Of an object.
        specific_trap: Of a TRAP-TYPE (RFC 1215); None for everything else.
    """

    name: str
    kind: str
    oid: Oid
    syntax: Syntax = Syntax()
    specific_trap: int | None = None


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """One MIB module.

    Attributes:
        imports: Symbol -> the module it comes from.
        types: Textual conventions and other types, by name.
        severities: Of notifications, 0 to 7, as annotated (--#SEVERITY).
    """

    name: str
    imports: dict[str, str] = {}
    definitions: list[Definition] = []
    types: dict[str, Syntax] = {}
    severities: dict[str, int] = {}


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a text.

    Attributes:
        modules: That are in it; none when there is an error.
        error: What is wrong with it, with its line; None when nothing is.
    """

    modules: list[Module] = []
    error: str | None = None
