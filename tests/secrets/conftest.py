"""A Vault that speaks the API, and who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.certificates import Certificates, make_certificates
from servers.vault_server import ROLE_ID, VaultServer, vault_server
from vault_admin import deliver

from muttd.secrets.vault_options import SecretIdFile, VaultOptions


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("vault"))


@pytest.fixture
def server(certificates: Certificates) -> Iterator[VaultServer]:
    with vault_server(certificates) as server:
        server.put({"MUTTD_REDIS_PASSWORD": "redis-s3cret"})
        yield server


@pytest.fixture
def secret_id(server: VaultServer, tmp_path: Path) -> Path:
    path = tmp_path / "vault_secret_id"
    deliver(path, server.add_secret_id())
    return path


@pytest.fixture
def options(server: VaultServer, certificates: Certificates, secret_id: Path) -> VaultOptions:
    return VaultOptions(
        addr=server.url,
        role_id=ROLE_ID,
        secret_id=SecretIdFile(secret_id),
        ca=certificates.ca,
        timeout_s=5.0,
    )
