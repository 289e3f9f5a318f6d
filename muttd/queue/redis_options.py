"""Where Redis is and how to talk to it, as values; parsed once, from the URL and what is beside it.

    redis://[USER[:PASSWORD]@]HOST[:6379][/DB]                          one server
    redis+sentinel://[USER[:PASSWORD]@]HOST[:26379],HOST/SERVICE[/DB]   whoever is primary now
    rediss://, rediss+sentinel://                                       the same over TLS

The user in the URL is the one at Redis, never the one at the sentinels. A ValueError from here
never quotes the URL, because a password may be in it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

Server = tuple[str, int]

_REDIS_PORT = 6379
_SENTINEL_PORT = 26379
# The last "@" ends the userinfo: people forget to encode the one in a password.
_URL = re.compile(
    r"redis(?P<tls>s?)(?P<sentinel>\+sentinel)?://(?:(?P<userinfo>.*)@)?(?P<hosts>[^@/?#]+)"
    r"(?:/(?P<path>[^@?#]*))?"
)
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
)


class RedisMode(enum.StrEnum):
    """How the primary is found."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class RedisLogin:
    """Who we are; passwords are tried in this order. No password: no AUTH, or one without it."""

    username: str | None = None
    passwords: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RedisTls:
    """Files for a URL that says TLS; without a CA file those of the machine are trusted."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """How to reach Redis, and what we ask of it.

    Attributes:
        mode: Whether `servers` is Redis itself, or its sentinels.
        servers: (host, port), one of Redis or all sentinels.
        service: What the sentinels call the primary.
        db: The database's number.
        is_tls: TLS to Redis and to the sentinels.
        login, sentinel_login: Who we are at either.
        prefix: First part of every key; see redis_keys.
        wait_replicas: Replicas that must have an append before it counts; 0 asks none.
        wait_s: How long they are waited for.
        timeout_s: A call that was not answered after this time has failed.
    """

    mode: RedisMode
    servers: tuple[Server, ...]
    service: str = ""
    db: int = 0
    is_tls: bool = False
    tls: RedisTls = RedisTls()
    login: RedisLogin = RedisLogin()
    sentinel_login: RedisLogin = RedisLogin()
    prefix: str = "mutt"
    wait_replicas: int = 1
    wait_s: float = 0.5
    timeout_s: float = 2.0

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        login: RedisLogin | None = None,
        sentinel_login: RedisLogin | None = None,
        tls: RedisTls | None = None,
    ) -> RedisOptions:
        """Parse a URL. What is beside it wins over what is in it; the rest keeps its default.

        Raises:
            ValueError: It is no such URL; the text says what is expected and quotes nothing.
        """
        parts = _URL.fullmatch(url)
        if parts is None:
            raise ValueError(
                "not a redis://, rediss://, redis+sentinel:// or rediss+sentinel:// URL"
            )
        mode = RedisMode.SENTINEL if parts["sentinel"] else RedisMode.STANDALONE
        default_port = _SENTINEL_PORT if parts["sentinel"] else _REDIS_PORT
        servers = tuple(_parse_server(each, default_port) for each in parts["hosts"].split(","))
        service, db = _parse_path(mode, parts["path"] or "")
        if mode is RedisMode.STANDALONE and len(servers) > 1:
            raise ValueError("several servers need sentinels: redis+sentinel://.../SERVICE")
        return cls(
            mode=mode,
            servers=servers,
            service=service,
            db=db,
            is_tls=bool(parts["tls"]),
            tls=tls or RedisTls(),
            login=_merged(login or RedisLogin(), parts["userinfo"] or ""),
            sentinel_login=_merged(sentinel_login or RedisLogin(), ""),
        )

    def __str__(self) -> str:
        # For error texts: where, and no secret.
        hosts = ",".join(show_server(server) for server in self.servers)
        if self.mode is RedisMode.SENTINEL:
            return f"Redis ({self.service} of the sentinels {hosts})"
        return f"Redis ({hosts})"


def show_server(server: Server) -> str:
    """HOST:PORT for a human."""
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_server(text: str, default_port: int) -> Server:
    found = _HOST.fullmatch(text)
    port = int(found["port"] or default_port) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError("its servers are not HOST:PORT, with IPv6 addresses in brackets")
    return found["v6"] or found["host"], port


def _parse_path(mode: RedisMode, path: str) -> tuple[str, int]:
    service, db = "", path
    if mode is RedisMode.SENTINEL:
        service, _, db = path.partition("/")
        if not service:
            raise ValueError("the service that the sentinels watch is missing: .../SERVICE")
    if db and not (db.isascii() and db.isdecimal()):
        raise ValueError("the database is not a number")
    return unquote(service), int(db or 0)


def _merged(login: RedisLogin, userinfo: str) -> RedisLogin:
    username, _, password = userinfo.partition(":")
    return RedisLogin(
        username=login.username or unquote(username) or None,
        passwords=login.passwords or ((unquote(password),) if password else ()),
    )
