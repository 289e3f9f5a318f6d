"""Vault's HTTP API through hvac: one request, one answer or one error of ours. It blocks.

    unwrap   POST sys/wrapping/unwrap         login    POST auth/approle/login
    read     GET SECRETS/data/PATH            renew    POST auth/token/renew-self
                                              revoke   POST auth/token/revoke-self

    no connection, 429, 5xx, sealed, no answer of its API   SecretsUnavailable
    400, 401, 403, 404                                      SecretsRefused

The only file that knows hvac and requests. Nothing of the environment counts here but what we were
given: no token of a person who is logged in on this machine, no proxy, no switch that turns
verification off.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import hvac  # type: ignore[import-untyped]  # its stubs lag behind it
import requests
from hvac import exceptions

from muttd.errors import SecretsRefused, SecretsUnavailable
from muttd.secrets.vault_options import VaultOptions

# Of what Vault says, for the operator.
_SAID_CHARS = 200
# Where Debian and the RHEL family keep the CA certificates of the machine; requests brings its own.
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_REFUSED = (
    exceptions.InvalidRequest,
    exceptions.Unauthorized,
    exceptions.Forbidden,
    exceptions.InvalidPath,
)


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gives.

    Attributes:
        text: The token.
        ttl_s: How long it lives from now on; 0: for ever.
        is_renewable: Whether it may be made to live longer.
    """

    text: str = field(repr=False)
    ttl_s: float
    is_renewable: bool


class VaultClient:
    """Asks Vault. Each call has a connection of its own; they are minutes apart.

    Args:
        options: Where it is and who we are.
    """

    def __init__(self, options: VaultOptions) -> None:
        self._options = options

    def unwrap(self, wrapping_token: str) -> str:
        """The secret id that a wrapping token stands for. Works once."""
        with self._asking("unwrap the secret id", wrapping_token) as client:
            return str(client.sys.unwrap()["data"]["secret_id"])

    def login(self, secret_id: str) -> Token:
        """Log in by AppRole."""
        options = self._options
        with self._asking("log in", "", secret_id) as client:
            return _token(
                client.auth.approle.login(
                    options.role_id, secret_id, use_token=False, mount_point=options.auth_mount
                )
            )

    def renew(self, token: str) -> Token:
        """Make a token live longer; its new TTL is what its maximum leaves."""
        with self._asking("renew the token", token) as client:
            return _token(client.auth.token.renew_self())

    def revoke(self, token: str) -> None:
        """Make a token worthless."""
        with self._asking("revoke the token", token) as client:
            client.auth.token.revoke_self()

    def read(self, token: str) -> dict[str, object]:
        """The newest version of the secret: what is under its keys."""
        options = self._options
        with self._asking(f"read {options.secrets_mount}/{options.secrets_path}", token) as client:
            answer = client.secrets.kv.v2.read_secret_version(
                options.secrets_path,
                mount_point=options.secrets_mount,
                raise_on_deleted_version=True,
            )
            return dict(answer["data"]["data"])

    @contextmanager
    def _asking(self, what: str, token: str, *secrets: str) -> Iterator[Any]:
        # Any: hvac has no types.
        def said(exc: Exception) -> str:
            text = " ".join(str(exc).split())
            for secret in (self._options.role_id, token, *secrets):
                # Before it is cut: half a secret is one too.
                text = text.replace(secret, "***") if secret else text
            return text[:_SAID_CHARS] or type(exc).__name__

        with _session(self._options) as session:
            client = hvac.Client(
                url=self._options.addr,
                token=token,
                verify=session.verify,
                cert=session.cert,
                timeout=self._options.timeout_s,
                session=session,
                namespace=self._options.namespace or None,
            )
            try:
                yield client
            except _REFUSED as exc:
                raise SecretsRefused(f"Vault does not let us {what}: {said(exc)}") from exc
            except exceptions.VaultError as exc:
                raise SecretsUnavailable(f"Vault cannot {what} now: {said(exc)}") from exc
            except requests.RequestException as exc:
                # Not its text: it may quote the request.
                raise SecretsUnavailable(f"Vault: no answer ({type(exc).__name__})") from exc
            except (KeyError, TypeError, ValueError, AttributeError) as exc:
                raise SecretsUnavailable(f"Vault: no answer of its API, to {what}") from exc


class _Session(requests.Session):
    """Follows a standby to the active node, but never into the clear."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer sends us.

        Raises:
            requests.RequestException: From https to something else.
        """
        target = super().get_redirect_target(resp)
        if target is not None and resp.url.startswith("https:"):
            scheme = urlsplit(urljoin(resp.url, target)).scheme
            if scheme != "https":
                raise requests.exceptions.InvalidSchema
        return target


def _session(options: VaultOptions) -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.verify = str(options.ca) if options.ca is not None else _machine_ca()
    if options.client_cert is not None and options.client_key is not None:
        session.cert = (str(options.client_cert), str(options.client_key))
    return session


def _machine_ca() -> str | bool:
    for path in (ssl.get_default_verify_paths().cafile, *_CA_BUNDLES):
        if path is not None and Path(path).exists():
            return path
    return True


def _token(answer: Any) -> Token:  # noqa: ANN401 -- JSON of a stranger; who asked catches the rest
    auth = answer["auth"]
    return Token(
        text=str(auth["client_token"]),
        ttl_s=float(auth["lease_duration"]),
        is_renewable=bool(auth["renewable"]),
    )
