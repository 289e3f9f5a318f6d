"""Settings of where secrets come from: Vault, by AppRole.

Declared as in settings.py, whose Settings holds this group. The names are those of Vault's own
tools where there is one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from muttd.settings_table import setting
from muttd.settings_values import Secret, Url


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Vault, from which secrets come that are set nowhere else; docs/vault.md names them."""

    addr: Url | None = setting(
        None, "Where Vault is: https://HOST:8200; without it no secret comes from there."
    )
    role_id: Secret | None = setting(None, "Role id of this daemon's AppRole.")
    secret_id_file: Path = setting(
        Path("/etc/mutt/secrets/vault_secret_id"),
        "File, mode 600, with the secret id; the credential vault_secret_id comes before it.",
    )
    secret_id_wrapped: bool = setting(
        False,
        "Whether that file holds a response-wrapping token, from which the secret id is unwrapped "
        "once.",
    )
    cacert: Path | None = setting(
        None,
        "File with the CA certificates that Vault's is verified by; without it MUTTD_TLS_CA, then "
        "those of the machine.",
    )
    client_cert: Path | None = setting(None, "File with the certificate shown to Vault.")
    client_key: Path | None = setting(None, "File with the private key of that certificate.")
    namespace: str = setting("", "Namespace, of Vault Enterprise.")
    auth_mount: str = setting("approle", "Where the AppRole method is mounted.")
    secrets_mount: str = setting("secret", "Where the KV engine, version 2, is mounted.")
    secrets_path: str = setting(
        "mutt", "Path, in that mount, of the secret whose keys are names of settings."
    )
    reread_s: float = setting(
        300.0,
        "How often the secrets are read again, besides at SIGHUP.",
        unit="seconds",
        at_least=1,
        at_most=86_400,
    )
    timeout_s: float = setting(
        10.0,
        "A request that Vault has not answered after this time has failed, and is repeated.",
        unit="seconds",
        at_least=0.1,
        at_most=300,
    )
