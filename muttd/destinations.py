"""The destinations file: where alerts go besides MUTTD_MOOG_*, read whole or every mistake in it.

    default: tickets                 optional: who gets what nobody else is named for
    destinations:
      - name: tickets                in rules, on pages and in metrics
        type: webhook                webhook (JSON by a template) or moog
        url: https://tickets.example.net/hook
        key_file: /etc/mutt/secrets/tickets.key
        hmac_key_file: /etc/mutt/secrets/tickets.hmac
        template: /etc/mutt/tickets.json.j2
        headers: {X-Tenant: noc}
        secret_headers: {X-Token: /etc/mutt/secrets/tickets.token}
        teams: [SRE, "NETO-*"]
        tls: {ca: ..., cert: ..., key: ...}
        timeout_s: 10
        rate_limit: 50
        rate_period_s: 1
        concurrency: 4

A secret is never in the file: it names files, which nobody else may read.
"""

from __future__ import annotations

import enum
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from muttd.errors import ConfigError
from muttd.settings_values import (
    HeaderName,
    Secret,
    Url,
    parse_header_name,
    parse_secret,
    parse_url,
)

SETTING = "MUTTD_DESTINATIONS_FILE"
# Each has its connections, its tasks and its series.
MAX_DESTINATIONS = 32
_MAX_OCTETS = 1_048_576
_MAX_SECRET_OCTETS = 65_536
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")
# RFC 9110, 5.5: visible characters, with spaces between.
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# What we say ourselves.
_OWN_HEADERS = frozenset({"content-type", "content-length", "host", "transfer-encoding"})

T = TypeVar("T")


class DestinationType(enum.StrEnum):
    """What is said to a destination, and how."""

    MOOG = "moog"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationConfig:
    """One destination.

    Attributes:
        name, type, url: Who it is, how it is spoken to, and where.
        auth_header, key: The header that carries the key.
        hmac_key: Signs the body.
        template: The text of the body's template; None: the one that comes with the daemon.
        headers, secret_headers: Sent as well.
        teams: Globs of the teams whose alerts go here.
        ca, cert, cert_key: PEM files for TLS.
        timeout_s: Of one attempt.
        rate: Passes and period in seconds; None: as the dynamic configuration says.
        concurrency: Most attempts under way at a time.
    """

    name: str
    type: DestinationType
    url: Url
    auth_header: HeaderName = HeaderName("Authorization")
    key: Secret | None = None
    hmac_key: Secret | None = None
    template: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, Secret], ...] = ()
    teams: tuple[str, ...] = ()
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None
    timeout_s: float = 10.0
    rate: tuple[int, float] | None = None
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class DestinationsFile:
    """What the file says."""

    destinations: tuple[DestinationConfig, ...] = ()
    default: str | None = None


def read_destinations(path: Path | None) -> DestinationsFile:
    """Read the file, and every file that it names; nothing without one.

    Raises:
        ConfigError: Every mistake, one line each.
    """
    if path is None:
        return DestinationsFile()
    try:
        document = yaml.safe_load(_octets_of(path, _MAX_OCTETS).decode())
    except OSError as exc:
        raise ConfigError([f"{SETTING}: cannot read {path}: {exc.strerror or exc}"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError([f"{SETTING}: {path} is not UTF-8"]) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise ConfigError([f"{SETTING}: {path}{where}: is not YAML"]) from exc
    mistakes: list[str] = []
    fields = _Fields(document, "", mistakes)
    entries: list[object] = fields.take("destinations", _list, [])
    found = [
        _destination(_Fields(entry, f"destinations[{n}]", mistakes))
        for n, entry in enumerate(entries, 1)
    ]
    destinations = tuple(each for each in found if each is not None)
    default = fields.take("default", _text, None)
    fields.refuse_others()
    names = [each.name for each in destinations]
    mistakes += [f"name {name!r} is given twice" for name in set(names) if names.count(name) > 1]
    if len(entries) > MAX_DESTINATIONS:
        mistakes.append(f"more than {MAX_DESTINATIONS} destinations")
    if mistakes:
        raise ConfigError([f"{SETTING}: {path}: {each}" for each in mistakes])
    return DestinationsFile(destinations, default)


def parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Header fields as NAME=VALUE, several separated by commas.

    Raises:
        ValueError: One of them is none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all("=" in part for part in parts):
        raise ValueError("must be NAME=VALUE, several separated by commas")
    named = (part.partition("=") for part in parts)
    return _headers({name.strip(): value.strip() for name, _, value in named})


def _octets_of(path: Path, at_most: int) -> bytes:
    # Not to wait for a writer, should it be a FIFO.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a file")
        octets = file.read(at_most + 1)
    if len(octets) > at_most:
        raise OSError(f"it is longer than {at_most} octets")
    return octets


class _Fields:
    """The fields of one mapping; what is wrong with them goes into `mistakes`.

    No mistake quotes a value: it may be a secret that ended up in the wrong place.
    """

    def __init__(self, values: object, where: str, mistakes: list[str]) -> None:
        self._where = where
        self._mistakes = mistakes
        self._mistakes_before = len(mistakes)
        self._known: set[str] = set()
        self._values: Mapping[str, Any] = {}
        if isinstance(values, dict) and all(isinstance(key, str) for key in values):
            self._values = values
        else:
            mistakes.append(f"{where or 'the file'} must be a mapping")

    @property
    def are_right(self) -> bool:
        """Whether nothing was wrong since they were opened."""
        return len(self._mistakes) == self._mistakes_before

    def take(self, name: str, parse: Callable[[Any], T], default: T) -> T:
        """One field, parsed; its default when it is not there or wrong."""
        self._known.add(name)
        value = self._values.get(name)
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError as exc:
            self._mistakes.append(f"{self._at(name)}: {exc}")
        except OSError as exc:
            self._mistakes.append(f"{self._at(name)}: cannot read it: {exc.strerror or exc}")
        return default

    def demand(self, name: str, parse: Callable[[Any], T], stand_in: T) -> T:
        """One field that has to be there."""
        if self._values.get(name) is None and self._values:
            self._mistakes.append(f"{self._at(name)}: is missing")
        return self.take(name, parse, stand_in)

    def inner(self, name: str) -> _Fields:
        """A field that is a mapping itself."""
        self._known.add(name)
        return _Fields(self._values.get(name) or {}, self._at(name), self._mistakes)

    def refuse_others(self) -> None:
        """What nobody asked for is a mistake: a typo must not be silently without effect."""
        for name in self._values.keys() - self._known:
            self._mistakes.append(f"{self._at(name)}: no such field")

    def _at(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def _destination(fields: _Fields) -> DestinationConfig | None:
    """One destination; None when there is a mistake in it."""
    tls = fields.inner("tls")
    limit: float | None = fields.take("rate_limit", _number(1, 100_000), None)
    period_s = fields.take("rate_period_s", _number(0.1, 3600), None)
    config = DestinationConfig(
        name=fields.demand("name", _destination_name, ""),
        type=fields.demand("type", _type, DestinationType.WEBHOOK),
        url=fields.demand("url", _url, Url("")),
        auth_header=fields.take("auth_header", _header_name, HeaderName("Authorization")),
        key=fields.take("key_file", _secret_in, None),
        hmac_key=fields.take("hmac_key_file", _secret_in, None),
        template=fields.take("template", _text_in, None),
        headers=fields.take("headers", _headers, ()),
        secret_headers=fields.take("secret_headers", _secret_headers, ()),
        teams=fields.take("teams", _texts, ()),
        ca=tls.take("ca", _existing, None),
        cert=tls.take("cert", _existing, None),
        cert_key=tls.take("key", _existing, None),
        timeout_s=fields.take("timeout_s", _number(0.1, 3600), 10.0),
        rate=None if limit is None and period_s is None else (int(limit or 50), period_s or 1.0),
        concurrency=int(fields.take("concurrency", _number(1, 100), 4.0)),
    )
    tls.refuse_others()
    fields.refuse_others()
    return config if fields.are_right else None


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in _list(value))


def _number(at_least: float, at_most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        if not at_least <= value <= at_most:
            raise ValueError(f"must be between {at_least:g} and {at_most:g}")
        return value

    return parse


def _destination_name(value: object) -> str:
    text = _text(value)
    if _NAME.fullmatch(text) is None:
        raise ValueError("must be 1 to 32 of a-z, 0-9, - and _; no - or _ at its ends")
    return text


def _type(value: object) -> DestinationType:
    try:
        return DestinationType(_text(value))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(DestinationType)}") from None


def _url(value: object) -> Url:
    return parse_url(_text(value))


def _header_name(value: object) -> HeaderName:
    name = parse_header_name(_text(value))
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is a header that muttd sends itself")
    return name


def _named(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping")
    return [(_header_name(name), _text(each)) for name, each in value.items()]


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    headers = _named(value)
    if not all(_HEADER_VALUE.fullmatch(each) for _, each in headers):
        raise ValueError("a value must be visible ASCII characters")
    return tuple(headers)


def _secret_headers(value: object) -> tuple[tuple[str, Secret], ...]:
    return tuple((name, _secret_in(each)) for name, each in _named(value))


def _existing(value: object) -> Path:
    path = Path(_text(value))
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    return path


def _text_in(value: object) -> str:
    try:
        return _octets_of(Path(_text(value)), _MAX_OCTETS).decode()
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None


def _secret_in(value: object) -> Secret:
    path = Path(_text(value))
    octets = _octets_of(path, _MAX_SECRET_OCTETS)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        raise ValueError(f"others can read {path} (mode {mode:o}); chmod 600 {path}")
    try:
        return parse_secret(octets.decode().strip())
    except UnicodeDecodeError:
        raise ValueError("the file is not text") from None
