r"""What a message says once everything that changes from one to the next is masked.

    Failed password for invalid user bob from 10.1.2.3 port 5511 ssh2
    Failed password for invalid user <user> from <ip> port <num> ssh2

Placeholders: <num> <ip> <mac> <pci> <hex> <uuid> <sid> <time> <str> (quoted) <path> <if> (an
interface) <dev> (a block device) <part> (CPU3) <host>; and what only the words around it tell:
<user> <host> <proc> (a program) <thread> <value> (of a Windows event's field).

What names a thing of its own stays: mnemonics and codes (%LINK-3-UPDOWN, ORA-00600) and words that
end in up to three digits (eth0, sda1, ssh2).

Every repetition below is bounded or cannot start twice over the same text, so that a hostile
message costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Shapes of longer messages are not remembered: they seldom come twice, and take the room of many.
MAX_REMEMBERED_CHARACTERS = 1024
# The longest message that syslog carries; what HTTP brings beyond that says nothing new.
MAX_TEXT_CHARACTERS = 8192

_H = "[0-9A-Fa-f]"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME = (
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w:])"
    # Cisco IOS: 19:57:17 UTC Mon Mar 3 2025. A duration may have one or three digits of hours.
    rf"|\d{{1,3}}:\d\d:\d\d(?:[.,]\d{{1,9}})?(?![\w:])"
    rf"(?: [AP]M(?!\w)| (?:[A-Z]{{2,5}} )?{_DAY} [JFMASOND][a-z]{{2}}  ?\d{{1,2}} \d{{4}}(?!\w))?"
    # ISO 8601, 5.5.2.2.
    r"|PT(?:\d{1,9}(?:\.\d{1,9})?[HMS])+(?!\w)"
)
_NAMED_TIME = (
    rf"(?:{_DAY} )?[JFMASOND][a-z]{{2}} [ \d]\d"
    r"(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?(?!\w)"
)
# Longer ones are those of a whole Ethernet header, as netfilter logs it.
_MAC = rf"(?:{_H}{{2}}(?:[:-]{_H}{{2}}){{5,19}}|{_H}{{4}}\.{_H}{{4}}\.{_H}{{4}})(?!\w|:[\w:])"
_IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d)(?:/\d{1,5}(?!\d))?"
_GROUPS = rf"{_H}{{1,4}}(?::{_H}{{1,4}}){{0,6}}"
_IPV6 = (
    rf"(?:(?:{_H}{{1,4}}:){{7}}{_H}{{1,4}}|(?:{_GROUPS})?::(?:[Ff]{{4}}:{_IPV4}|(?:{_GROUPS})?))"
    r"(?!\w|:[\w:])(?:/\d{1,3})?"
)
_INTERFACE = (
    r"[A-Za-z]{1,40}-?\d+(?:/\d+)+(?:[.:]\d+)*"
    r"|(?:eth|bond|[Vv]lan|[Pp]o|[Pp]ort-channel|[Ll]o|[Ll]oopback|[Tt]un|[Tt]unnel|ppp|wlan|br"
    r"|ae|reth|irb|en[ops])\d\w*(?:\.\d+)?(?![\w-])"
)
# Block devices; what might be a word besides only where a device is meant.
_DEVICE = (
    r"(?:(?:sd[a-z]{1,2}|x?vd[a-z])\d{1,3}|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|dm-\d+)(?![\w-])"
)
_SHORT_DEVICE = r"(?:sd[a-z]{1,2}|x?vd[a-z]|md\d{1,3})"
_PART = r"(?:CPU|ata|vty|Harddisk)\d{1,3}(?:\.\d\d|\\DR\d{1,3})?(?!\w)"
_WINDOWS_PATH = r"[A-Za-z]:\\(?:[\w.()$-]{1,64}(?: [\w.()$-]{1,64}){0,4}\\){0,16}[\w.()$-]{1,64}"
_NAME = r"[\w./:-]{1,64}"
# Words that follow "user" and are none.
_NO_USER = (
    "(?:name|unknown|mode|not|is|has|was|account|accounts|authentication|session|sessions|id|or|and"
    "|service|request|requests|database|space|data|input|agent|group|error|interface|level"
    r"|profile|limit|token|processes|logged|login|from|for)\b"
)
_USER_VALUE = r"(?:NT AUTHORITY\\)?[^\s,;:()\[\]\"'=]{1,64}"
_HOST = (
    r"(?<![.\w-])[A-Za-z0-9][A-Za-z0-9-]{0,62}+(?:\.[A-Za-z0-9-]{1,63}){0,8}"
    r"\.(?:com|net|org|edu|gov|local|lan|localdomain|internal|intranet|corp|home|example|test"
    r"|invalid|arpa)(?!\w|[.-]\w)"
)

# What varies although it has no digit, told by the words around it: prefix, (?P<kind>value).
_TOLD = (
    rf"(?:[Ii]nvalid user |[Aa]uthenticating user |[Uu]ser=|ruser=|logname=|acct=|user: |user = "
    rf"|Username = )(?P<user>(?:NT AUTHORITY\\)?[^\s,;\]]{{1,64}})"
    rf"|[Uu]ser (?!{_NO_USER})(?P<user1>{_USER_VALUE})"
    r"|(?:password|publickey|keyboard-interactive/pam|hostbased|gssapi-with-mic|none|exceeded"
    r"|pts/\d{1,4}) for (?!invalid user )(?P<user2>\S{1,64})(?= from )"
    r"|by (?P<user3>\S{1,64})(?= on (?:vty|console|tty))"
    r"|rhost=(?P<host1>[^\s,;]{1,255})"
    r"|from (?P<host5>\S{1,255})(?= not allowed because)"
    r"|server (?P<host2>\S{1,255})(?= not responding| OK)"
    r"|\((?P<host4>[\w.-]{1,64})(?=\) has initiated)"
    r"|(?:computer |with )(?P<host3>[\w.-]{1,64})"
    r"(?= on behalf| [A-Z][A-Za-z-]{1,40}\d[\d/.]{0,20} \()"
    r"|task (?P<proc1>\S{1,64}):\d{1,9}(?= blocked)"
    r"|comm (?P<proc2>[^\s\"]{1,64})(?=:? )"
    r"|process \d{1,9} \((?P<proc3>[^)]{1,64})\)"
    r"|stuck for \d{1,9}s! \[(?P<proc4>[^\]]{1,64}):\d{1,9}\]"
    r"|md/raid\d{1,2}:(?P<dev1>md\d{1,3})"
    rf"|(?:dev|device|on) (?P<dev2>{_SHORT_DEVICE})(?![\w-])"
    rf"|[(\[](?P<dev3>{_SHORT_DEVICE})(?=[)\]])"
    rf"|(?:idVendor|idProduct)=(?P<id>{_H}{{4}})(?!\w)"
    r"|The (?P<service>[^.\n]{1,80}?)(?= service (?:entered|terminated|was|hung|failed|could|did))"
    r"|(?:Name|Domain|ID|GUID|Address|Port|Workstation|Account|name):"
    rf"(?:\t+(?P<value>[^\t\n]{{0,256}})| {{1,2}}(?P<value1>NT AUTHORITY|{_WINDOWS_PATH}"
    r"|[^\s,]{1,128}))"
    r"|version: (?P<value4>[\w.-]{1,64})"
    r"|Group = (?P<value2>[^,]{1,128})"
    r"|list (?P<value3>\S{1,64})(?= denied| permitted)"
    r"|(?:SHA256|MD5):(?P<key>[A-Za-z0-9+/:]{16,64})"
    r"|on interface (?P<if1>[\w./:-]{1,64})"
    r"|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|SEVERE)(?: \d{1,9} ---)?"
    r" \[(?P<thread>[^\]]{1,80})\]"
)

# The name of a program, at the beginning of what the kernel says of it. It could be any word, so
# that looking for it costs more than all else that is told: only where it may be.
_PROGRAM = (
    rf"(?P<proc>{_NAME}+)(?:(?= invoked oom-killer)|\[\d{{1,9}}\]: segfault at {_H}{{1,16}}"
    rf" ip {_H}{{1,16}} sp {_H}{{1,16}} error \d{{1,4}}(?: in \S{{1,128}})?)"
)

# Whatever begins with digits, or with letters that a digit, a colon or a dot follows, is looked at;
# the lookahead dismisses plain words after one glance, and they are nearly everything.
_PARTS = (
    rf"{_TOLD}"
    r"|(?=[A-Za-z%_-]{0,40}[\d:.])(?:"
    r"(?P<num>-?\d+(?![\w.:/-]))"
    rf"|(?P<uuid>{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}})"
    rf"|(?P<time>{_TIME})"
    rf"|(?P<mac>{_MAC})"
    rf"|(?P<pci>{_H}{{4}}:{_H}{{2}}:{_H}{{2}}\.{_H}(?!\w))"
    rf"|(?P<ip>{_IPV4}|{_IPV6})"
    rf"|(?P<hex>0[xX]{_H}+|(?=[A-Fa-f]{{0,64}}\d)(?=\d{{0,64}}[A-Fa-f]){_H}{{8,}}(?!\w)"
    rf"|(?<=@){_H}{{5,8}}(?!\w))"
    rf"|(?P<host>{_HOST})"
    r"|(?P<numbers>\d+(?:[./]\d+)*)"
    r"|(?P<sid>S-\d(?:-\d+){1,14}(?![\w-]))"
    r"|(?P<kept>%?[A-Z][A-Z0-9_]{0,40}-\d{1,6}(?![0-9])[A-Z0-9_-]*)"
    rf"|(?P<path1>{_WINDOWS_PATH})"
    rf"|(?P<nameif>[A-Za-z][\w-]{{0,40}})(?=:{_IPV4})"
    rf"|(?P<part>{_PART})"
    rf"|(?P<dev>{_DEVICE})"
    rf"|(?P<if>{_INTERFACE})"
    # The tail of a word: an id has four digits or more, or stands behind an underscore.
    r"|(?P<word>[A-Za-z_]{1,40}(?:\d{4,}|(?<=_)\d+)(?:_\d+)*))"
    r"|\"(?P<str>[^\"]*)\"|'(?P<str1>[^']*)'(?!\w)"
    r"|(?P<path>/[\w.+@-]+(?:/[\w.+@-]*)*)"
    rf"|(?P<named_time>{_NAMED_TIME})"
    r"|\[ {0,11}(?P<stamp>\d{1,9}\.\d{6})\]"
)
_VARYING = re.compile(rf"(?<![A-Za-z0-9_])(?:{_PARTS})")
_VARYING_PROGRAM = re.compile(rf"(?<![A-Za-z0-9_])(?:{_PROGRAM}|{_PARTS})")

_TAIL = re.compile(r"\d{4,}|(?<=_)\d+")

_DIGIT = re.compile(r"[0-9]")
# Between texts that are looked at together; hardly ever in one.
_BETWEEN = "\0"
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")

_PLACEHOLDERS = {
    "str": '"<str>"',
    "str1": "'<str>'",
    "named_time": "<time>",
    "path1": "<path>",
    "stamp": "[<time>]",
    **dict.fromkeys(("num", "numbers"), "<num>"),
    **{
        kind: f"<{kind}>"
        for kind in (
            *(
                "uuid",
                "time",
                "mac",
                "pci",
                "ip",
                "hex",
                "host",
                "sid",
                "part",
                "dev",
                "if",
                "path",
            ),
        )
    },
    "nameif": "<if>",
}
# Of those that are told by the words around them: only the value goes.
_VALUES = {
    **dict.fromkeys(("user", "user1", "user2", "user3"), "<user>"),
    **dict.fromkeys(("host1", "host2", "host3", "host4", "host5"), "<host>"),
    **dict.fromkeys(("proc", "proc1", "proc2", "proc3", "proc4"), "<proc>"),
    **dict.fromkeys(("value", "value1", "value2", "value3", "value4"), "<value>"),
    **dict.fromkeys(("dev1", "dev2", "dev3"), "<dev>"),
    "id": "<hex>",
    "service": "<str>",
    "if1": "<if>",
    "thread": "<thread>",
    "key": "<hex>",
}
_NUMBER = re.compile(r"\d+")
_SEGFAULT = "[<num>]: segfault"


def template_of(text: str) -> str:
    """Mask what varies. Equal for two messages that say the same of different numbers.

    Cost: one pass, 5 us for a usual message.
    """
    return _expression_for(text).sub(_masked, text[:MAX_TEXT_CHARACTERS])


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
        return self._of(_digits_alike(text), text)

    def of_all(self, texts: Sequence[str]) -> list[str]:
        """The same of each.

        Cost: half of what it costs one by one.
        """
        joined = _BETWEEN.join(texts)
        if (
            joined.count(_BETWEEN) != len(texts) - 1
            or max(map(len, texts)) > MAX_REMEMBERED_CHARACTERS
        ):
            return [self.of(text) for text in texts]
        keys = _digits_alike(joined).split(_BETWEEN.encode())
        return list(map(self._of, keys, texts))

    def _of(self, key: bytes, text: str) -> str:
        shape = self._known.get(key)
        if shape is None:
            shape = self._learn(key, text)
        if isinstance(shape, str):
            return shape
        return "".join([each if isinstance(each, str) else text[each] for each in shape])

    def _learn(self, key: bytes, text: str) -> str | list[str | slice]:
        pieces: list[str | slice] = []
        end = 0
        for match in _expression_for(text).finditer(text):
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


def _digits_alike(text: str) -> bytes:
    octets = text.encode("utf-8", "surrogatepass")
    if b"0x" in octets or b"0X" in octets:
        octets = octets.replace(b"0x", b"\xffx").replace(b"0X", b"\xffX")
    return octets.translate(_DIGITS_ALIKE)


def _keep(pieces: list[str | slice], text: str, start: int, end: int) -> None:
    if start < end:
        kept = text[start:end]
        pieces.append(slice(start, end) if _DIGIT.search(kept) else kept)


def varying_parts(text: str) -> Iterator[tuple[str, str, int, int]]:
    """What template_of masks: (kind, what varies, its start and end), in order."""
    for match in _expression_for(text).finditer(text[:MAX_TEXT_CHARACTERS]):
        kind = match.lastgroup or ""
        yield kind.rstrip("12345"), match[kind], match.start(kind), match.end(kind)


def _expression_for(text: str) -> re.Pattern[str]:
    return _VARYING_PROGRAM if "segfault" in text or "oom-killer" in text else _VARYING


def _masked(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    placeholder = _PLACEHOLDERS.get(kind)
    if placeholder is not None:
        return placeholder
    if kind in _VALUES:
        whole, start = match[0], match.start()
        before, after = whole[: match.start(kind) - start], whole[match.end(kind) - start :]
        if "segfault" in after:
            # Where it was in its memory says nothing.
            after = _SEGFAULT
        return f"{_NUMBER.sub('<num>', before)}{_VALUES[kind]}{_NUMBER.sub('<num>', after)}"
    return _TAIL.sub("<num>", match[0]) if kind == "word" else match[0]
