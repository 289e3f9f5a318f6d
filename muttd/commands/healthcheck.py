"""muttd healthcheck: is the daemon of these settings alive? For container engines and scripts.

Reads the daemon's own settings, asks the first address of MUTTD_HTTP on this host for /healthz, and
needs no key. Over TLS the only certificate it trusts is the one that the settings name.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from muttd.commands.outcome import EX_OK, EX_UNAVAILABLE, CommandFailed
from muttd.errors import ConfigError
from muttd.settings import Settings, load

_TIMEOUT_S = 4.0
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command."""
    check = commands.add_parser("healthcheck", help="whether the daemon of these settings is alive")
    check.set_defaults(command=check_health)


def check_health(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Ask, and exit 0 or 69."""
    settings = load(environ)
    if not settings.http:
        raise ConfigError(["MUTTD_HTTP: is off, so nobody can be asked"])
    address = settings.http[0]
    host = _LOOPBACK.get(address.host, address.host)
    where = f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    context = _context(settings) if settings.is_https else None
    url = f"{'https' if context else 'http'}://{where}/healthz"
    # No proxy stands between a daemon and its own host.
    no_proxy = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(no_proxy, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=_TIMEOUT_S):
            pass
    except (OSError, urllib.error.URLError) as exc:
        raise CommandFailed(f"{url}: {exc}", EX_UNAVAILABLE) from exc
    sys.stdout.write("ok\n")
    return EX_OK


def _context(settings: Settings) -> ssl.SSLContext:
    cert: Path | None = settings.http_server.tls_cert or settings.tls.cert
    context = ssl.create_default_context(cafile=cert)
    # It is that certificate itself which is expected, whoever signed it and whatever its names.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
