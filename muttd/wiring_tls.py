"""The certificates of every link: which files, at a start and at a reload.

settings --> files by link --load_tls--> Certificates --> ServerTls by listener
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from muttd.errors import ConfigError
from muttd.listeners.tls import ServerTls
from muttd.settings import Settings
from muttd.tls_files import LoadedTls, NamedFile, TlsFiles, certificate_expiry, load_server_tls


def tls_files(settings: Settings) -> dict[str, TlsFiles]:
    """What each listener that speaks TLS speaks it with."""
    syslog, http, tls = settings.syslog, settings.http_server, settings.tls
    version = tls.min_version.value
    files = {}
    if settings.syslog_tls:
        cert, key = _pair(settings, "MUTTD_SYSLOG_TLS", syslog.tls_cert, syslog.tls_key)
        ca_name = "MUTTD_SYSLOG_TLS_CA" if syslog.tls_ca else "MUTTD_TLS_CA"
        ca = syslog.tls_ca or tls.ca
        files["syslog_tls"] = TlsFiles(
            cert=cert,
            key=key,
            ca=None if ca is None else NamedFile(ca_name, ca),
            client_cert=syslog.tls_client_cert.value,
            min_version=version,
            resumes=False,
        )
    if settings.http and settings.is_https:
        cert, key = _pair(settings, "MUTTD_HTTP_TLS", http.tls_cert, http.tls_key)
        files["http"] = TlsFiles(cert=cert, key=key, min_version=version)
    return files


def _pair(
    settings: Settings, prefix: str, cert: Path | None, key: Path | None
) -> tuple[NamedFile, NamedFile]:
    if cert is None or key is None:
        prefix, cert, key = "MUTTD_TLS", settings.tls.cert, settings.tls.key
    # settings.load() refuses one without the other, and TLS without any.
    assert cert is not None
    assert key is not None
    return NamedFile(f"{prefix}_CERT", cert), NamedFile(f"{prefix}_KEY", key)


def _client_certificates(settings: Settings) -> dict[str, NamedFile]:
    """What we show ourselves, by the link on which we do."""
    redis, database, vault, moog = settings.redis, settings.database, settings.vault, settings.moog
    shown = {}
    if redis.url is not None and redis.url.reveal().startswith("rediss"):
        shown["redis"] = ("MUTTD_REDIS_TLS_CERT", redis.tls_cert)
    if database.url is not None:
        shown["postgres"] = ("MUTTD_DATABASE_TLS_CERT", database.tls_cert)
    links = {}
    for link, (setting, path) in shown.items():
        if path is not None:
            links[link] = NamedFile(setting, path)
        elif settings.tls.cert is not None:
            links[link] = NamedFile("MUTTD_TLS_CERT", settings.tls.cert)
    if vault.addr is not None and vault.client_cert is not None:
        links["vault"] = NamedFile("VAULT_CLIENT_CERT", vault.client_cert)
    if moog.webhook_url is not None and moog.tls_cert is not None:
        links["webhook"] = NamedFile("MUTTD_MOOG_TLS_CERT", moog.tls_cert)
    return links


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the files of every link held.

    Attributes:
        listeners: By listener.
        expiries: By link, when its certificate expires: the listeners', and those we show.
        warnings: What should be looked at; one line each.
    """

    listeners: dict[str, LoadedTls]
    expiries: dict[str, datetime]
    warnings: list[str]


def load_tls(settings: Settings, in_force: Mapping[str, datetime] | None) -> Certificates:
    """The certificates of every link.

    Args:
        settings: Which files.
        in_force: When those that are in use expire, by link: an expired one is refused, unless it
            is the very one that is in use. None at a start: there is no better one.

    Raises:
        ConfigError: Every mistake in any of them.
    """
    now = datetime.now(UTC)
    mistakes: list[str] = []
    warnings: list[str] = []
    listeners: dict[str, LoadedTls] = {}
    expiries: dict[str, datetime] = {}
    certs = {name: files.cert for name, files in tls_files(settings).items()}
    for link, cert in (certs | _client_certificates(settings)).items():
        try:
            said: list[str] = []
            expiries[link] = certificate_expiry(cert, now, said)
            if said and in_force is not None and in_force.get(link) != expiries[link]:
                mistakes += said
            warnings += said
        except ConfigError as exc:
            mistakes += exc.mistakes
    for listener, files in tls_files(settings).items():
        try:
            listeners[listener] = load_server_tls(files, now=now, forgive_expired=True)
            warnings += listeners[listener].warnings
        except ConfigError as exc:
            mistakes += exc.mistakes
    if mistakes:
        # Two links may share a file, and what is wrong with it.
        raise ConfigError(list(dict.fromkeys(mistakes)))
    return Certificates(listeners, expiries, list(dict.fromkeys(warnings)))


def open_tls(settings: Settings, loaded: Mapping[str, LoadedTls]) -> dict[str, ServerTls]:
    """The TLS of every listener that speaks it, with what was loaded for it."""
    handshake_s = settings.tls.handshake_s
    return {
        listener: ServerTls(each.context, handshake_s=handshake_s)
        for listener, each in loaded.items()
    }
