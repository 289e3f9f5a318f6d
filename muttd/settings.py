"""Every setting, declared once. Validation, etc/mutt.env, docs/settings.md and print-config follow.

    environment --load--> Settings      all mistakes at once, as one ConfigError

Only the commands and the daemon see Settings whole; everybody else is given plain values.
"""

from __future__ import annotations

import dataclasses
import socket
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from muttd.dynamic import ROWS, DynamicSettings
from muttd.errors import ConfigError
from muttd.settings_backends import (
    DatabaseSettings,
    RedisSettings,
    RetentionSettings,
    SpoolSettings,
    TlsSettings,
)
from muttd.settings_listeners import HttpSettings, SnmpSettings, SyslogSettings
from muttd.settings_secrets import VaultSettings
from muttd.settings_table import Reader, Row, Source, group, rows_of, setting
from muttd.settings_values import (
    Address,
    Addresses,
    ClientCert,
    HeaderName,
    HttpTls,
    LogFormat,
    LogLevel,
    Secrets,
    Url,
)

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """API keys. Without any, the first start makes them in the state directory."""

    ingest: Secrets = setting(
        (), "Key that may post events; NAME_NEXT is valid as well.", name="MUTTD_INGEST_API_KEY"
    )
    admin: Secrets = setting(
        (), "Key that may do everything; NAME_NEXT is valid as well.", name="MUTTD_ADMIN_API_KEY"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """Between the listeners and the queue."""

    buffer_events: int = setting(
        20_000,
        "Events held in memory on their way to the queue; when full, TCP and HTTP wait "
        "and UDP is dropped and counted.",
        unit="events",
        at_least=1000,
        at_most=10_000_000,
    )
    wait_s: float = setting(
        5.0,
        "How long HTTP ingest waits for the queue before it answers 503.",
        unit="seconds",
        at_least=0.1,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The queue."""

    max_events: int = setting(
        1_000_000,
        "Most events the queue holds; when full, senders are held back, nothing is shed.",
        unit="events",
        at_least=1000,
        at_most=10_000_000_000,
    )
    claim_idle_s: float = setting(
        60.0,
        "What a consumer took and said nothing about for this long goes to another one.",
        unit="seconds",
        at_least=1,
        at_most=86_400,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlerterSettings:
    """Deciding by the rules."""

    batch_entries: int = setting(
        64,
        "Queue entries decided and recorded in one transaction, at most.",
        at_least=1,
        at_most=1000,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoogSettings:
    """The webhook that alerts are delivered to."""

    webhook_url: Url | None = setting(
        None, "Where alerts are posted; without it they are shown and never sent."
    )
    api_keys: Secrets = setting(
        (),
        "Key sent with every alert; NAME_NEXT is sent when the receiver refuses it.",
        name="MUTTD_MOOG_API_KEY",
    )
    auth_header: HeaderName = setting(
        HeaderName("Authorization"),
        "Header field of the key; under Authorization it is sent as a Bearer token (RFC 6750).",
    )
    timeout_s: float = setting(
        10.0,
        "An attempt without an answer after this time has failed.",
        unit="seconds",
        at_least=0.1,
        at_most=3600,
    )
    headers: str = setting(
        "", "Further header fields, as NAME=VALUE, several separated by commas; no secrets."
    )
    tls_ca: Path | None = setting(
        None, "File with the authorities that the webhook's certificate must come from."
    )
    tls_cert: Path | None = setting(None, "File with our certificate for the webhook.")
    tls_key: Path | None = setting(None, "File with its key, where it is not in the same file.")
    concurrency: int = setting(
        4,
        "Most attempts under way at a time; never two of one signature.",
        at_least=1,
        at_most=100,
    )
    backoff_base_s: float = setting(
        1.0,
        "Longest wait after the first failed attempt; it doubles with each one more.",
        unit="seconds",
        at_least=0.01,
        at_most=3600,
    )
    backoff_cap_s: float = setting(
        60.0, "Longest wait between two attempts.", unit="seconds", at_least=0.01, at_most=86_400
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The daemon."""

    state_dir: Path = setting(
        Path("/var/lib/mutt"), "Directory of queue, store and keys; made if it is not there."
    )
    daemon_name: str = setting("", "Name of this daemon in alerts and logs; else the host's name.")
    log_level: LogLevel = setting(LogLevel.INFO, "Least level logged: debug, info, warning, error.")
    log_format: LogFormat = setting(LogFormat.TEXT, "Form of a log line: text or json.")
    log_file: Path | None = setting(
        None, "File that gets every log line besides stderr; opened anew after logrotate moved it."
    )
    drain_s: float = setting(
        30.0,
        "How long SIGTERM lets the workers finish what the queue holds.",
        unit="seconds",
        at_least=0,
        at_most=86_400,
    )
    sources_file: Path | None = setting(
        None,
        "File of senders: who may send syslog and SNMP, how fast, from which time zone, and whose "
        "word for a host name is taken.",
    )
    udp_receive_buffer_octets: int = setting(
        16_777_216,
        "Kernel buffer of each UDP socket: what arrives while we are busy waits here.",
        unit="octets",
        at_least=4096,
        at_most=1_073_741_824,
    )
    reuse_port: bool = setting(
        False,
        "Whether daemons of one user may share the ports (SO_REUSEPORT), as muttd@.service has it.",
    )
    http: Addresses = setting(
        (Address("::", 8080),), "Where pages, API and ingest are served over HTTP."
    )
    rules_check_interval_s: float = setting(
        1.0,
        "How often rules and dynamic configuration are looked at, besides being told of a change.",
        unit="seconds",
        at_least=0.1,
        at_most=3600,
    )
    destinations_file: Path | None = setting(
        None, "File with further destinations of alerts (docs/delivery.md)."
    )
    keys: KeySettings = group(KeySettings, "MUTTD_")
    syslog: SyslogSettings = group(SyslogSettings, "MUTTD_SYSLOG_")
    snmp: SnmpSettings = group(SnmpSettings, "MUTTD_SNMP_")
    http_server: HttpSettings = group(HttpSettings, "MUTTD_HTTP_")
    intake: IntakeSettings = group(IntakeSettings, "MUTTD_INTAKE_")
    queue: QueueSettings = group(QueueSettings, "MUTTD_QUEUE_")
    alerter: AlerterSettings = group(AlerterSettings, "MUTTD_ALERTER_")
    moog: MoogSettings = group(MoogSettings, "MUTTD_MOOG_")
    redis: RedisSettings = group(RedisSettings, "MUTTD_REDIS_")
    database: DatabaseSettings = group(DatabaseSettings, "MUTTD_DATABASE_")
    tls: TlsSettings = group(TlsSettings, "MUTTD_TLS_")
    vault: VaultSettings = group(VaultSettings, "VAULT_")
    spool: SpoolSettings = group(SpoolSettings, "MUTTD_SPOOL_")
    retention: RetentionSettings = group(RetentionSettings, "MUTTD_")
    dynamic: DynamicSettings = group(DynamicSettings, "MUTTD_")
    # By environment name: where the value came from. Not a setting itself.
    sources: Mapping[str, Source] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def syslog_tls(self) -> Addresses:
        """Where syslog is received over TLS."""
        if self.syslog.tls is not None:
            return self.syslog.tls
        return (Address("::", 6514),) if self.syslog.tls_cert or self.tls.cert else ()

    @property
    def communities(self) -> Secrets:
        """Those accepted: the one that everybody knows is a default of a daemon by itself alone."""
        source = self.sources.get("MUTTD_SNMP_COMMUNITIES", Source.DEFAULT)
        is_alone = not (self.redis.url or self.database.url or self.vault.addr or self.tls.required)
        return self.snmp.communities if is_alone or source is not Source.DEFAULT else ()

    @property
    def is_https(self) -> bool:
        """Whether HTTP is served over TLS."""
        wanted = self.http_server.tls
        has_cert = bool(self.http_server.tls_cert or self.tls.cert)
        return wanted is HttpTls.ON or (wanted is HttpTls.AUTO and has_cert)


def declared() -> tuple[Row, ...]:
    """Every setting there is, in the order of the documentation."""
    return tuple(rows_of(Settings))


def configured_keys(settings: Settings) -> frozenset[str]:
    """The dynamic keys whose default the environment sets."""
    return frozenset(
        key
        for key, row in ROWS.items()
        if settings.sources.get(row.name, Source.DEFAULT) is not Source.DEFAULT
    )


def load(
    environ: Mapping[str, str],
    *,
    forgive_unknown: bool = False,
    vault: Mapping[str, str] | None = None,
) -> Settings:
    """Make settings of an environment.

    Args:
        environ: All of it; names that begin with neither MUTTD_ nor VAULT_ are not ours.
        forgive_unknown: A client, unlike the daemon, may run beside a newer daemon's settings.
        vault: What Vault holds, by name; for secrets that are set nowhere else.

    Nothing else is read but the environment given, the files that its ..._FILE names point to,
    systemd's credentials, and the host's name.

    Raises:
        ConfigError: Every mistake there is, one line each.
    """
    rows = declared()
    reader = Reader(environ, vault)
    values: dict[str, dict[str, object]] = {}
    for row in rows:
        *parent, field = row.path
        values.setdefault(".".join(parent), {})[field] = reader.value_of(row)
    settings = _assembled(values, reader.sources)
    if not forgive_unknown:
        reader.refuse_unknown(rows)
    mistakes = reader.mistakes + _contradictions(settings)
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def _assembled(values: dict[str, dict[str, object]], sources: Mapping[str, Source]) -> Settings:
    general = values.pop("")
    general["daemon_name"] = general["daemon_name"] or socket.gethostname()
    groups = typing.get_type_hints(Settings)
    parts = {name: _made(groups[name], fields) for name, fields in values.items()}
    return _made(Settings, {**general, **parts, "sources": MappingProxyType(dict(sources))})


def _made(kind: Callable[..., T], fields: Mapping[str, object]) -> T:
    # The parsers chose the types; a checker cannot follow them through a mapping.
    return kind(**fields)


def _contradictions(settings: Settings) -> list[str]:
    """What is right by itself and wrong together."""
    mistakes = []
    if set(settings.keys.ingest) & set(settings.keys.admin):
        mistakes.append(
            "MUTTD_INGEST_API_KEY: is MUTTD_ADMIN_API_KEY as well; a key has one role, use two keys"
        )
    if settings.moog.backoff_cap_s < settings.moog.backoff_base_s:
        mistakes.append("MUTTD_MOOG_BACKOFF_CAP_S: must be at least MUTTD_MOOG_BACKOFF_BASE_S")
    if settings.reuse_port and not (settings.redis.url and settings.database.url):
        # Each would have a part of the events, in a file of its own, and show nothing of the rest.
        mistakes.append(
            "MUTTD_REUSE_PORT: needs MUTTD_REDIS_URL and MUTTD_DATABASE_URL: what arrives is "
            "spread over the daemons that share a port"
        )
    vault = settings.vault
    if (vault.addr is None) != (vault.role_id is None):
        mistakes.append("VAULT_ADDR: goes with VAULT_ROLE_ID; set both or neither")
    return mistakes + _tls_contradictions(settings)


def _tls_contradictions(settings: Settings) -> list[str]:
    mistakes = []
    syslog, http = settings.syslog, settings.http_server
    for name, cert, key in (
        ("MUTTD_TLS", settings.tls.cert, settings.tls.key),
        ("MUTTD_REDIS_TLS", settings.redis.tls_cert, settings.redis.tls_key),
        ("MUTTD_DATABASE_TLS", settings.database.tls_cert, settings.database.tls_key),
        ("VAULT_CLIENT", settings.vault.client_cert, settings.vault.client_key),
        ("MUTTD_SYSLOG_TLS", syslog.tls_cert, syslog.tls_key),
        ("MUTTD_HTTP_TLS", http.tls_cert, http.tls_key),
    ):
        if (cert is None) != (key is None):
            mistakes.append(f"{name}_CERT: goes with {name}_KEY; set both or neither")
    if settings.syslog_tls and not (syslog.tls_cert or settings.tls.cert):
        mistakes.append("MUTTD_SYSLOG_TLS: needs a certificate: set MUTTD_TLS_CERT, MUTTD_TLS_KEY")
    if settings.is_https and not (http.tls_cert or settings.tls.cert):
        mistakes.append("MUTTD_HTTP_TLS: needs a certificate: set MUTTD_TLS_CERT, MUTTD_TLS_KEY")
    if syslog.tls_client_cert is not ClientCert.NONE and not (syslog.tls_ca or settings.tls.ca):
        # Those of the machine would vouch for every web site of the world.
        mistakes.append("MUTTD_SYSLOG_TLS_CLIENT_CERT: needs MUTTD_SYSLOG_TLS_CA or MUTTD_TLS_CA")
    if syslog.tls_peers and syslog.tls_client_cert is not ClientCert.REQUIRED:
        mistakes.append("MUTTD_SYSLOG_TLS_PEERS: needs MUTTD_SYSLOG_TLS_CLIENT_CERT=required")
    return mistakes
