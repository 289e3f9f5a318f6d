"""The TLS of the listeners: which files each speaks with, at a start and at a reload.

settings --> files by listener --load--> ServerTls by listener; reload: all of them, or none
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from muttd.errors import ConfigError
from muttd.listeners.tls import ServerTls
from muttd.settings import Settings
from muttd.tls_files import LoadedTls, NamedFile, TlsFiles, load_server_tls


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


def load_tls(settings: Settings, *, forgive_expired: bool) -> dict[str, LoadedTls]:
    """The certificates of every listener.

    Raises:
        ConfigError: Every mistake in any of them.
    """
    loaded: dict[str, LoadedTls] = {}
    mistakes: list[str] = []
    for listener, files in tls_files(settings).items():
        try:
            loaded[listener] = load_server_tls(
                files, now=datetime.now(UTC), forgive_expired=forgive_expired
            )
        except ConfigError as exc:
            mistakes += exc.mistakes
    if mistakes:
        # Two listeners may share a file, and what is wrong with it.
        raise ConfigError(list(dict.fromkeys(mistakes)))
    return loaded


def open_tls(settings: Settings, loaded: Mapping[str, LoadedTls]) -> dict[str, ServerTls]:
    """The TLS of every listener that speaks it, with what was loaded for it."""
    handshake_s = settings.tls.handshake_s
    return {
        listener: ServerTls(each.context, each.expires_at, handshake_s=handshake_s)
        for listener, each in loaded.items()
    }
