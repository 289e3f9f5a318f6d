"""muttd/secrets/vault_client.py: what it sends, whom it believes, what it shows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.certificates import make_certificates
from servers.vault_server import ROLE_ID, VaultServer

from muttd.errors import SecretsRefused, SecretsUnavailable
from muttd.secrets.vault_client import VaultClient
from muttd.secrets.vault_options import SecretIdFile, VaultOptions


def test_the_secret_id_has_its_own_mount_and_namespace(
    server: VaultServer, options: VaultOptions, secret_id: Path
) -> None:
    server.namespace, server.auth_mount = "teams/noc", "hosts"
    server.secrets_mount, server.secrets_path = "kv", "prod/mutt"
    client = VaultClient(
        replace(
            options,
            namespace="teams/noc",
            auth_mount="hosts",
            secrets_mount="kv",
            secrets_path="prod/mutt",
        )
    )
    token = client.login(secret_id.read_text())
    assert client.read(token.text) == {"MUTTD_REDIS_PASSWORD": "redis-s3cret"}


def test_a_vault_that_another_authority_vouches_for_is_told_nothing(
    server: VaultServer,
    options: VaultOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What a person may have set on this machine for a moment.
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(options.ca))
    (tmp_path / "stranger").mkdir()
    strangers = make_certificates(tmp_path / "stranger")
    with pytest.raises(SecretsUnavailable, match="SSLError"):
        VaultClient(replace(options, ca=strangers.ca)).login("sid")
    with pytest.raises(SecretsUnavailable, match="SSLError"):
        VaultClient(replace(options, ca=None)).login("sid")
    assert server.seen == []


def test_the_token_of_a_person_on_this_machine_is_not_used(
    server: VaultServer, options: VaultOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put({"MUTTD_REDIS_PASSWORD": "x"})
    token = VaultClient(options).login(server.add_secret_id()).text
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(SecretsRefused, match="permission denied"):
        VaultClient(options).read("")


def test_a_redirect_into_the_clear_is_not_followed(
    server: VaultServer, options: VaultOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*request: Any) -> tuple[int, dict[str, Any]]:
        return 307, {}

    monkeypatch.setattr(server, "answer", answer)
    monkeypatch.setattr(server, "location", "http://127.0.0.1:1/v1/auth/approle/login")
    with pytest.raises(SecretsUnavailable, match="InvalidSchema"):
        VaultClient(options).login("sid")


@pytest.mark.parametrize("document", [[], {}, {"auth": None}, {"auth": {"client_token": "t"}}])
def test_an_answer_that_is_none_of_the_api_is_not_now(
    server: VaultServer, options: VaultOptions, monkeypatch: pytest.MonkeyPatch, document: Any
) -> None:
    monkeypatch.setattr(server, "answer", lambda *request: (200, document))
    with pytest.raises(SecretsUnavailable, match="no answer of its API"):
        VaultClient(options).login("sid")


def test_what_vault_says_is_shown_without_our_secrets(
    server: VaultServer, options: VaultOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"errors": [f"no {ROLE_ID} with sid-s3cret here"]}
    monkeypatch.setattr(server, "answer", lambda *request: (400, said))
    with pytest.raises(SecretsRefused) as refusal:
        VaultClient(options).login("sid-s3cret")
    assert "no *** with *** here" in str(refusal.value)


@pytest.mark.skipif("VAULT_ROLE_ID" not in os.environ, reason="set VAULT_ADDR, VAULT_ROLE_ID, ...")
def test_a_real_vault_lets_us_in() -> None:
    """Against the Vault of a site, with its VAULT_ADDR, VAULT_ROLE_ID, VAULT_SECRET_ID_FILE."""
    options = VaultOptions(
        addr=os.environ["VAULT_ADDR"],
        role_id=os.environ["VAULT_ROLE_ID"],
        secret_id=SecretIdFile(Path(os.environ["VAULT_SECRET_ID_FILE"])),
        ca=Path(os.environ["VAULT_CACERT"]) if "VAULT_CACERT" in os.environ else None,
        secrets_path=os.environ.get("VAULT_SECRETS_PATH", "mutt"),
    )
    client = VaultClient(options)
    token = client.login(options.secret_id.read())
    assert client.renew(token.text).ttl_s >= 0
    assert client.read(token.text)
