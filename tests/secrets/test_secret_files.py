"""muttd/secrets/files.py, vault_options.py: who may read a secret, and where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from muttd.errors import ConfigError
from muttd.secrets.files import credential_path, read_secret_file
from muttd.secrets.vault_options import SecretIdFile, VaultOptions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vault_secret_id"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    return path


def test_a_secret_is_read_without_the_space_around_it(path: Path) -> None:
    assert read_secret_file(path) == "s3cret"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_id_of_mode_600_or_stricter_is_read(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert SecretIdFile(path).read() == "s3cret"


@pytest.mark.parametrize(
    ("mode", "who"), [(0o644, "everybody"), (0o604, "everybody"), (0o640, "its group")]
)
def test_a_secret_id_that_others_may_read_is_refused_with_the_command_that_mends_it(
    path: Path, mode: int, who: str
) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigError) as refusal:
        SecretIdFile(path).read()
    assert refusal.value.mistakes == (
        f"VAULT_SECRET_ID_FILE: {who} may read {path}; run: chmod 600 {path}",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot read"), (b"", "is empty"), (b"\xff", "other than ASCII text")],
)
def test_a_file_of_no_use_is_named_and_not_quoted(
    path: Path, content: bytes | None, said: str
) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        SecretIdFile(path).read()


def test_a_credential_of_systemd_comes_before_the_file(path: Path, tmp_path: Path) -> None:
    directory = tmp_path / "credentials"
    directory.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(directory)}
    assert credential_path({}, "vault_secret_id") is None
    assert credential_path(environ, "vault_secret_id") is None
    assert SecretIdFile.find(environ, path).read() == "s3cret"
    credential = directory / "vault_secret_id"
    credential.write_text("from systemd")
    # As systemd leaves it: guarded by its directory and an ACL, which look like group bits.
    credential.chmod(0o440)
    assert credential_path(environ, "vault_secret_id") == credential
    assert SecretIdFile.find(environ, path).read() == "from systemd"


def test_options_show_no_secret(path: Path) -> None:
    options = VaultOptions(addr="https://v:8200", role_id="r0le", secret_id=SecretIdFile(path))
    assert "r0le" not in repr(options)
