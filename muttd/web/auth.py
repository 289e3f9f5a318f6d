"""Who is asking: API keys for programs, sessions for browsers.

    X-API-KEY: secret          --SHA-256--> KeyRing  --> Principal(name, role)
    Cookie: muttd_session=...  --SHA-256--> Sessions --> Principal(name, role)
    ingest < viewer < operator < admin

A header X-API-KEY decides alone; only without it is the cookie looked at. Secrets are kept as
digests and never written anywhere: not into a URL, a log line, a page or an error.
"""

from __future__ import annotations

import enum
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from muttd.api_keys import digest_of
from muttd.errors import ConfigError, StoreUnavailable
from muttd.event import utc_now
from muttd.store.access import StoredKey
from muttd.web.guesses import Guesses, TooManyGuesses

Headers = Iterable[tuple[bytes, bytes]]

KEY_HEADER = "X-API-KEY"
CSRF_HEADER = "X-CSRF-Token"
SESSION_COOKIE = "muttd_session"


class Role(enum.IntEnum):
    """What a principal may do: all that the ones before it may, but VIEWER does not ingest."""

    INGEST = 1
    VIEWER = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. The name is the actor in the audit; key_hash is of the key that let him in."""

    name: str
    role: Role
    key_hash: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key, as settings give it. The secret stays out of the repr."""

    name: str
    role: Role
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Held:
    """A key in the ring."""

    key_hash: bytes
    principal: Principal
    expires_at: datetime | None = None


class KeysNotRead(StoreUnavailable):
    """The keys are in Vault, which has not answered yet: whether a key is good nobody knows."""

    def __init__(self) -> None:
        super().__init__("The API keys have not been read from Vault yet; try again.")


class KeyRing:
    """The API keys that are valid now. Several may have one name: that is how keys are rotated.

    Args:
        keys: Those of the configuration and the state directory; only their digests are kept.
            None: they are not known yet.
        clock: Seconds that never step back.
        now: The time, aware.

    Raises:
        ConfigError: A key is empty.
    """

    def __init__(
        self,
        keys: Iterable[ApiKey] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        # None: nobody knows them yet.
        self._configured: tuple[_Held, ...] | None = None
        self._stored: tuple[_Held, ...] | None = ()
        self._now = now
        self._guesses = Guesses(clock)
        if keys is not None:
            self.replace(keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on these are valid beside those of the store; the others' sessions end.

        Raises:
            ConfigError: A key is empty; all stays as it is.
        """
        keys = tuple(keys)
        empty = [f"the API key {key.name!r} is empty" for key in keys if not key.secret]
        if empty:
            raise ConfigError(empty)
        self._configured = tuple(
            _held(digest_of(key.secret), key.name, key.role, None) for key in keys
        )

    @property
    def configured(self) -> tuple[Principal, ...]:
        """Who has a key that the store knows nothing of."""
        return tuple(each.principal for each in self._configured or ())

    def expect_stored(self) -> None:
        """There may be keys in the store: until use_stored, nobody is told that he has none."""
        self._stored = None

    def use_stored(self, stored: Iterable[StoredKey]) -> None:
        """From now on these keys of the store are valid, as long as they are."""
        self._stored = tuple(
            _held(key.key_hash, key.name, Role[key.role.upper()], key.expires_at)
            for key in stored
            if key.revoked_at is None
        )

    def must_know(self) -> None:
        """Before somebody is told that he has no key: raise if he may have one nevertheless.

        Raises:
            KeysNotRead: The keys of the configuration are not known yet.
            StoreUnavailable: Those of the store are not.
        """
        if self._configured is None:
            raise KeysNotRead
        if self._stored is None:
            raise StoreUnavailable("the keys in the store are not known yet")

    def holder(self, key_hash: bytes) -> Principal | None:
        """Whose key has this digest, or None. Takes the same time whichever key it is."""
        found = None
        for held in (*(self._configured or ()), *(self._stored or ())):
            # No early way out: the time taken must not tell which key came close.
            if hmac.compare_digest(held.key_hash, key_hash):
                found = held
        if found is None or (found.expires_at is not None and self._now() >= found.expires_at):
            return None
        return found.principal

    def known(self, api_key: str, *, peer: str) -> Principal | None:
        """Whose key this is; None when there is more to say, which check does."""
        try:
            self._guesses.refuse_guesser(peer)
        except TooManyGuesses:
            return None
        return self.holder(digest_of(api_key))

    def check(self, api_key: str, *, peer: str | None = None) -> Principal | None:
        """Whose key this is, or None.

        Args:
            api_key: What the client sent.
            peer: The client's address; with it a wrong key counts as a guess of that peer.

        Raises:
            TooManyGuesses: The peer guessed too often; the key was not looked at.
            StoreUnavailable: It is none that we know, and we do not know all: see must_know.
        """
        if peer is not None:
            self._guesses.refuse_guesser(peer)
        digest = digest_of(api_key)
        found = self.holder(digest)
        if found is None:
            self.must_know()
            if peer is not None:
                self._guesses.add(peer, digest)
        return found


def header(headers: Headers, name: str) -> str | None:
    """The first header of that name, or None."""
    wanted = name.lower().encode()
    for key, value in headers:
        if key.lower() == wanted:
            return value.decode("utf-8", "replace")
    return None


def cookie_header(headers: Headers) -> str:
    """The Cookie header, "" without one; several become one (RFC 6265, 5.4)."""
    return "; ".join(v.decode("utf-8", "replace") for k, v in headers if k.lower() == b"cookie")


def session_cookie(value: str, *, secure: bool) -> str:
    """The Set-Cookie header that gives a browser its session."""
    return f"{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict" + "; Secure" * secure


def expired_session_cookie(*, secure: bool) -> str:
    """The Set-Cookie header that takes it back."""
    return session_cookie("", secure=secure) + "; Max-Age=0"


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the request comes from our own pages, or no browser sent it.

    Sec-Fetch-Site is set by the browser and out of a page's reach; Origin is what older browsers
    send. A request with neither was made by a program, which carries no one else's cookie.
    """
    headers = list(headers)
    site = header(headers, "Sec-Fetch-Site")
    if site is not None:
        # "none": typed into the address bar.
        return site in {"same-origin", "none"}
    origin = header(headers, "Origin")
    if origin is None:
        return True
    host = header(headers, "Host") or ""
    return origin.lower() in {f"http://{host.lower()}", f"https://{host.lower()}"}


def session_tokens(cookies: str) -> list[str]:
    """Every value that a Cookie header gives for a session; a sibling host can plant another."""
    pairs = (part.strip().partition("=") for part in cookies.split(";"))
    return [value for name, _, value in pairs if name == SESSION_COOKIE and value]


def _held(key_hash: bytes, name: str, role: Role, expires_at: datetime | None) -> _Held:
    return _Held(key_hash, Principal(name, role, key_hash), expires_at)
