"""Settings of what a clustered daemon leans on: Redis, PostgreSQL, TLS towards both, the spool.

Declared as in settings.py, whose Settings holds these groups. Without the URLs the daemon keeps
queue and store in its own state directory, and none of this is in force but the archive.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from muttd.settings_table import setting
from muttd.settings_values import DatabaseUrl, KeyPrefix, RedisUrl, Secrets, TlsVersion


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Redis: the queue, counters and live events of several daemons."""

    url: RedisUrl | None = setting(
        None,
        "Redis 7 or newer: redis://HOST:PORT/DB, redis+sentinel://HOST:26379,HOST:26379/SERVICE, "
        "rediss:// and rediss+sentinel:// over TLS; without it the queue is in the state "
        "directory.",
    )
    username: str = setting("", "ACL user; without it the user named default.")
    passwords: Secrets = setting(
        (),
        "Password of that user; NAME_NEXT is tried as well.",
        name="MUTTD_REDIS_PASSWORD",
    )
    sentinel_username: str = setting("", "ACL user at the sentinels.")
    sentinel_passwords: Secrets = setting(
        (),
        "Password at the sentinels; NAME_NEXT is tried as well.",
        name="MUTTD_REDIS_SENTINEL_PASSWORD",
    )
    tls_ca: Path | None = setting(
        None, "File with the CA certificates for Redis and its sentinels; without it MUTTD_TLS_CA."
    )
    tls_cert: Path | None = setting(
        None, "File with the certificate shown to them; without it MUTTD_TLS_CERT."
    )
    tls_key: Path | None = setting(
        None, "File with the private key of that certificate; without it MUTTD_TLS_KEY."
    )
    prefix: KeyPrefix = setting(
        KeyPrefix("mutt"),
        "First part of every key and channel; daemons with the same one work together.",
    )
    wait_replicas: int = setting(
        1,
        "Replicas that must have an event before its sender is told so, when the primary has any "
        "(WAIT); 0 asks none, and a failover may lose what was acknowledged.",
        at_least=0,
        at_most=16,
    )
    wait_s: float = setting(
        0.5,
        "How long the replicas are waited for before the append counts as failed and is repeated.",
        unit="seconds",
        at_least=0.01,
        at_most=60,
    )
    timeout_s: float = setting(
        2.0,
        "A call that Redis has not answered after this time has failed, and is repeated.",
        unit="seconds",
        at_least=0.1,
        at_most=60,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL: rules, audit, alerts and configuration history of several daemons."""

    url: DatabaseUrl | None = setting(
        None,
        "PostgreSQL 13 or newer: postgresql://HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full; of "
        "several hosts the one that takes writes is used; without it the store is in the state "
        "directory.",
    )
    passwords: Secrets = setting(
        (),
        "Password of the URL's user; NAME_NEXT is tried as well.",
        name="MUTTD_DATABASE_PASSWORD",
    )
    tls_ca: Path | None = setting(
        None, "File with the CA certificates for PostgreSQL; without it MUTTD_TLS_CA."
    )
    tls_cert: Path | None = setting(
        None, "File with the certificate shown to it; without it MUTTD_TLS_CERT."
    )
    tls_key: Path | None = setting(
        None,
        "File with the private key of that certificate, mode 600; without it MUTTD_TLS_KEY.",
    )
    pool_size: int = setting(
        8, "Most connections of one daemon.", unit="connections", at_least=2, at_most=100
    )
    timeout_s: float = setting(
        5.0,
        "A statement that PostgreSQL has not answered after this time has failed, and is repeated.",
        unit="seconds",
        at_least=0.1,
        at_most=300,
    )
    auto_migrate: bool = setting(
        True,
        "Whether the daemon brings the schema up to date when it starts; else muttd migrate does.",
        name="MUTTD_AUTO_MIGRATE",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS, on every link that has no certificate of its own: listeners, Redis, PostgreSQL."""

    ca: Path | None = setting(
        None, "File with the CA certificates trusted; without it those of the machine."
    )
    cert: Path | None = setting(None, "File with the certificate that this daemon shows.")
    key: Path | None = setting(None, "File with the private key of that certificate.")
    required: bool = setting(
        False,
        "Whether the daemon refuses to start while any link, in or out, is in the clear; it names "
        "every one.",
    )
    exempt: str = setting(
        "",
        "Listeners that may be in the clear all the same, for devices that speak nothing else: "
        "syslog_udp, syslog_tcp, snmp, separated by commas.",
    )
    min_version: TlsVersion = setting(
        TlsVersion.TLS_1_2, "Oldest version of TLS that a listener speaks: 1.2 or 1.3 (RFC 8996)."
    )
    handshake_s: float = setting(
        10.0,
        "A peer that has not finished its TLS handshake after this time is disconnected.",
        unit="seconds",
        at_least=0.1,
        at_most=300,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """What is received while Redis is away, in the state directory."""

    max_octets: int = setting(
        1_073_741_824,
        "Most the spool may hold; when full, senders are held back and UDP is dropped and counted.",
        unit="octets",
        at_least=1_048_576,
        name="MUTTD_SPOOL_MAX_BYTES",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Where old events go."""

    archive_dir: Path | None = setting(
        None, "Directory that old events are written to before they are dropped; else they are not."
    )
