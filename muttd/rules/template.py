r"""What a message says once everything that changes from one to the next is masked.

    Failed password for invalid user bob from 10.1.2.3 port 5511 ssh2
    Failed password for invalid user <user> from <ip> port <num> ssh2

Placeholders: <num> <ip> <mac> <hex> <uuid> <time> <str> (quoted) <path> <if> (an interface)
and <user> (one that sshd calls invalid: whoever knocks chooses it).

What names a thing of its own stays: mnemonics and codes (%LINK-3-UPDOWN, ORA-00600) and words that
end in up to three digits (eth0, sda1, ssh2).

Every repetition below is bounded or cannot start twice over the same text, so that a hostile
message costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Shapes of longer messages are not remembered: they seldom come twice, and take the room of many.
MAX_REMEMBERED_CHARACTERS = 1024
# The longest message that syslog carries; what HTTP brings beyond that says nothing new.
MAX_TEXT_CHARACTERS = 8192

_H = "[0-9A-Fa-f]"
_TIME = (
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w:])"
    r"|\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?![\w:])"
)
_NAMED_TIME = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?[JFMASOND][a-z]{2} [ \d]\d"
    r"(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?(?!\w)"
)
_MAC = rf"(?:{_H}{{2}}(?:[:-]{_H}{{2}}){{5}}|{_H}{{4}}\.{_H}{{4}}\.{_H}{{4}})(?!\w|:[\w:])"
_IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d)(?:/\d{1,5}(?!\d))?"
_GROUPS = rf"{_H}{{1,4}}(?::{_H}{{1,4}}){{0,6}}"
_IPV6 = (
    rf"(?:(?:{_H}{{1,4}}:){{7}}{_H}{{1,4}}|(?:{_GROUPS})?::(?:{_GROUPS})?)(?!\w|:[\w:])"
    r"(?:/\d{1,3})?"
)
_INTERFACE = (
    r"[A-Za-z]{1,40}-?\d+(?:/\d+)+(?:[.:]\d+)*"
    r"|(?:eth|bond|[Vv]lan|[Pp]o|[Pp]ort-channel|[Ll]o|[Ll]oopback|[Tt]un|[Tt]unnel|ppp|wlan|br"
    r"|ae|reth|irb|en[ops])\d\w*(?:\.\d+)?(?![\w-])"
)

# Whatever begins with digits, or with letters that digits or a colon follow, is looked at; the
# lookahead dismisses plain words after one glance, and they are nearly everything.
_VARYING = re.compile(
    r"(?<![A-Za-z0-9_])(?:(?=[A-Za-z%_-]{0,40}[\d:])(?:"
    r"(?P<num>\d+(?![\w.:/-]))"
    rf"|(?P<uuid>{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}})"
    rf"|(?P<time>{_TIME})"
    rf"|(?P<mac>{_MAC})"
    rf"|(?P<ip>{_IPV4}|{_IPV6})"
    rf"|(?P<hex>0[xX]{_H}+|(?=[A-Fa-f]{{0,64}}\d)(?=\d{{0,64}}[A-Fa-f]){_H}{{8,}}(?!\w))"
    r"|(?P<numbers>\d+(?:[./]\d+)*)"
    r"|(?P<kept>%?[A-Z][A-Z0-9_]{0,40}-\d{1,6}(?![0-9])[A-Z0-9_-]*)"
    rf"|(?P<if>{_INTERFACE})"
    # The tail of a word: an id has four digits or more, or stands behind an underscore.
    r"|(?P<word>[A-Za-z_]{1,40}(?:\d{4,}|(?<=_)\d+)(?:_\d+)*))"
    r"|\"(?P<str>[^\"]*)\"|'(?P<str1>[^']*)'(?!\w)"
    r"|(?P<path>/[\w.+@-]+(?:/[\w.+@-]*)*)"
    rf"|(?P<named_time>{_NAMED_TIME})"
    r"|[Ii]nvalid user (?P<user>\S+)"
    r")"
)

_TAIL = re.compile(r"\d{4,}|(?<=_)\d+")

_DIGIT = re.compile(r"[0-9]")
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")

_PLACEHOLDERS = {
    "str": '"<str>"',
    "str1": "'<str>'",
    "named_time": "<time>",
    "user": "invalid user <user>",
    **dict.fromkeys(("num", "numbers"), "<num>"),
    **{kind: f"<{kind}>" for kind in ("uuid", "time", "mac", "ip", "hex", "if", "path")},
}


def template_of(text: str) -> str:
    """Mask what varies. Equal for two messages that say the same of different numbers.

    Cost: one pass, 5 us for a usual message.
    """
    return _VARYING.sub(_masked, text[:MAX_TEXT_CHARACTERS])


class Templates:
    """Remembers templates: most messages are known but for their digits.

    Two messages that differ in nothing but the values of digits have the same parts masked (all
    digits are alike to the expression above, save the 0 of 0x), so that what was found out for one
    holds for the other, and only the digits that stay have to be copied.

    Args:
        most: Shapes remembered; then it begins anew.
    """

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        # A template; or, where digits stay, its pieces: text, or a place in the message.
        self._known: dict[bytes, str | list[str | slice]] = {}

    def of(self, text: str) -> str:
        """The same as template_of.

        Cost: 1 us for a usual message whose shape is known, else that of template_of and 3 us.
        """
        if len(text) > MAX_REMEMBERED_CHARACTERS:
            return template_of(text)
        octets = text.encode("utf-8", "surrogatepass")
        if b"0x" in octets or b"0X" in octets:
            octets = octets.replace(b"0x", b"\xffx").replace(b"0X", b"\xffX")
        key = octets.translate(_DIGITS_ALIKE)
        shape = self._known.get(key)
        if shape is None:
            shape = self._learn(key, text)
        if isinstance(shape, str):
            return shape
        return "".join([each if isinstance(each, str) else text[each] for each in shape])

    def _learn(self, key: bytes, text: str) -> str | list[str | slice]:
        pieces: list[str | slice] = []
        end = 0
        for match in _VARYING.finditer(text):
            _keep(pieces, text, end, match.start())
            end = match.end()
            if match.lastgroup == "word":
                at = match.start()
                for tail in _TAIL.finditer(match[0]):
                    _keep(pieces, text, at, match.start() + tail.start())
                    pieces.append("<num>")
                    at = match.start() + tail.end()
                _keep(pieces, text, at, end)
            elif match.lastgroup == "kept":
                _keep(pieces, text, match.start(), end)
            else:
                pieces.append(_masked(match))
        _keep(pieces, text, end, len(text))
        shape: str | list[str | slice] = pieces
        if all(isinstance(piece, str) for piece in pieces):
            shape = "".join(str(piece) for piece in pieces)
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = shape
        return shape


def _keep(pieces: list[str | slice], text: str, start: int, end: int) -> None:
    if start < end:
        kept = text[start:end]
        pieces.append(slice(start, end) if _DIGIT.search(kept) else kept)


def varying_parts(text: str) -> Iterator[tuple[str, str, int, int]]:
    """What template_of masks: (placeholder's kind, text, start, end), in order."""
    for match in _VARYING.finditer(text[:MAX_TEXT_CHARACTERS]):
        kind = match.lastgroup or ""
        yield kind, match[kind], match.start(), match.end()


def _masked(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "word":
        return _TAIL.sub("<num>", match[0])
    return _PLACEHOLDERS.get(kind) or match[0]
