"""What a setting can be: an address, a secret, a zone; each parsed from one text.

    parse_*(text) -> value        ValueError says what is expected; the text itself is never quoted,
                                  because it may be a secret that ended up under the wrong name

Values are frozen, and as_text() writes each of them the way it may be set again.
"""

from __future__ import annotations

import enum
import hmac
import ipaddress
import math
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import NewType
from urllib.parse import urlsplit

Url = NewType("Url", str)
HeaderName = NewType("HeaderName", str)
KeyPrefix = NewType("KeyPrefix", str)
# Who a TLS client may be: a name, perhaps with a wildcard, or a fingerprint of its certificate.
TlsPeer = NewType("TlsPeer", str)
TlsPeers = tuple[TlsPeer, ...]

_LOCAL = "local"
_LOCALTIME = Path("/etc/localtime")
# RFC 9110, 5.6.2: token.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# RFC 9110, 5.5: what may stand in a field value without quoting, spaces left out.
_VISIBLE = re.compile(r"[\x21-\x7e]+")
# A part of key and channel names. Braces would move the hash tag, which keeps all keys of a cluster
# in one slot.
_KEY_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
# RFC 5425, 4.2.2: the name of a hash function, then its octets in hex, all behind colons.
_FINGERPRINT = re.compile(r"(sha-1|sha-256)((?::[0-9A-Fa-f]{2})+)", re.IGNORECASE)
_DIGEST_OCTETS = {"sha-1": 20, "sha-256": 32}
# RFC 5425, 5.2: a wildcard stands for the left-most label whole.
_PEER_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\*")
_HIDDEN = "***"
# libpq takes passwords among the parameters as well (its chapter 34.1.2).
_HIDDEN_PARAMETER = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&#]*", re.IGNORECASE)
# scheme :// [userinfo @] hosts [/ path] [? parameters]; hosts begin after the last "@", because
# people forget to encode the one in a password.
_SERVER_URL = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:.*@)?(?P<hosts>[^@/?#]*)(?:/(?P<path>[^@?#]*))?(?:\?[^@#]*)?"
)
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]]*)):(?P<port>[0-9]{1,5})"
)


class LogLevel(enum.StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How a log line looks."""

    TEXT = "text"
    JSON = "json"


class ClientCert(enum.StrEnum):
    """Whether a TLS client must show a certificate."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class TlsVersion(enum.StrEnum):
    """A version of TLS that is not broken (RFC 8996)."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class HttpTls(enum.StrEnum):
    """Whether HTTP is served over TLS; auto: when there is a certificate."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Secret:
    """A text that never shows itself: not in a repr, a log line, a traceback or a format string."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends or compares it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __eq__(self, other: object) -> bool:
        # In constant time, so that nobody who compares keys with == opens a side door.
        return isinstance(other, Secret) and hmac.compare_digest(
            self._text.encode(), other._text.encode()
        )

    def __hash__(self) -> int:
        return hash(self._text)


class ServerUrl:
    """A URL that may carry a user and a password, and shows neither."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that connects."""
        return self._text

    def __str__(self) -> str:
        scheme, _, rest = self._text.partition("://")
        userinfo, _, tail = rest.rpartition("@")
        shown = f"{scheme}://{_HIDDEN}@{tail}" if userinfo else f"{scheme}://{tail}"
        return _HIDDEN_PARAMETER.sub(rf"\1={_HIDDEN}", shown)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(
            self._text.encode(), other.reveal().encode()
        )

    def __hash__(self) -> int:
        return hash(self._text)


class RedisUrl(ServerUrl):
    """Where Redis is."""

    __slots__ = ()


class DatabaseUrl(ServerUrl):
    """Where PostgreSQL is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener binds. The host "::" takes IPv4 too; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Addresses = tuple[Address, ...]
Secrets = tuple[Secret, ...]


def parse_int(text: str) -> int:
    """A whole number in decimal digits."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("not a valid int") from None


def parse_float(text: str) -> float:
    """A finite number."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError("not a valid float") from None
    # NaN is neither below a minimum nor above a maximum: it would pass every bound.
    if not math.isfinite(number):
        raise ValueError("not a valid float")
    return number


def parse_addresses(text: str) -> Addresses:
    """HOST:PORT, [IPV6]:PORT or :PORT, several separated by commas; or "off" for none."""
    if text.lower() == "off":
        return ()
    return tuple(_parse_address(part.strip()) for part in text.split(","))


def _parse_address(text: str) -> Address:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(
            "not HOST:PORT, [IPV6]:PORT or :PORT (several separated by commas), nor off"
        )
    port = int(found["port"])
    if port > 65535:
        raise ValueError("the port must be at most 65535")
    return Address(found["v6"] or found["host"] or "::", port)


def parse_secret(text: str) -> Secret:
    """Visible ASCII: every secret we know travels in a header field or a community string."""
    if _VISIBLE.fullmatch(text) is None:
        raise ValueError("must be visible ASCII characters, without spaces")
    return Secret(text)


def parse_secrets(text: str) -> Secrets:
    """Secrets separated by commas."""
    return tuple(parse_secret(part.strip()) for part in text.split(","))


def parse_url(text: str) -> Url:
    """An http or https URL that carries no user name or password."""
    try:
        parts = urlsplit(text)
        # A port out of range shows itself only when it is asked for.
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _VISIBLE.fullmatch(text) is None:
        raise ValueError("not an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("a URL may not carry a user name or password; use the API key setting")
    return Url(text)


def parse_redis_url(text: str) -> RedisUrl:
    """redis:// or rediss:// with one server, or +sentinel with some and the service's name."""
    parts = _server_url(text, "redis", "rediss", *_SENTINEL)
    if parts is None:
        raise ValueError("not a redis://, rediss://, redis+sentinel:// or rediss+sentinel:// URL")
    servers = [_SERVER.fullmatch(each) for each in parts["hosts"].split(",")]
    if any(each is None or int(each["port"] or 1) not in range(1, 65536) for each in servers):
        raise ValueError("its servers are not HOST:PORT, with IPv6 addresses in brackets")
    if parts["scheme"] in _SENTINEL:
        service, _, database = (parts["path"] or "").partition("/")
        if not service:
            raise ValueError("the service that the sentinels watch is missing: .../SERVICE")
    else:
        database = parts["path"] or ""
        if len(servers) > 1:
            raise ValueError("several servers need sentinels: redis+sentinel://.../SERVICE")
    if database and not database.isdecimal():
        raise ValueError("the database is not a number")
    return RedisUrl(text)


def parse_database_url(text: str) -> DatabaseUrl:
    """A connection URI of libpq (its chapter 34.1.1.2), which judges the rest of it."""
    if _server_url(text, "postgresql", "postgres") is None:
        raise ValueError("not a postgresql:// URL")
    return DatabaseUrl(text)


def _server_url(text: str, *schemes: str) -> re.Match[str] | None:
    parts = _SERVER_URL.fullmatch(text) if _VISIBLE.fullmatch(text) else None
    return parts if parts and parts["scheme"] in schemes else None


def parse_key_prefix(text: str) -> KeyPrefix:
    """Letters, digits, dots, colons, hyphens, underscores."""
    if _KEY_PREFIX.fullmatch(text) is None:
        raise ValueError("must be at most 64 letters, digits, dots, colons, hyphens, underscores")
    return KeyPrefix(text)


def parse_tls_peers(text: str) -> TlsPeers:
    """Names, *.DOMAIN, IP addresses and fingerprints, separated by commas."""
    return tuple(_parse_tls_peer(part.strip()) for part in text.split(","))


def _parse_tls_peer(text: str) -> TlsPeer:
    found = _FINGERPRINT.fullmatch(text)
    if found is not None:
        name = found[1].lower()
        if len(found[2]) != 3 * _DIGEST_OCTETS[name]:
            raise ValueError(f"a {name} fingerprint has {_DIGEST_OCTETS[name]} octets")
        return TlsPeer(name + found[2].upper())
    try:
        return TlsPeer(str(ipaddress.ip_address(text)))
    except ValueError:
        if _PEER_NAME.fullmatch(text) is None:
            raise ValueError(
                "not a host name, *.DOMAIN, IP address or fingerprint such as sha-256:AB:CD:..."
            ) from None
    return TlsPeer(text.lower().rstrip("."))


def parse_bool(text: str) -> bool:
    """One of true and false."""
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def parse_header_name(text: str) -> HeaderName:
    """A header field name (RFC 9110, 5.1)."""
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("not a header field name (RFC 9110, 5.1)")
    return HeaderName(text)


def parse_zone(text: str) -> tzinfo:
    """A zone of the IANA database; "local" is the zone of this machine."""
    if text.lower() == _LOCAL:
        return local_zone()
    try:
        return zoneinfo.ZoneInfo(text)
    # The key becomes a path: one with NUL or ".." raises ValueError, a directory OSError.
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            'not a zone of the IANA database, such as Europe/Berlin; or "local"'
        ) from None


def local_zone(localtime: Path = _LOCALTIME) -> tzinfo:
    """The zone of this machine, with its summer time; UTC where none was set up."""
    try:
        with localtime.open("rb") as zone_file:
            return zoneinfo.ZoneInfo.from_file(zone_file, key=_LOCAL)
    except (OSError, ValueError):
        return timezone(timedelta(0), _LOCAL)


def _parse_choice(choices: type[enum.StrEnum]) -> Callable[[str], object]:
    def parse(text: str) -> object:
        try:
            return choices(text.lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(choices)}") from None

    return parse


PARSERS: Mapping[object, Callable[[str], object]] = {
    str: str,
    bool: parse_bool,
    int: parse_int,
    float: parse_float,
    Path: Path,
    Url: parse_url,
    HeaderName: parse_header_name,
    RedisUrl: parse_redis_url,
    DatabaseUrl: parse_database_url,
    KeyPrefix: parse_key_prefix,
    tzinfo: parse_zone,
    Secret: parse_secret,
    Addresses: parse_addresses,
    Secrets: parse_secrets,
    LogLevel: _parse_choice(LogLevel),
    LogFormat: _parse_choice(LogFormat),
    ClientCert: _parse_choice(ClientCert),
    TlsVersion: _parse_choice(TlsVersion),
    HttpTls: _parse_choice(HttpTls),
    TlsPeers: parse_tls_peers,
}


def as_text(value: object, *, reveal: bool = False) -> str:
    """The value as it would be set; a secret as Secret(...) unless it is a default to be shown."""
    if value is None:
        return ""
    if isinstance(value, Secret):
        return value.reveal() if reveal else repr(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, tuple):
        return ",".join(as_text(item, reveal=reveal) for item in value)
    return str(value)
