"""The users of SNMPv3, from lines as they stand in snmptrapd.conf.

    createUser [-e ENGINEID] NAME [AUTH PASSPHRASE [PRIV [PASSPHRASE]]]

    AUTH   MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512
    PRIV   DES, AES, AES-192, AES-256, and AES-192-C, AES-256-C as Cisco extends keys

A name and passphrases are enough: one user serves any number of engines. Without a second
passphrase the first one serves for both. An engine ID (hex) binds a user to that one engine.
No passphrase is kept, and none is ever quoted in a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from muttd.errors import ConfigError
from muttd.protocol.snmp_v3 import AUTH, PRIV
from muttd.protocol.usm_crypto import AuthProtocol, PrivProtocol, is_supported, stretched

_DIRECTIVE = "createuser"
# RFC 3414, 11.2.
_MIN_PASSPHRASE_OCTETS = 8
_MAX_NAME_OCTETS = 32
# RFC 3411, 5: SnmpEngineID.
ENGINE_ID_OCTETS = range(5, 33)

# A word as snmptrapd reads it: quoted either way or not at all; a backslash takes the next
# character as it is.
_WORD = re.compile(
    r"""\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<plain>(?:[^\s"'\\]|\\.)(?:[^\s\\]|\\.)*))(?=\s|$)"""
)
_ESCAPED = re.compile(r"\\(.)")


def _spellings(label: str) -> Iterator[str]:
    """SHA-256 is SHA256 as well; AES is AES-128, SHA is SHA-1."""
    plain = label.replace("-", "")
    yield plain
    yield from {"AES": ["AES128"], "SHA": ["SHA1"]}.get(plain, [])


_AUTHS = {name: each for each in AuthProtocol for name in _spellings(each.label)}
_PRIVS = {name: each for each in PrivProtocol for name in _spellings(each.label)}


@dataclass(frozen=True, slots=True)
class UsmUser:
    """One user.

    Attributes:
        name: As in msgUserName.
        engine_id: The one engine that he is known at, or None for all of them.
        auth: Of authNoPriv and authPriv.
        priv: Of authPriv.
        auth_key, priv_key: Ku of either, not yet localised.
    """

    name: bytes
    engine_id: bytes | None = None
    auth: AuthProtocol | None = None
    priv: PrivProtocol | None = None
    auth_key: bytes = field(default=b"", repr=False)
    priv_key: bytes = field(default=b"", repr=False)

    @property
    def level(self) -> int:
        """The level that his messages must have, as in msgFlags."""
        return (0 if self.auth is None else AUTH) | (0 if self.priv is None else PRIV)


def parse_users(text: str, *, source: str) -> list[UsmUser]:
    """Read the lines of a users file.

    Args:
        text: The file. Empty lines and those that begin with # are skipped.
        source: What a mistake is prefixed with: the setting and the file.

    Raises:
        ConfigError: Every mistake there is, with its line number.

    Cost: some 2 ms for every passphrase that differs.
    """
    keys = _Keys()
    users: list[UsmUser] = []
    known: dict[tuple[bytes, bytes | None], int] = {}
    mistakes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            user = _parse_line(line, keys)
            before = known.setdefault((user.name, user.engine_id), number)
            if before != number:
                raise ValueError(f"this user is in line {before} already")
            users.append(user)
        except ValueError as exc:
            mistakes.append(f"{source}, line {number}: {exc}")
    if mistakes:
        raise ConfigError(mistakes)
    return users


class _Keys:
    """Ku by protocol and passphrase: many users may share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[AuthProtocol, str], bytes] = {}

    def key(self, auth: AuthProtocol, passphrase: str) -> bytes:
        known = self._known.get((auth, passphrase))
        if known is None:
            known = self._known[auth, passphrase] = stretched(auth, passphrase.encode())
        return known


def _parse_line(line: str, keys: _Keys) -> UsmUser:
    directive, *words = _split(line)
    if directive.lower() != _DIRECTIVE:
        raise ValueError("not a createUser line")
    engine_id = None
    if words[:1] == ["-e"]:
        engine_id = _parse_engine_id(words[1:2])
        del words[:2]
    if not words or words[0].startswith("-"):
        raise ValueError("createUser [-e ENGINEID] NAME [AUTH PASSPHRASE [PRIV [PASSPHRASE]]]")
    name = words.pop(0).encode()
    if not 0 < len(name) <= _MAX_NAME_OCTETS:
        raise ValueError("a user name has 1 to 32 octets (RFC 3414, 2.4)")
    return _with_keys(UsmUser(name, engine_id), words, keys)


def _with_keys(user: UsmUser, words: list[str], keys: _Keys) -> UsmUser:
    """The user with what stands behind his name: [AUTH PASSPHRASE [PRIV [PASSPHRASE]]]."""
    if not words:
        return user
    auth = _AUTHS.get(_plain(words[0]))
    if auth is None:
        raise ValueError(f"the authentication is none of {_labels(AuthProtocol)}")
    if len(words) > 4:
        raise ValueError("too many words; a passphrase with spaces stands in quotes")
    passphrase = _checked_passphrase(words[1:2], "authentication")
    priv = None
    priv_key = b""
    if len(words) > 2:
        priv = _PRIVS.get(_plain(words[2]))
        if priv is None:
            raise ValueError(f"the privacy is none of {_labels(PrivProtocol)}")
    if not is_supported(auth, priv):
        raise ValueError("this machine does not allow these algorithms (FIPS mode?)")
    if priv is not None:
        priv_passphrase = _checked_passphrase(words[3:] or words[1:2], "privacy")
        priv_key = keys.key(auth, priv_passphrase)
    return UsmUser(user.name, user.engine_id, auth, priv, keys.key(auth, passphrase), priv_key)


def _split(line: str) -> list[str]:
    words = []
    at = 0
    line = line.strip()
    while at < len(line):
        found = _WORD.match(line, at)
        if found is None:
            raise ValueError("a quote is not closed")
        text = found["double"] or found["single"] or found["plain"] or ""
        words.append(_ESCAPED.sub(r"\1", text))
        at = found.end()
    return words


def _parse_engine_id(words: list[str]) -> bytes:
    try:
        engine_id = bytes.fromhex(words[0].lower().removeprefix("0x"))
    except (IndexError, ValueError):
        raise ValueError("-e takes an engine ID in hex, such as 0x8000000001020304") from None
    if len(engine_id) not in ENGINE_ID_OCTETS:
        raise ValueError("an engine ID has 5 to 32 octets (RFC 3411, 5)")
    return engine_id


def _checked_passphrase(words: list[str], what: str) -> str:
    if not words:
        raise ValueError(f"the passphrase of the {what} is missing")
    if words[0] in ("-m", "-l"):
        raise ValueError("keys (-m, -l) are not taken; write the passphrase")
    if len(words[0].encode()) < _MIN_PASSPHRASE_OCTETS:
        raise ValueError(f"the passphrase of the {what} is shorter than 8 (RFC 3414, 11.2)")
    return words[0]


def _plain(word: str) -> str:
    return word.upper().replace("-", "")


def _labels(protocols: type[AuthProtocol] | type[PrivProtocol]) -> str:
    return ", ".join(each.label for each in protocols)
