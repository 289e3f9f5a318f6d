"""Who is asking: API keys for programs, sessions for browsers.

    X-API-KEY: secret          --SHA-256--> KeyRing  --> Principal(name, role)
    Cookie: muttd_session=...  --SHA-256--> Sessions --> Principal(name, role)
    ingest < viewer < operator < admin

A header X-API-KEY decides alone; only without it is the cookie looked at. Secrets are kept as
digests and never written anywhere: not into a URL, a log line, a page or an error.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from muttd.errors import ConfigError, MuttdError, StoreUnavailable

Headers = Iterable[tuple[bytes, bytes]]

KEY_HEADER = "X-API-KEY"
CSRF_HEADER = "X-CSRF-Token"
SESSION_COOKIE = "muttd_session"

# One shift of work in which nobody touched the page; and one day, however busy the page was.
SESSION_IDLE_S = 8 * 3600.0
SESSION_LIFE_S = 24 * 3600.0
# 200 octets each: two megabytes at most. Beyond it the session unused longest ends.
MAX_SESSIONS = 10_000

# A person mistypes a key a few times, and never twenty keys in a minute.
GUESSES_PER_WINDOW = 20
GUESS_WINDOW_S = 60.0
# Some 2 KB for a peer that guesses as much as it may: eight megabytes at most.
MAX_GUESSING_PEERS = 4096


class Role(enum.IntEnum):
    """What a principal may do: all that the ones before it may, but VIEWER does not ingest."""

    INGEST = 1
    VIEWER = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. The name is the actor in the audit."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key, as settings give it. The secret stays out of the repr."""

    name: str
    role: Role
    secret: str = field(repr=False)


class TooManyGuesses(MuttdError):
    """This peer tried too many different wrong keys; no key is looked at for a while.

    Args:
        retry_after_s: When the next key will be looked at.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many wrong API keys from this address")
        self.retry_after_s = retry_after_s


class KeysNotRead(StoreUnavailable):
    """The keys are in Vault, which has not answered yet: whether a key is good nobody knows."""

    def __init__(self) -> None:
        super().__init__("The API keys have not been read from Vault yet; try again.")


class _Guesses:
    """Different wrong keys per peer in a sliding window.

    The same wrong key again is no new guess: a sender with a stale key must not lock out the
    others behind its address.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # peer -> {digest of a wrong key: when it was tried last}, both oldest first.
        self._peers: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()

    def refuse_guesser(self, peer: str) -> None:
        """Raise TooManyGuesses when the peer has none left."""
        wrong = self._peers.get(peer_network(peer))
        if wrong is None:
            return
        now = self._clock()
        while wrong and now - next(iter(wrong.values())) >= GUESS_WINDOW_S:
            wrong.popitem(last=False)
        if len(wrong) >= GUESSES_PER_WINDOW:
            raise TooManyGuesses(GUESS_WINDOW_S - (now - next(iter(wrong.values()))))

    def add(self, peer: str, digest: bytes) -> None:
        """Remember a wrong key."""
        network = peer_network(peer)
        wrong = self._peers.setdefault(network, OrderedDict())
        self._peers.move_to_end(network)
        wrong[digest] = self._clock()
        wrong.move_to_end(digest)
        if len(self._peers) > MAX_GUESSING_PEERS:
            self._peers.popitem(last=False)


class KeyRing:
    """The API keys that are valid now. Several may have one name: that is how keys are rotated.

    Args:
        keys: The keys; only their digests are kept. None: they are not known yet.
        clock: Seconds that never step back.

    Raises:
        ConfigError: A key is empty.
    """

    def __init__(
        self, keys: Iterable[ApiKey] | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys: tuple[tuple[bytes, Principal], ...] | None = None
        self._guesses = _Guesses(clock)
        if keys is not None:
            self.replace(keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on these are valid. Sessions that were opened with others live on.

        Raises:
            ConfigError: A key is empty; all stays as it is.
        """
        keys = tuple(keys)
        empty = [f"the API key {key.name!r} is empty" for key in keys if not key.secret]
        if empty:
            raise ConfigError(empty)
        self._keys = tuple((_digest(key.secret), Principal(key.name, key.role)) for key in keys)

    def check(self, api_key: str, *, peer: str | None = None) -> Principal | None:
        """Whose key this is, or None. Takes the same time whichever key it is.

        Args:
            api_key: What the client sent.
            peer: The client's address; with it a wrong key counts as a guess of that peer.

        Raises:
            TooManyGuesses: The peer guessed too often; the key was not looked at.
            KeysNotRead: Nobody knows yet.
        """
        if self._keys is None:
            raise KeysNotRead
        if peer is not None:
            self._guesses.refuse_guesser(peer)
        digest = _digest(api_key)
        found = None
        for known, principal in self._keys:
            # No early way out: the time taken must not tell which key came close.
            if hmac.compare_digest(known, digest):
                found = principal
        if found is None and peer is not None:
            self._guesses.add(peer, digest)
        return found


@dataclass(slots=True)
class _Session:
    principal: Principal
    opened_at: float
    used_at: float


class Sessions:
    """Signed-in browsers, in memory: a restart signs everybody out.

    Args:
        clock: Seconds that never step back.
        idle_s: A session not used for this long ends.
        life_s: A session ends after this long in any case.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        idle_s: float = SESSION_IDLE_S,
        life_s: float = SESSION_LIFE_S,
    ) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._life_s = life_s
        self._csrf_key = secrets.token_bytes(32)
        # digest of the token -> session; the one unused longest comes first.
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def open(self, principal: Principal) -> tuple[str, str]:
        """Start a session.

        Returns:
            The cookie's value and the CSRF token that belongs to it.
        """
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_digest(token)] = _Session(principal, now, now)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token, self._csrf_for(token)

    def principal(self, cookie_header: str) -> Principal | None:
        """Whose session the Cookie header names, or None. Counts as use of the session."""
        found = self._find(cookie_header)
        return None if found is None else found[1].principal

    def csrf_token(self, cookie_header: str) -> str | None:
        """The CSRF token of the session that the Cookie header names, or None."""
        found = self._find(cookie_header)
        return None if found is None else self._csrf_for(found[0])

    def check_csrf(self, cookie_header: str, csrf_token: str) -> bool:
        """Whether the CSRF token belongs to the session that the Cookie header names."""
        expected = self.csrf_token(cookie_header)
        return expected is not None and hmac.compare_digest(_digest(expected), _digest(csrf_token))

    def close(self, cookie_header: str) -> None:
        """End the session that the Cookie header names, if there is one."""
        found = self._find(cookie_header)
        if found is not None:
            del self._sessions[_digest(found[0])]

    def _find(self, cookie_header: str) -> tuple[str, _Session] | None:
        # A sibling host can plant a second cookie of this name, so each one is tried.
        for token in _cookies(cookie_header):
            digest = _digest(token)
            session = self._sessions.get(digest)
            if session is None:
                continue
            now = self._clock()
            if now - session.used_at >= self._idle_s or now - session.opened_at >= self._life_s:
                del self._sessions[digest]
                continue
            session.used_at = now
            self._sessions.move_to_end(digest)
            return token, session
        return None

    def _csrf_for(self, token: str) -> str:
        return hmac.new(self._csrf_key, token.encode("utf-8", "replace"), "sha256").hexdigest()


def authenticate(
    headers: Headers, keys: KeyRing, sessions: Sessions, *, peer: str | None = None
) -> Principal | None:
    """Who sent a request with these headers, or None.

    Args:
        headers: (name, value) octets as ASGI and h11 give them.
        keys, sessions: What is valid now.
        peer: The client's address; with it wrong keys are counted, and limited.

    Raises:
        TooManyGuesses: The peer guessed too often; its key was not looked at.
        KeysNotRead: Nobody knows yet whether its key is good.
    """
    headers = list(headers)
    api_key = header(headers, KEY_HEADER)
    if api_key is not None:
        return keys.check(api_key, peer=peer)
    return sessions.principal(cookie_header(headers))


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


def _cookies(text: str) -> list[str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return [value for name, _, value in pairs if name == SESSION_COOKIE and value]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def peer_network(peer: str) -> str:
    """Whom an address belongs to, as far as limits go: itself, or the network of an IPv6 host."""
    # One IPv6 host has a whole /64 to guess from (RFC 4291, 2.5.4).
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
