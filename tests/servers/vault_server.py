"""A Vault of our own, over TLS, as the published HTTP API describes it.

    POST /v1/auth/MOUNT/login        AppRole: secret ids with a TTL and a number of uses
    POST /v1/auth/token/renew-self   up to the token's maximum TTL
    POST /v1/auth/token/revoke-self
    POST /v1/sys/wrapping/unwrap     a wrapping token opens once
    GET  /v1/MOUNT/data/PATH         KV version 2: newest or ?version=N, deleted ones 404
    GET  /v1/sys/health              200, or 503 when sealed

    with vault_server(certificates) as vault:
        vault.secret_id = vault.add_secret_id(uses=1)
        vault.put({"MUTTD_REDIS_PASSWORD": "s3cret"})
        vault.is_sealed = True                        503 to everything
        vault.stop()  vault.start()                   the same data and port again

What it does not have is 404, as there. It keeps its own clock: age() lets time pass for it.
Source: developer.hashicorp.com/vault/api-docs.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.certificates import Certificates

ROLE_ID = "11111111-role-4444"
Answer = tuple[int, dict[str, Any]]


@dataclass
class _Token:
    ends_at: float
    max_ends_at: float
    ttl_s: float
    is_renewable: bool = True


@dataclass
class _SecretId:
    uses_left: int
    ends_at: float


@dataclass
class VaultServer:
    """What the stand-in holds, and how it misbehaves.

    Attributes:
        port: The same as long as it lives.
        ttl_s, max_ttl_s: Of the tokens that a login gives.
        namespace: Requests without this one know no mount.
        may_read: Whether the role's policy lets it read.
        wants_client_cert: Whether a client has to show a certificate.
        is_sealed, is_limited: 503 and 429 to everything.
        location: Where every answer redirects to, if anywhere.
        answers: While it is clear nobody gets an answer.
        seen: (method, path) of every request.
    """

    certificates: Certificates
    port: int = 0
    ttl_s: float = 3600.0
    max_ttl_s: float = 4 * 3600.0
    tokens_renew: bool = True
    namespace: str = ""
    auth_mount: str = "approle"
    secrets_mount: str = "secret"
    secrets_path: str = "mutt"
    may_read: bool = True
    wants_client_cert: bool = False
    is_sealed: bool = False
    is_limited: bool = False
    location: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    _versions: list[dict[str, Any] | None] = field(default_factory=list)
    _secret_ids: dict[str, _SecretId] = field(default_factory=dict)
    _wrapped: dict[str, str] = field(default_factory=dict)
    _tokens: dict[str, _Token] = field(default_factory=dict)
    _aged_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _http: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """For VAULT_ADDR."""
        return f"https://127.0.0.1:{self.port}"

    def now(self) -> float:
        """Its clock."""
        return time.monotonic() + self._aged_s

    def age(self, seconds: float) -> None:
        """Let time pass for it."""
        self._aged_s += seconds

    def add_secret_id(self, *, uses: int = 0, ttl_s: float = 0.0) -> str:
        """POST auth/approle/role/muttd/secret-id; 0 is no limit."""
        text = f"sid-{secrets.token_hex(16)}"
        ends_at = self.now() + ttl_s if ttl_s else float("inf")
        self._secret_ids[text] = _SecretId(uses or 10**9, ends_at)
        return text

    def wrap(self, secret_id: str) -> str:
        """The same with X-Vault-Wrap-TTL: a token that stands for the secret id."""
        token = f"hvs.wrap{secrets.token_hex(16)}"
        self._wrapped[token] = secret_id
        return token

    def put(self, values: Mapping[str, Any]) -> None:
        """Write a new version of the secret."""
        self._versions.append(dict(values))

    def delete(self) -> None:
        """Delete the newest version, as `vault kv delete` does."""
        self._versions[-1] = None

    def revoke_tokens(self) -> None:
        """As `vault token revoke` does; or a restore from a backup."""
        self._tokens.clear()

    @property
    def tokens(self) -> list[str]:
        """Tokens that are in force, in the order of their making."""
        return [text for text, token in self._tokens.items() if token.ends_at > self.now()]

    def count(self, method: str, path: str) -> int:
        """How often this was asked for."""
        return self.seen.count((method, path))

    def start(self) -> None:
        """Serve, on the port that it had before."""
        self.answers.set()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates.server.cert, self.certificates.server.key)
        if self.wants_client_cert:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.certificates.ca)
        http = _TlsServer(("127.0.0.1", self.port), _handler_of(self), context)
        self.port = http.server_address[1]
        self._http = http
        self._thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close its port: connection refused."""
        self.answers.set()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
            self._http = None

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What Vault says to a request."""
        path = urlsplit(target).path
        self.seen.append((method, path))
        with self._lock:
            if self.is_sealed:
                return 503, {"errors": ["Vault is sealed"]}
            if self.is_limited:
                return 429, {"errors": [f'request path "{path[4:]}": rate limit quota exceeded']}
            if (method, path) == ("GET", "/v1/sys/health"):
                return 200, {"initialized": True, "sealed": False, "standby": False}
            if headers.get("X-Vault-Namespace", "") != self.namespace:
                return 404, {"errors": [f"no handler for route {path[4:]!r}"]}
            token = headers.get("X-Vault-Token", "")
            if (method, path) == ("POST", f"/v1/auth/{self.auth_mount}/login"):
                return self._login(json.loads(body))
            if (method, path) == ("POST", "/v1/sys/wrapping/unwrap"):
                return self._unwrap(token)
            held = self._tokens.get(token)
            if held is None or held.ends_at <= self.now():
                return 403, {"errors": ["permission denied"]}
            if method in ("POST", "PUT") and path == "/v1/auth/token/renew-self":
                return self._renew(token, held)
            if (method, path) == ("POST", "/v1/auth/token/revoke-self"):
                del self._tokens[token]
                return 204, {}
            prefix = f"/v1/{self.secrets_mount}/data/"
            if method == "GET" and path.startswith(prefix):
                return self._read(path.removeprefix(prefix), target)
            return 404, {"errors": [f"no handler for route {path[4:]!r}"]}

    def _login(self, body: Mapping[str, Any]) -> Answer:
        secret_id = self._secret_ids.get(str(body.get("secret_id")))
        is_known = body.get("role_id") == ROLE_ID and secret_id is not None
        if not is_known or secret_id is None or secret_id.ends_at <= self.now():
            return 400, {"errors": ["invalid role or secret ID"]}
        secret_id.uses_left -= 1
        if not secret_id.uses_left:
            del self._secret_ids[str(body["secret_id"])]
        text = f"hvs.{secrets.token_hex(16)}"
        now = self.now()
        self._tokens[text] = _Token(
            now + self.ttl_s, now + self.max_ttl_s, self.ttl_s, self.tokens_renew
        )
        return 200, _answer(auth=self._auth(text))

    def _renew(self, text: str, token: _Token) -> Answer:
        if not token.is_renewable:
            return 400, {"errors": ["lease is not renewable"]}
        token.ends_at = min(self.now() + token.ttl_s, token.max_ends_at)
        return 200, _answer(auth=self._auth(text))

    def _auth(self, text: str) -> dict[str, Any]:
        token = self._tokens[text]
        return {
            "client_token": text,
            "accessor": secrets.token_hex(8),
            "policies": ["default", "muttd"],
            "token_policies": ["default", "muttd"],
            "metadata": {"role_name": "muttd"},
            # Whole seconds, and no more than there are.
            "lease_duration": max(0, int(token.ends_at - self.now() + 0.05)),
            "renewable": token.is_renewable,
            "entity_id": secrets.token_hex(8),
            "token_type": "service",
            "orphan": True,
        }

    def _unwrap(self, token: str) -> Answer:
        secret_id = self._wrapped.pop(token, None)
        if secret_id is None:
            return 400, {"errors": ["wrapping token is not valid or does not exist"]}
        data = {"secret_id": secret_id, "secret_id_accessor": secrets.token_hex(8)}
        return 200, _answer(data=data)

    def _read(self, path: str, target: str) -> Answer:
        if not self.may_read:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if path != self.secrets_path or not self._versions:
            return 404, {"errors": []}
        asked = parse_qs(urlsplit(target).query).get("version", ["0"])[0]
        number = int(asked) or len(self._versions)
        values = self._versions[number - 1]
        metadata = {
            "created_time": "2026-01-01T00:00:00.000000Z",
            "custom_metadata": None,
            "deletion_time": "" if values is not None else "2026-01-02T00:00:00.000000Z",
            "destroyed": False,
            "version": number,
        }
        status = 404 if values is None else 200
        return status, _answer(data={"data": values, "metadata": metadata})


def _answer(*, data: Any = None, auth: Any = None) -> dict[str, Any]:
    return {
        "request_id": secrets.token_hex(16),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": auth,
    }


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(address, handler)
        # The handshake is the handler's: one client that does not shake hands holds up nobody.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us is no matter."""


def _handler_of(vault: VaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 10

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            vault.answers.wait()
            headers = dict(self.headers.items())
            status, document = vault.answer(self.command, self.path, headers, body)
            octets = b"" if status == 204 else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(octets)))
            self.send_header("Connection", "close")
            if vault.location:
                self.send_header("Location", vault.location)
            self.close_connection = True
            self.end_headers()
            self.wfile.write(octets)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as http.server has it
            """Say nothing."""

    return Handler


@contextmanager
def vault_server(certificates: Certificates, **settings: Any) -> Iterator[VaultServer]:
    """A Vault until the block ends; settings are attributes of VaultServer."""
    vault = VaultServer(certificates, **settings)
    vault.start()
    try:
        yield vault
    finally:
        vault.stop()


def vault_environ(vault: VaultServer, directory: Path) -> dict[str, str]:
    """What a daemon is told of a Vault; its secret id is put into the directory."""
    secret_id = directory / "vault_secret_id"
    secret_id.touch(0o600)
    secret_id.write_text(vault.add_secret_id())
    return {
        "VAULT_ADDR": vault.url,
        "VAULT_ROLE_ID": ROLE_ID,
        "VAULT_SECRET_ID_FILE": str(secret_id),
        "VAULT_CACERT": str(vault.certificates.ca),
    }
