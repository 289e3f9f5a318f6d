"""DISPLAY-HINT (RFC 2579, 3.1): how the octets or the number of an object are written as text.

    octet-format    [*] length  format  [separator [terminator]]   1x:   2d-1d-1d,1d:1d:1d   255a
    integer-format  d [-places] | x | o | b                          d-2

A hint is compiled once, when its object is first met; applying it never fails.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

# One octet-format specification: repeat indicator, octet length, format, separator, terminator.
_SPECIFICATION = re.compile(r"(\*?)(\d+)([xdoat])([^\d*]?)([^\d*]?)")
_INTEGER = re.compile(r"d-(\d)|([xob])")


class _Specification(NamedTuple):
    repeats: bool
    octet_count: int
    form: str
    separator: str
    terminator: str


@functools.lru_cache(maxsize=256)
def _compiled(hint: str) -> tuple[_Specification, ...]:
    # Empty when there is anything in the hint that is not a specification.
    parts: list[_Specification] = []
    at = 0
    while found := _SPECIFICATION.match(hint, at):
        repeat, count, form, separator, terminator = found.groups()
        # A terminator ends a repetition; without one the second character begins what follows.
        if not repeat and terminator:
            break
        parts.append(_Specification(bool(repeat), int(count), form, separator, terminator))
        at = found.end()
    return tuple(parts) if at == len(hint) else ()


@functools.lru_cache(maxsize=256)
def is_text_hint(hint: str) -> bool:
    """Whether the hint says that all octets are characters: 255a, 32t."""
    parts = _compiled(hint)
    return bool(parts) and all(part.form in "at" for part in parts)


def apply_integer_hint(hint: str, number: int) -> str:
    """A number as its hint has it; a hint that is not understood is no hint.

    Source: RFC 2579, 3.1, integer-format.
    """
    found = _INTEGER.fullmatch(hint)
    if found is None:
        return str(number)
    places, base = found.groups()
    if base:
        return format(number, base)
    digits = str(abs(number)).rjust(int(places) + 1, "0")
    at = len(digits) - int(places)
    sign = "-" if number < 0 else ""
    return sign + digits[:at] + ("." + digits[at:] if int(places) else "")


def apply_octet_hint(hint: str, octets: bytes) -> str | None:
    """Octets as their hint has them; None for a hint that is not understood.

    The last specification is used again until no octet is left. A separator is not written after
    the last octet. Hexadecimal is written in full, 0a and not a: that is how addresses are read.

    Source: RFC 2579, 3.1, octet-format.
    """
    parts = _compiled(hint)
    if not parts or not octets:
        return "" if parts else None
    texts: list[str] = []
    at = index = 0
    while at < len(octets):
        part = parts[min(index, len(parts) - 1)]
        index += 1
        times = 1
        if part.repeats:
            times = octets[at]
            at += 1
        # A length of zero would go round for ever over the same octets.
        step = part.octet_count or len(octets)
        while times and at < len(octets):
            times -= 1
            texts.append(_written(part.form, octets[at : at + step]))
            at += step
            if at < len(octets) and (times or not part.terminator):
                texts.append(part.separator)
        if part.terminator and at < len(octets):
            texts.append(part.terminator)
    return "".join(texts)


def _written(form: str, octets: bytes) -> str:
    if form == "x":
        return octets.hex()
    if form == "d":
        # Python refuses to write numbers of thousands of digits; 16 octets are 39.
        return str(int.from_bytes(octets)) if len(octets) <= 16 else octets.hex()
    if form == "o":
        return format(int.from_bytes(octets), "o")
    return octets.decode("utf-8" if form == "t" else "latin-1", "backslashreplace")
