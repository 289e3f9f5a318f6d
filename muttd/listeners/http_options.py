"""What the HTTP server is told: its limits, its counters, its words for what it refuses.

requests = 2xx + 3xx + 4xx + 5xx + failed + refused + cut_off + gone + stopped + upgraded
A request counts from the moment its head is whole, or refused; each has one outcome.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from muttd.listeners.tls import ServerTls

# Any: ASGI messages and scopes are open dictionaries by its standard (ASGI 3.0, HTTP & WebSocket).
Scope = dict[str, Any]
Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
Endpoint = tuple[str, int]

# One read. Small enough that a peer who sends its body in one-octet chunks keeps the loop for some
# milliseconds at most, large enough that an ordinary request is one read.
RECEIVE_OCTETS = 16_384

# One send under one deadline: a slow reader is kept as long as it takes this much in that time.
SEND_PIECE_OCTETS = 65_536

# Gets the stream, which gives the whole handshake again, and a scope of type "websocket".
WebsocketHandler = Callable[[trio.abc.Stream, Scope], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How much and how long.

    Attributes:
        max_head_octets: Longest request line and fields. 32 KiB: cookies and long filters fit.
        max_body_octets: Longest request body as it is on the wire.
        max_connections, max_connections_per_peer: More are answered 503.
        request_timeout_s: From the first octet of a request to the last of its body.
        idle_timeout_s: Between two requests.
        send_timeout_s: For a peer to take one piece of an answer.
    """

    max_body_octets: int
    max_head_octets: int = 32_768
    max_connections: int = 1000
    max_connections_per_peer: int = 200
    request_timeout_s: float = 30.0
    idle_timeout_s: float = 75.0
    send_timeout_s: float = 10.0


class Refusal(enum.Enum):
    """What the transport answers itself: metric label, status, error code, words, standard."""

    MALFORMED = ("malformed", 400, "bad_request", "this is not HTTP/1.1", "RFC 9112")
    TOO_SLOW = (
        "too_slow",
        408,
        "request_timeout",
        "the request did not arrive in time",
        "RFC 9110, 15.5.9",
    )
    BODY_TOO_LARGE = (
        "body_too_large",
        413,
        "too_large",
        "the body is longer than this server takes",
        "RFC 9110, 15.5.14",
    )
    HEAD_TOO_LARGE = (
        "head_too_large",
        431,
        "head_too_large",
        "the request line and fields are longer than this server takes",
        "RFC 6585, 5",
    )
    TOO_MANY_CONNECTIONS = (
        "too_many_connections",
        503,
        "too_many_connections",
        "this server has as many connections as it takes",
        "RFC 9110, 15.6.4",
    )
    TOO_MANY_FROM_PEER = (
        "too_many_from_peer",
        503,
        "too_many_connections",
        "this address has as many connections as one may have",
        "RFC 9110, 15.6.4",
    )
    NOT_TLS = (
        "not_tls",
        400,
        "https_only",
        "this port speaks HTTPS; use an https:// URL",
        "RFC 9110, 4.2.2",
    )
    FAILED = ("failed", 500, "internal_error", "the request failed here", "RFC 9110, 15.6.1")

    def __init__(self, label: str, status: int, code: str, message: str, source: str) -> None:
        self.label = label
        self.status = status
        self.code = code
        self.message = message
        self.source = source


class Outcome(enum.StrEnum):
    """How a request ended; the metric label."""

    OK = "2xx"
    REDIRECTED = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    # The app raised, or returned without an answer.
    FAILED = "failed"
    # The transport answered itself: muttd_http_refused_total says why.
    REFUSED = "refused"
    # The peer did not take the answer in time.
    CUT_OFF = "cut_off"
    # The peer left.
    GONE = "gone"
    # The daemon stopped meanwhile.
    STOPPED = "stopped"
    # Now a websocket.
    UPGRADED = "upgraded"

    @classmethod
    def of(cls, status: int) -> Outcome:
        """The outcome of a request that was answered with this status, 200 to 599."""
        return _BY_HUNDRED[status // 100]


_BY_HUNDRED = {
    2: Outcome.OK,
    3: Outcome.REDIRECTED,
    4: Outcome.CLIENT_ERROR,
    5: Outcome.SERVER_ERROR,
}


@dataclass(frozen=True, slots=True)
class HttpMetrics:
    """Counters of the transport, each label set there from the start."""

    connections: Gauge
    requests: Mapping[Outcome, Counter]
    refused: Mapping[Refusal, Counter]

    @classmethod
    def register(cls, registry: CollectorRegistry) -> HttpMetrics:
        """Declare them on a registry."""
        requests = Counter(
            "muttd_http_requests_total",
            "HTTP requests by how they ended.",
            ["outcome"],
            registry=registry,
        )
        refused = Counter(
            "muttd_http_refused_total",
            "HTTP requests and connections refused by the transport, by reason.",
            ["reason"],
            registry=registry,
        )
        return cls(
            connections=Gauge(
                "muttd_http_connections", "HTTP connections open now.", registry=registry
            ),
            requests={outcome: requests.labels(outcome.value) for outcome in Outcome},
            refused={
                refusal: refused.labels(refusal.label)
                for refusal in Refusal
                if refusal is not Refusal.FAILED
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Everything about the server but its listeners and its app.

    Attributes:
        websockets: Path -> who serves a websocket there.
        error_headers: Fields of every answer that the transport makes itself.
        tls: What every connection begins with, when HTTP is served over TLS.
    """

    limits: HttpLimits
    metrics: HttpMetrics
    websockets: Mapping[str, WebsocketHandler] = field(default_factory=dict)
    error_headers: tuple[tuple[bytes, bytes], ...] = ()
    tls: ServerTls | None = None

    @property
    def scheme(self) -> str:
        """Of every URL here."""
        return "http" if self.tls is None else "https"
