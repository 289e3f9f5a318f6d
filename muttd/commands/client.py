"""The REST client of the commands: where the daemon is, with which key, and what its errors mean.

    --key-file FILE | -        the key in a file, or on standard input
    MUTTD_ADMIN_API_KEY[_FILE] as the daemon would read it, from Vault too
    STATE_DIR/admin.key        what the daemon made at its first start

The key is never an argument: every user of the machine can read those.
"""

from __future__ import annotations

import argparse
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from muttd.commands.outcome import (
    EX_DATAERR,
    EX_NOINPUT,
    EX_NOPERM,
    EX_UNAVAILABLE,
    EX_USAGE,
    CommandFailed,
)
from muttd.errors import ConfigError, SecretsError
from muttd.settings import Settings, load
from muttd.settings_values import Secret, parse_secret, parse_url

DEFAULT_URL = "http://127.0.0.1:8080"
ADMIN_KEY_FILE = "admin.key"
# A daemon that is alive answers within this time even under load.
TIMEOUT_S = 15.0
# What the API allows (SPEC: limit <= 200).
PAGE_ITEMS = 200


def add_client_options(parser: argparse.ArgumentParser) -> None:
    """--url, --ca, --key-file and --state-dir."""
    parser.add_argument("--url", default=DEFAULT_URL, help=f"of the daemon (default {DEFAULT_URL})")
    parser.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="CA certificates that an https daemon's is verified by (default MUTTD_TLS_CA, else "
        "those of this machine)",
    )
    parser.add_argument("--key-file", metavar="FILE", help='holds the API key; "-" is stdin')
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        help=f"holds {ADMIN_KEY_FILE} (default MUTTD_STATE_DIR, else /var/lib/mutt)",
    )


def base_url(url: str) -> str:
    """The daemon's URL, checked, without a trailing slash."""
    try:
        return parse_url(url).rstrip("/")
    except ValueError as exc:
        raise CommandFailed(f"--url: {exc}", EX_USAGE) from exc


def find_trust(args: argparse.Namespace, environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """What an https daemon's certificate is verified by; None for http.

    Raises:
        CommandFailed: The CA file cannot be used.
    """
    if not args.url.lower().startswith("https:"):
        return None
    path = args.ca or load(environ, forgive_unknown=True).tls.ca
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError as exc:
        raise CommandFailed(f"no CA certificates in {path}", EX_NOINPUT) from exc
    except OSError as exc:
        raise CommandFailed(f"cannot read {path}: {exc.strerror}", EX_NOINPUT) from exc


def open_client(args: argparse.Namespace, environ: Mapping[str, str]) -> Client:
    """A client of the daemon that the command line names.

    Raises:
        CommandFailed: There is no key that may be read, or an option is wrong.
    """
    url, trust = base_url(args.url), find_trust(args, environ)
    return Client(url, find_key(args, environ), trust=trust)


def find_key(args: argparse.Namespace, environ: Mapping[str, str]) -> Secret:
    """The API key to use.

    Raises:
        CommandFailed: There is none that may be read.
    """
    if args.key_file == "-":
        return _checked(sys.stdin.read(), "standard input")
    if args.key_file:
        return _key_in(Path(args.key_file))
    if args.state_dir:
        return _key_in(args.state_dir / ADMIN_KEY_FILE)
    settings = load(environ, forgive_unknown=True)
    if not settings.keys.admin and settings.vault.addr is not None:
        settings = _with_vault(settings, environ)
    if settings.keys.admin:
        return settings.keys.admin[0]
    return _key_in(settings.state_dir / ADMIN_KEY_FILE)


def _with_vault(settings: Settings, environ: Mapping[str, str]) -> Settings:
    # Here and not above: it is much to import, and few need it.
    from muttd.wiring_secrets import load_once

    try:
        return load_once(settings, environ, forgive_unknown=True)
    except (ConfigError, SecretsError) as exc:
        raise CommandFailed(f"no API key: {exc}; name one with --key-file", EX_NOPERM) from exc


def _key_in(path: Path) -> Secret:
    try:
        text = path.read_text(encoding="ascii")
    except OSError as exc:
        raise CommandFailed(
            f"no API key: cannot read {path}: {exc.strerror}; "
            "name the daemon's state directory with --state-dir or a key with --key-file",
            EX_NOPERM,
        ) from exc
    except UnicodeDecodeError as exc:
        raise CommandFailed(f"no API key in {path}: not ASCII text", EX_NOPERM) from exc
    return _checked(text, str(path))


def _checked(text: str, where: str) -> Secret:
    try:
        return parse_secret(text.strip())
    except ValueError as exc:
        raise CommandFailed(f"no API key in {where}: {exc}", EX_NOPERM) from exc


class Client:
    """Calls one daemon's API. Use it as a context manager.

    Args:
        url: As base_url() returned it.
        key: Sent with every request.
        trust: As find_trust() returned it; else the CAs of this machine.
        transport: Stands in for the network.
    """

    def __init__(
        self,
        url: str,
        key: Secret,
        *,
        trust: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        # The daemon is a neighbour: no proxy from the environment stands between.
        self._http = httpx.Client(
            headers={"X-API-KEY": key.reveal(), "Accept": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=_verification(url, trust),
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """One request; its JSON answer, empty when it has none.

        Raises:
            CommandFailed: Nobody answers, the key may not, or the API says no.
        """
        try:
            response = self._http.request(
                method, self._url + path, params=params, json=body, timeout=timeout_s
            )
        except httpx.TimeoutException as exc:
            raise CommandFailed(f"{self._url} does not answer", EX_UNAVAILABLE) from exc
        except httpx.HTTPError as exc:
            raise unreachable(self._url, exc, exc) from exc
        return answer_of(response, self._url)

    def pages(self, path: str, items: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        page, pages = 1, 1
        while page <= pages:
            answer = self.call("GET", path, params={**params, "page": page, "limit": PAGE_ITEMS})
            yield from answer[items]
            pages = answer["pagination"]["pages"]
            page += 1


def _verification(url: str, trust: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    if url.lower().startswith("https:"):
        return trust or ssl.create_default_context()
    # Nothing to verify, and to read every CA of the machine takes 20 ms.
    return False


def unreachable(url: str, exc: BaseException, why: object) -> CommandFailed:
    """Why nobody answers there, and what may cure it."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CommandFailed(
            f"the certificate of {url} is not to be trusted: {cause.verify_message}; --ca names "
            "the CA that signed it",
            EX_UNAVAILABLE,
        )
    return CommandFailed(f"cannot reach {url}: {why}; is muttd running there?", EX_UNAVAILABLE)


def answer_of(response: httpx.Response, url: str) -> dict[str, Any]:
    """The JSON object of a good answer.

    Raises:
        CommandFailed: It is not a good one, or not from muttd.
    """
    if response.status_code in (401, 403):
        raise CommandFailed(f"{url} refuses this API key: {_reason(response)}", EX_NOPERM)
    if response.status_code >= 500:
        raise CommandFailed(f"{url} cannot do it now: {_reason(response)}", EX_UNAVAILABLE)
    if not response.is_success:
        raise CommandFailed(_reason(response), EX_DATAERR)
    if not response.content:
        return {}
    try:
        answer = response.json()
    except ValueError as exc:
        raise CommandFailed(f"{url} is not muttd: its answer is no JSON", EX_UNAVAILABLE) from exc
    if not isinstance(answer, dict):
        raise CommandFailed(f"{url} is not muttd: its answer is no JSON object", EX_UNAVAILABLE)
    return answer


def _reason(response: httpx.Response) -> str:
    """What the API says, with each field that it names."""
    try:
        answer = response.json()
        details = [f"{d['field']}: {d['message']}" for d in answer.get("details") or ()]
        return "; ".join(details) or str(answer["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        # Not our API: a proxy, or another program on that port.
        return f"HTTP status {response.status_code}"
