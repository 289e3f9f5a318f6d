"""Where Vault is and who we are there, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muttd.errors import ConfigError
from muttd.secrets.files import credential_path, read_secret_file

_SETTING = "VAULT_SECRET_ID_FILE"
_CREDENTIAL = "vault_secret_id"
_GROUP_AND_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class SecretIdFile:
    """Where the secret id is.

    Attributes:
        path: Of the file.
        denied_mode: Bits of its mode that are refused; systemd guards its credentials by others.
    """

    path: Path
    denied_mode: int = _GROUP_AND_OTHERS

    @classmethod
    def find(cls, environ: Mapping[str, str], path: Path) -> SecretIdFile:
        """The credential when systemd gives one, else the file that the settings name."""
        credential = credential_path(environ, _CREDENTIAL)
        return cls(path) if credential is None else cls(credential, 0)

    def read(self) -> str:
        """What it holds.

        Raises:
            ConfigError: It cannot be used; why, and the command that mends it.
        """
        try:
            return read_secret_file(self.path, denied_mode=self.denied_mode)
        except ValueError as exc:
            raise ConfigError([f"{_SETTING}: {exc}"]) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultOptions:
    """How Vault is reached, and what is read there. Its repr shows no secret.

    Attributes:
        addr: https://HOST:PORT.
        role_id: Of the AppRole.
        secret_id: Where the secret id is; read at every login.
        is_wrapped: Whether a wrapping token is there instead.
        ca: CA certificates; None: those of the machine.
        client_cert, client_key: What we show, when it asks for a certificate.
        namespace, auth_mount, secrets_mount, secrets_path: As the settings have them.
        reread_s: How often the secrets are read again.
        timeout_s: A request that takes longer has failed.
    """

    addr: str
    role_id: str = field(repr=False)
    secret_id: SecretIdFile
    is_wrapped: bool = False
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    namespace: str = ""
    auth_mount: str = "approle"
    secrets_mount: str = "secret"
    secrets_path: str = "mutt"
    reread_s: float = 300.0
    timeout_s: float = 10.0
