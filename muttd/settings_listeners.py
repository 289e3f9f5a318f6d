"""Settings of the listeners: where each listens, and what a peer may do there.

Declared as in settings.py, whose Settings holds these groups.
"""

from __future__ import annotations

import dataclasses
from datetime import tzinfo
from pathlib import Path

from muttd.settings_table import setting
from muttd.settings_values import (
    Address,
    Addresses,
    ClientCert,
    HttpTls,
    Secret,
    Secrets,
    TlsPeers,
    local_zone,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSettings:
    """Syslog listeners."""

    udp: Addresses = setting(
        (Address("::", 514),), "Where syslog is received over UDP (RFC 5426, 3.3)."
    )
    tcp: Addresses = setting(
        (Address("::", 514),), "Where syslog is received over TCP (RFC 6587, 3.3)."
    )
    tls: Addresses | None = setting(
        None,
        "Where syslog is received over TLS (RFC 5425, 4.1); without it [::]:6514, as soon as a "
        "certificate is configured.",
    )
    tls_cert: Path | None = setting(
        None, "File with the certificate shown to them; without it MUTTD_TLS_CERT."
    )
    tls_key: Path | None = setting(
        None, "File with the private key of that certificate; without it MUTTD_TLS_KEY."
    )
    tls_ca: Path | None = setting(
        None,
        "File with the CA certificates that theirs are verified by; without it MUTTD_TLS_CA.",
    )
    tls_client_cert: ClientCert = setting(
        ClientCert.NONE, "Certificate of a TLS peer (RFC 5425, 4.2): none, optional, required."
    )
    tls_peers: TlsPeers = setting(
        (),
        "Who may send over TLS, separated by commas: names in their certificates, *.DOMAIN (RFC "
        "5425, 5.2), fingerprints such as sha-256:AB:CD:... (4.2.2); else whoever the CA vouches "
        "for.",
    )
    max_message_octets: int = setting(
        8192,
        "Longest message accepted; RFC 5424, 6.1 demands 480, RFC 5425, 4.3.1 recommends 8192.",
        unit="octets",
        at_least=480,
        at_most=1_048_576,
    )
    idle_timeout_s: float = setting(
        300.0,
        "A TCP or TLS peer that sends nothing for this long is disconnected.",
        unit="seconds",
        at_least=1,
    )
    max_connections: int = setting(
        1000,
        "Most TCP peers at a time, and most TLS peers; one more is refused and counted.",
        at_least=1,
        at_most=1_000_000,
    )
    max_connections_per_peer: int = setting(
        100, "Most TCP connections at a time from one address, so that none takes all.", at_least=1
    )
    time_zone: tzinfo = setting(
        local_zone(),
        'Zone of RFC 3164 stamps, which name none: one of the IANA database, or "local".',
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnmpSettings:
    """SNMP notification listener."""

    udp: Addresses = setting(
        (Address("::", 162),), "Where SNMP traps and informs are received (RFC 3417, 3.2)."
    )
    communities: Secrets = setting(
        (Secret("public"),),
        "Communities accepted in SNMPv1 and v2c, separated by commas; others are refused. With "
        "Redis, PostgreSQL, Vault or MUTTD_TLS_REQUIRED there is no default: none is accepted.",
    )
    users_file: Path | None = setting(
        None,
        "File, mode 600, with the users of SNMPv3, one createUser line each (RFC 3414).",
    )
    mib_dir: Path | None = setting(
        None,
        "Directory of operators' own MIBs, read as soon as they change; else mibs in the state "
        "directory, made if it is not there.",
    )
    mib_check_interval_s: float = setting(
        2.0,
        "How often that directory is looked at, besides SIGHUP.",
        unit="seconds",
        at_least=0.1,
        at_most=3600,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """HTTP server: pages, API, ingest, live feed, metrics, health."""

    tls: HttpTls = setting(
        HttpTls.AUTO,
        "Whether HTTP is served over TLS: on, off, or auto, when a certificate is configured.",
    )
    tls_cert: Path | None = setting(
        None, "File with the certificate shown to browsers; without it MUTTD_TLS_CERT."
    )
    tls_key: Path | None = setting(
        None, "File with the private key of that certificate; without it MUTTD_TLS_KEY."
    )
    max_body_octets: int = setting(
        10_485_760,
        "Longest request body, after decompression too; a longer one is answered with 413.",
        unit="octets",
        at_least=1024,
        at_most=1_073_741_824,
    )
    max_connections: int = setting(
        1000,
        "Most HTTP connections at a time; one more is closed at once.",
        at_least=1,
        at_most=1_000_000,
    )
    max_connections_per_peer: int = setting(
        200,
        "Most HTTP connections at a time from one address; behind a proxy all come from one.",
        at_least=1,
        at_most=1_000_000,
    )
    request_timeout_s: float = setting(
        30.0, "A request must have arrived whole within this time.", unit="seconds", at_least=0.1
    )
    idle_timeout_s: float = setting(
        75.0,
        "A kept connection without a request is closed after this time.",
        unit="seconds",
        at_least=0.1,
    )
    send_timeout_s: float = setting(
        10.0,
        "A client that takes nothing for this long is cut off, so that none delays a stop.",
        unit="seconds",
        at_least=0.1,
    )
    ingest_key_limit: int = setting(
        0,
        "Most events that one API key may post in the window, before it is answered 429; 0: any "
        "number.",
        unit="events",
        at_least=0,
        at_most=1_000_000_000,
    )
    ingest_source_limit: int = setting(
        0,
        "The same for one address, or the /64 of an IPv6 address, whatever its keys.",
        unit="events",
        at_least=0,
        at_most=1_000_000_000,
    )
    ingest_window_s: float = setting(
        60.0, "Length of that window; it slides.", unit="seconds", at_least=1, at_most=86_400
    )
