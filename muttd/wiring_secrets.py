"""Secrets in the daemon: what comes from Vault, and the API keys of the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry

from muttd.errors import ConfigError, SecretsError
from muttd.secrets.vault import Vault, VaultMetrics, settings_of
from muttd.secrets.vault_client import VaultClient
from muttd.secrets.vault_options import SecretIdFile, VaultOptions
from muttd.settings import Settings, declared, load
from muttd.state_dir import KeyFile, keys_or_made


def vault_options(settings: Settings, environ: Mapping[str, str]) -> VaultOptions | None:
    """Where Vault is; None when no secret comes from there.

    Raises:
        ConfigError: The secret id cannot be read, or others can read it.
    """
    vault = settings.vault
    if vault.addr is None or vault.role_id is None:
        return None
    secret_id = SecretIdFile.find(environ, vault.secret_id_file)
    # Now, and not when Vault is first asked: whoever starts the daemon is still looking.
    secret_id.read()
    return VaultOptions(
        addr=vault.addr,
        role_id=vault.role_id.reveal(),
        secret_id=secret_id,
        is_wrapped=vault.secret_id_wrapped,
        ca=vault.cacert or settings.tls.ca,
        client_cert=vault.client_cert,
        client_key=vault.client_key,
        namespace=vault.namespace,
        auth_mount=vault.auth_mount,
        secrets_mount=vault.secrets_mount,
        secrets_path=vault.secrets_path,
        reread_s=vault.reread_s,
        timeout_s=vault.timeout_s,
    )


def names_in_vault() -> frozenset[str]:
    """Names of the settings that may come from Vault: every secret but our own there."""
    return frozenset(
        name
        for row in declared()
        if row.is_secret and row.path[0] != "vault"
        for name in row.names
        if not name.endswith("_FILE")
    )


def open_vault(options: VaultOptions | None, registry: CollectorRegistry) -> Vault | None:
    """What keeps the secrets fresh; None when none comes from Vault."""
    # Registered in any case: a dashboard must find the series at zero.
    metrics = VaultMetrics(registry)
    return None if options is None else Vault(options, names_in_vault(), metrics)


def load_once(
    settings: Settings, environ: Mapping[str, str], *, forgive_unknown: bool = False
) -> Settings:
    """The settings with what Vault holds now, for a command that is soon over. It blocks.

    Args:
        settings: Without it.
        environ: What they were made of.
        forgive_unknown: As for load().

    Raises:
        ConfigError: The secret id cannot be read, or opens once and belongs to the daemon.
        SecretsError: Vault gives nothing.
    """
    options = vault_options(settings, environ)
    if options is None:
        return settings
    if options.is_wrapped:
        raise ConfigError(["VAULT_SECRET_ID_FILE: what it holds opens once, for the daemon"])
    client = VaultClient(options)
    token = client.login(options.secret_id.read()).text
    try:
        held, _ = settings_of(client.read(token), names_in_vault())
    finally:
        # A courtesy, which a policy may not allow.
        with suppress(SecretsError):
            client.revoke(token)
    return load(environ, forgive_unknown=forgive_unknown, vault=held)


def key_files(settings: Settings) -> list[KeyFile]:
    """The key files that stand in for API keys which nobody configured; made if they are missing.

    Raises:
        ConfigError: One cannot be used.
    """
    keys = settings.keys
    return [
        *keys_or_made(settings.state_dir, "admin", is_configured=bool(keys.admin)),
        *keys_or_made(settings.state_dir, "ingest", is_configured=bool(keys.ingest)),
    ]
