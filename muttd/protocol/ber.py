"""X.690: the part of the Basic Encoding Rules that SNMP uses (RFC 3417, 8), reader and writer.

    identifier  length          content
    +---------+---------------+-----------------+
    | 1 octet | 0xxxxxxx      | length octets   |     short form, 8.1.3.4
    |         | 1nnnnnnn n... |                 |     long form, 8.1.3.5: n octets of length
    +---------+---------------+-----------------+

Every length is compared with what is left of the enclosing element before anything is sliced:
slicing past the end does not fail in Python, it answers with less. Nothing here recurses, so no
nesting, however deep, costs stack. Readers raise MalformedBer and nothing else.
"""

from __future__ import annotations

import functools

from muttd.errors import InvalidInput, MalformedBer

# X.690, 8.1.2, and RFC 3416, 3: class, constructed, number.
INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30

# RFC 2578, 3.5: a value has at most 128 sub-identifiers, each below 2**32.
MAX_ARCS = 128
MAX_ARC = 2**32 - 1

# Five octets hold 35 bits. What is longer is padded, and would make the cache below unbounded.
MAX_OID_OCTETS = 5 * MAX_ARCS

# A message of 64 KiB needs three. Four, because some agents always write four.
MAX_LENGTH_OCTETS = 4

# INTEGER is 32 bits wide, Counter64 64 and one octet for the sign. What is wider is no number that
# SNMP knows, and Python refuses to write numbers of thousands of digits.
MAX_INTEGER_OCTETS = 16

# An OID may need five octets an arc, so the cache is bounded in octets as well: 12 MB at the very
# worst, some 500 kB in practice.
_CACHED_OIDS = 4096


def read_header(octets: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read one identifier and length.

    Args:
        octets: The whole message.
        at: Where the element begins.
        end: Where the enclosing element ends; at most len(octets).

    Returns:
        (identifier, start, stop): the content is octets[start:stop], and stop <= end.

    Raises:
        MalformedBer: The element is cut short, runs past the enclosing one, has the indefinite
            length, or has an identifier of several octets.

    Source: X.690, 8.1.2 and 8.1.3.
    """
    if at + 2 > end:
        raise MalformedBer("element is cut short", at=at, source="X.690, 8.1.1")
    identifier = octets[at]
    if identifier & 0x1F == 0x1F:
        raise MalformedBer("identifier of several octets", at=at, source="X.690, 8.1.2.4")
    length = octets[at + 1]
    start = at + 2
    if length > 0x7F:
        length, start = read_long_length(octets, at + 1, end)
    stop = start + length
    if stop > end:
        raise MalformedBer("length runs past the element", at=at + 1, source="X.690, 8.1.3")
    return identifier, start, stop


def read_long_length(octets: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a length in its long form; leading zeros, which agents do send, are no fault.

    Args:
        octets: The whole message.
        at: Where the length begins; octets[at] is above 0x7F.
        end: Where the enclosing element ends.

    Returns:
        (length, start): the content begins at start. The caller compares its end.

    Raises:
        MalformedBer: Indefinite, of too many octets, or cut short.

    Source: X.690, 8.1.3.5 and 8.1.3.6; RFC 3417, 8 (1) forbids the indefinite form.
    """
    length_octets = octets[at] & 0x7F
    if length_octets == 1 and at + 2 <= end:
        return octets[at + 1], at + 2
    if length_octets == 0:
        raise MalformedBer("indefinite length", at=at, source="RFC 3417, 8")
    if length_octets > MAX_LENGTH_OCTETS:
        raise MalformedBer("length of too many octets", at=at, source="X.690, 8.1.3.5")
    start = at + 1 + length_octets
    if start > end:
        raise MalformedBer("length is cut short", at=at, source="X.690, 8.1.3.5")
    return int.from_bytes(octets[at + 1 : start]), start


def read_element(octets: bytes, at: int, end: int, identifier: int) -> tuple[int, int]:
    """Read the header of an element that must have this identifier.

    Returns:
        (start, stop) of its content.

    Raises:
        MalformedBer: As read_header, and when the identifier is another one.
    """
    # As in read_header, without a second call.
    start = at + 2
    if start <= end and octets[at] == identifier:
        length = octets[at + 1]
        if length > 0x7F:
            length, start = read_long_length(octets, at + 1, end)
        stop = start + length
        if stop <= end:
            return start, stop
    # It is at fault, and what comes first in it is said.
    found, _, _ = read_header(octets, at, end)
    what = f"identifier 0x{found:02x} where 0x{identifier:02x} belongs"
    raise MalformedBer(what, at=at, source="X.690, 8.1.2")


def read_integer(octets: bytes, at: int, end: int) -> tuple[int, int]:
    """Read one INTEGER. One that is not minimal (X.690, 8.3.2) is no fault.

    Returns:
        (value, stop): the next element begins at stop.

    Raises:
        MalformedBer: As read_element, and when it has no content or too much of it.
    """
    # By far the most frequent form first, without a call.
    start = at + 2
    if start < end and octets[at] == INTEGER:
        length = octets[at + 1]
        if length == 1 and octets[start] < 0x80:
            return octets[start], start + 1
        if 0 < length <= MAX_INTEGER_OCTETS and start + length <= end:
            return int.from_bytes(octets[start : start + length], signed=True), start + length
    start, stop = read_element(octets, at, end, INTEGER)
    if not 0 < stop - start <= MAX_INTEGER_OCTETS:
        raise MalformedBer("INTEGER of no or too many octets", at=at + 1, source="X.690, 8.3.1")
    return int.from_bytes(octets[start:stop], signed=True), stop


def read_oid(octets: bytes, start: int, stop: int) -> str:
    """The OBJECT IDENTIFIER whose content is octets[start:stop], without a leading dot.

    Raises:
        MalformedBer: Empty, cut short within an arc, more than 128 arcs, or an arc above 2**32-1.

    Cost: 0.1 us for an OID met before; devices repeat a few.
    Source: X.690, 8.19; RFC 2578, 3.5.
    """
    try:
        return _oid_text(octets[start:stop])
    except MalformedBer as exc:
        # The cache knows content only; the reader of the message wants the octet in the message.
        raise MalformedBer(exc.what, at=start + exc.at, source=exc.source) from None


@functools.lru_cache(maxsize=_CACHED_OIDS)
def _oid_text(content: bytes) -> str:
    if not content:
        raise MalformedBer("OBJECT IDENTIFIER without content", at=0, source="X.690, 8.19.2")
    if len(content) > MAX_OID_OCTETS:
        raise MalformedBer("OBJECT IDENTIFIER is too long", at=0, source="RFC 2578, 3.5")
    if content[-1] & 0x80:
        at = len(content) - 1
        raise MalformedBer("sub-identifier is cut short", at=at, source="X.690, 8.19.2")
    arcs: list[int] = []
    arc = 0
    for at, octet in enumerate(content):
        # Compared at every octet: a number that may grow without end costs quadratic time. The
        # first sub-identifier holds two arcs, hence 80 more than one arc may be (8.19.4).
        arc = arc << 7 | octet & 0x7F
        if arc > (MAX_ARC if arcs else MAX_ARC + 80):
            raise MalformedBer("sub-identifier above 2**32-1", at=at, source="RFC 2578, 3.5")
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
    if len(arcs) >= MAX_ARCS:
        raise MalformedBer("more than 128 sub-identifiers", at=0, source="RFC 2578, 3.5")
    root = min(arcs[0] // 40, 2)
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))


def encode_element(identifier: int, content: bytes) -> bytes:
    """One element, its length in the shortest form (X.690, 10.1)."""
    length = len(content)
    if length < 0x80:
        return bytes((identifier, length)) + content
    length_octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((identifier, 0x80 | len(length_octets))) + length_octets + content


def encode_integer(value: int, identifier: int = INTEGER) -> bytes:
    """One INTEGER, or a type that is an implicit INTEGER, of as few octets as can be."""
    # One bit for the sign; ~value because -128 fits one octet and 128 does not.
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return encode_element(identifier, value.to_bytes((bits + 7) // 8, signed=True))


def encode_oid(oid: str) -> bytes:
    """One OBJECT IDENTIFIER; a leading dot is accepted.

    Raises:
        InvalidInput: Not numbers with dots between them, fewer than 2 or more than 128 of them, or
            one out of its range.
    """
    texts = oid.removeprefix(".").split(".")
    # isdecimal alone would let digits of other scripts through.
    if not all(text.isascii() and text.isdecimal() and len(text) <= 10 for text in texts):
        raise InvalidInput([("oid", "an OID is numbers with dots between them")])
    arcs = [int(text) for text in texts]
    if not 2 <= len(arcs) <= MAX_ARCS:
        raise InvalidInput([("oid", f"an OID has 2 to {MAX_ARCS} numbers")])
    if max(arcs) > MAX_ARC or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise InvalidInput([("oid", "a number of this OID is out of its range")])
    content = b"".join(map(_encode_arc, (40 * arcs[0] + arcs[1], *arcs[2:])))
    return encode_element(OBJECT_IDENTIFIER, content)


def _encode_arc(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(arc & 0x7F | 0x80)
    return bytes(reversed(octets))
