"""TLS as the listeners speak it: certificates that can be replaced, failures that are counted.

    files --reload--> ServerTls.context --> the next connection; open ones keep theirs
    handshakes = connections + failures, each with one reason

A bad handshake costs its connection. Why it failed is found in the error codes of OpenSSL.
"""

from __future__ import annotations

import enum
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

LISTENERS = ("syslog_tls", "http")


class Failure(enum.StrEnum):
    """Why a handshake failed; the metric label."""

    # Not finished within its time.
    TIMEOUT = "timeout"
    # The peer left in the middle of it.
    GONE = "gone"
    # What came is no TLS: often a sender of plain text on the wrong port.
    NOT_TLS = "not_tls"
    # No version or cipher that both have.
    VERSION = "version"
    # The peer has to show a certificate, and has none.
    NO_CERTIFICATE = "no_certificate"
    # The peer's certificate: expired, of an unknown CA, for another purpose.
    BAD_CERTIFICATE = "bad_certificate"
    # A good certificate, of somebody who is not in the list.
    NOT_ALLOWED = "not_allowed"
    # The peer does not like ours.
    REFUSED_BY_PEER = "refused_by_peer"
    OTHER = "other"


_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
_VERSION = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "NO_SHARED_CIPHER",
        "UNKNOWN_PROTOCOL",
        "VERSION_TOO_LOW",
        "NO_PROTOCOLS_AVAILABLE",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SUITABLE_KEY_SHARE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
    }
)


def failure_of(exc: ssl.SSLError) -> Failure:
    """What an error in a handshake means."""
    reason = exc.reason or ""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Failure.BAD_CERTIFICATE
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure.GONE
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Failure.NO_CERTIFICATE
    if reason in _NOT_TLS:
        return Failure.NOT_TLS
    if reason in _VERSION:
        return Failure.VERSION
    # RFC 8446, 6: what the peer tells us is an alert.
    return Failure.REFUSED_BY_PEER if "_ALERT_" in reason else Failure.OTHER


def describe_failure(exc: ssl.SSLError) -> str:
    """The same for a person, in words that are OpenSSL's and never the peer's."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return exc.verify_message
    return (exc.reason or type(exc).__name__).lower().replace("_", " ")


class ServerTls:
    """The TLS of one listener.

    Args:
        context: For the next connection; when it is replaced, open ones go on with theirs.
        handshake_s: How long a handshake may take.
    """

    def __init__(self, context: ssl.SSLContext, *, handshake_s: float) -> None:
        self.context = context
        self.handshake_s = handshake_s
        self.failures = dict.fromkeys(Failure, 0)


class TlsMetrics(Collector):
    """Failed handshakes of the listeners, and when the certificate of each link expires.

    Args:
        registry: Where they are shown.
        listeners: Those that speak TLS; the others have failures at zero.
        expiries: By link, also of those on which we are the client.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        listeners: Mapping[str, ServerTls],
        expiries: Mapping[str, datetime],
    ) -> None:
        self._listeners = listeners
        self._expiries = expiries
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Every series, for a scrape."""
        failures = CounterMetricFamily(
            "muttd_tls_handshake_failures",
            "TLS handshakes that failed, by reason.",
            labels=["listener", "reason"],
        )
        expiry = GaugeMetricFamily(
            "muttd_tls_certificate_expiry_timestamp_seconds",
            "When the certificate of a link expires; no series where there is no certificate.",
            labels=["link"],
        )
        for listener in LISTENERS:
            tls = self._listeners.get(listener)
            for reason in Failure:
                failures.add_metric([listener, reason], 0 if tls is None else tls.failures[reason])
        for link, expires_at in self._expiries.items():
            expiry.add_metric([link], expires_at.timestamp())
        yield failures
        yield expiry
