"""A notification as people read it: names, values, and one line.

    IF-MIB::linkDown ifIndex.3=3 ifDescr.3=Gi0/3 ifOperStatus.3=down(2)

Values come from strangers and end in terminals, files and pages: whatever is not printable is
written as an escape, so that a line stays one line and nothing in it commands a terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from muttd.protocol.mib import Mib, Syntax
from muttd.protocol.mib_hint import apply_integer_hint, apply_octet_hint, is_text_hint
from muttd.protocol.snmp import Notification
from muttd.protocol.snmp_varbind import ABOUT, SNMP_TRAP_OID, SYS_UP_TIME, Value, WireVarbind

# BITS of the standard MIBs have at most 28 octets. Longer ones are shown as octets.
_MAX_BITS_OCTETS = 64

# What is kept of varbinds that came before: at most some two megabytes.
_KNOWN_VARBINDS = 4096
_KNOWN_CHARS = 96

# snmpTrapOID.0 is the first word of the line already; sysUpTime.0 would make two lines about one
# fault differ.
_NOT_IN_LINE = {oid for oid, name in ABOUT.items() if name in (SYS_UP_TIME, SNMP_TRAP_OID)}


V = TypeVar("V")


class TextVarbind(NamedTuple):
    """One varbind as text.

    Attributes:
        name: "ifIndex.3", or numbers.
        oid: In numbers, without a leading dot.
        type: The syntax on the wire: INTEGER, OCTET STRING, ...
        value: Printable characters only.
    """

    name: str
    oid: str
    type: str
    value: str


class TrapText(NamedTuple):
    """A notification as text.

    Attributes:
        name: Of the notification, with its module.
        varbinds: All of them, in the order of the notification.
        message: The one line.
    """

    name: str
    varbinds: tuple[TextVarbind, ...]
    message: str


def describe(notification: Notification, mib: Mib) -> TrapText:
    """Name a notification and write its values.

    Never fails, whatever the values are. In the line an OCTET STRING that is empty or has blanks
    or quotes in it stands between quotes.

    Cost: 1.2 us a varbind whose name was met before.
    """
    varbinds, line = TrapTexts(mib, TextVarbind).write(notification)
    return TrapText(mib.qualified_name_of(notification.trap_oid), tuple(varbinds), line)


class TrapTexts(Generic[V]):
    """Writes one notification after the other, and knows the varbinds that came before.

    Args:
        mib: Names and values.
        varbind: Makes what is handed out for each of them, of what a TextVarbind holds.
    """

    def __init__(self, mib: Mib, varbind: Callable[[str, str, str, str], V]) -> None:
        self.mib = mib
        self._varbind = varbind
        self._known: dict[WireVarbind, tuple[V, str]] = {}

    def write(self, notification: Notification) -> tuple[list[V], str]:
        """Its varbinds, and the one line; 0.15 us for a varbind that came before."""
        varbinds = []
        line = self.mib.qualified_name_of(notification.trap_oid)
        known = self._known
        for varbind in notification.varbinds:
            found = known.get(varbind) or self._describe(varbind)
            varbinds.append(found[0])
            line += found[1]
        return varbinds, line

    def _describe(self, varbind: WireVarbind) -> tuple[V, str]:
        oid, syntax, value = varbind
        place = self.mib.place_of(oid)
        text = value_text(syntax, value, place.syntax, self.mib)
        word = ""
        if oid not in _NOT_IN_LINE:
            word = f" {place.name}={_quoted(text) if syntax == 'OCTET STRING' else text}"
        found = self._varbind(place.name, oid, syntax, text), word
        # 0.0 and -0.0 are equal, and are written otherwise.
        if not isinstance(value, float) and len(text) <= _KNOWN_CHARS:
            if len(self._known) >= _KNOWN_VARBINDS:
                self._known.clear()
            self._known[varbind] = found
        return found


def value_text(syntax: str, value: Value, of_object: Syntax, mib: Mib) -> str:
    """One value as text.

    Args:
        syntax: Its syntax on the wire.
        value: As in WireVarbind.
        of_object: What the MIB says of the object.
        mib: Names a value that is an OID.

    Returns:
        down(2) for an enumeration; 1:02:03.45 (372345) for TimeTicks; text, or 0x and hexadecimal
        digits, for octets; IF-MIB::linkDown for an OID; the name of the syntax for no value.
    """
    if isinstance(value, int):
        if value in of_object.names and not of_object.is_bits:
            return f"{of_object.names[value]}({value})"
        if syntax == "TimeTicks":
            return _ticks_text(value)
        return apply_integer_hint(of_object.hint, value) if of_object.hint else str(value)
    if isinstance(value, bytes):
        return _octets_text(value, of_object) if syntax == "OCTET STRING" else _hex(value)
    if isinstance(value, str):
        return mib.qualified_name_of(value) if syntax == "OBJECT IDENTIFIER" else value
    # A single precision float has seven digits, and the rest would be noise.
    return syntax if value is None else f"{value:.7g}"


def _ticks_text(hundredths: int) -> str:
    seconds, fraction = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    before = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    return f"{before}{hours}:{minutes:02}:{seconds:02}.{fraction:02} ({hundredths})"


def _octets_text(octets: bytes, of_object: Syntax) -> str:
    if of_object.is_bits:
        return _bits_text(octets, of_object)
    hint = of_object.hint
    if is_text_hint(hint):
        return _visible(_decoded(octets.rstrip(b"\0")))
    hinted = apply_octet_hint(hint, octets) if hint else None
    if hinted is not None:
        return _visible(hinted)
    # Nobody says what it is. Agents written in C put a NUL behind a text.
    bare = octets[:-1] if octets[:-1] and octets.endswith(b"\0") else octets
    try:
        text = bare.decode()
    except UnicodeDecodeError:
        return _hex(octets)
    if text.isprintable():
        return text
    if text.translate(_BLANKS).isprintable():
        return _visible(text)
    return _hex(octets)


# Controls that texts of several lines have in them.
_BLANKS = dict.fromkeys(map(ord, "\t\r\n"), " ")


def _bits_text(octets: bytes, of_object: Syntax) -> str:
    # Bit 0 is the highest of the first octet (RFC 2578, 7.1.4).
    if len(octets) > _MAX_BITS_OCTETS:
        return _hex(octets)
    numbers = (n for n in range(8 * len(octets)) if octets[n >> 3] & 0x80 >> (n & 7))
    texts = [f"{of_object.names[n]}({n})" if n in of_object.names else str(n) for n in numbers]
    return ",".join(texts) or _hex(octets)


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _hex(octets: bytes) -> str:
    return f"0x{octets.hex()}" if octets else ""


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    # Not only C0 and C1: characters that turn the direction of a line are not printable either.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _quoted(text: str) -> str:
    if text and " " not in text and '"' not in text:
        return text
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
