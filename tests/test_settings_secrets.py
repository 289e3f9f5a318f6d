"""Secrets among the settings: files, Vault, successors, and that none is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_settings import mistakes_of

from muttd.errors import ConfigError
from muttd.settings import declared, load
from muttd.settings_table import Source
from muttd.settings_values import (
    Secret,
)


def test_a_password_and_its_successor_are_both_tried(tmp_path: Path) -> None:
    successor = a_secret_file(tmp_path, "new\n")
    settings = load(
        {
            "MUTTD_REDIS_PASSWORD": "old",
            "MUTTD_REDIS_PASSWORD_NEXT": "new",
            "MUTTD_DATABASE_PASSWORD": "old",
            "MUTTD_DATABASE_PASSWORD_NEXT_FILE": str(successor),
        }
    )
    assert settings.redis.passwords == (Secret("old"), Secret("new"))
    assert settings.database.passwords == (Secret("old"), Secret("new"))


def test_a_key_and_its_successor_are_both_valid(tmp_path: Path) -> None:
    successor = a_secret_file(tmp_path, "new\n")
    keys = load(
        {"MUTTD_ADMIN_API_KEY": "old", "MUTTD_ADMIN_API_KEY_NEXT_FILE": str(successor)}
    ).keys
    assert keys.admin == (Secret("old"), Secret("new"))


def test_only_keys_and_passwords_have_a_successor() -> None:
    assert mistakes_of({"MUTTD_SNMP_COMMUNITIES_NEXT": "x"})[0].startswith(
        "MUTTD_SNMP_COMMUNITIES_NEXT: no such setting"
    )


def a_secret_file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_is_read_from_the_file_that_its_name_points_to(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "  s3cret\n")
    settings = load({"MUTTD_MOOG_API_KEY_FILE": str(path)})
    assert settings.moog.api_keys == (Secret("s3cret"),)
    assert settings.sources["MUTTD_MOOG_API_KEY"] is Source.FILE


def test_a_secret_comes_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    name = "MUTTD_MOOG_API_KEY"
    (tmp_path / name).write_text("from-systemd")
    (tmp_path / name).chmod(0o440)
    path = a_secret_file(tmp_path, "from-file")
    by_file = {f"{name}_FILE": str(path)}
    by_systemd = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    vault = {name: "from-vault"}
    for environ, text, source in (
        (by_file | by_systemd, "from-file", Source.FILE),
        (by_systemd, "from-systemd", Source.CREDENTIAL),
        ({}, "from-vault", Source.VAULT),
    ):
        settings = load(environ, vault=vault)
        assert settings.moog.api_keys == (Secret(text),)
        assert settings.sources[name] is source


def test_what_vault_holds_is_checked_as_everything_else_and_never_quoted() -> None:
    with pytest.raises(ConfigError) as refusal:
        load({}, vault={"MUTTD_REDIS_PASSWORD": "hunter 2", "MUTTD_DRAIN_S": "soon"})
    assert refusal.value.mistakes == (
        "MUTTD_REDIS_PASSWORD in Vault: must be visible ASCII characters, without spaces",
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"MUTTD_REDIS_URL": "redis://h"},
        {"MUTTD_DATABASE_URL": "postgresql://h/d"},
        {"VAULT_ADDR": "https://v", "VAULT_ROLE_ID": "r"},
        {"MUTTD_TLS_REQUIRED": "true"},
    ],
)
def test_the_community_that_everybody_knows_is_a_default_of_a_daemon_by_itself_alone(
    environ: dict[str, str],
) -> None:
    assert load({}).communities == (Secret("public"),)
    assert load(environ).communities == ()
    chosen = {**environ, "MUTTD_SNMP_COMMUNITIES": "public"}
    assert load(chosen).communities == (Secret("public"),)
    in_vault = load(environ, vault={"MUTTD_SNMP_COMMUNITIES": "one,two"})
    assert in_vault.communities == (Secret("one"), Secret("two"))


def test_vault_needs_a_role() -> None:
    assert mistakes_of({"VAULT_ADDR": "https://vault.example:8200"}) == (
        "VAULT_ADDR: goes with VAULT_ROLE_ID; set both or neither",
    )


def test_communities_may_come_from_a_file_too(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "one,two\n")
    settings = load({"MUTTD_SNMP_COMMUNITIES_FILE": str(path)})
    assert settings.snmp.communities == (Secret("one"), Secret("two"))


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert mistakes_of({"MUTTD_MOOG_API_KEY_FILE": str(path)}) == (
        f"MUTTD_MOOG_API_KEY_FILE: cannot read {path}: No such file or directory",
    )


def test_a_secret_file_that_everybody_may_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "s3cret", mode=0o644)
    assert mistakes_of({"MUTTD_MOOG_API_KEY_FILE": str(path)}) == (
        f"MUTTD_MOOG_API_KEY_FILE: everybody may read {path}; run: chmod 600 {path}",
    )
    os.chmod(path, 0o600)
    assert load({"MUTTD_MOOG_API_KEY_FILE": str(path)}).moog.api_keys == (Secret("s3cret"),)


def test_an_empty_secret_file_is_a_mistake_and_not_an_empty_secret(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "\n")
    assert mistakes_of({"MUTTD_MOOG_API_KEY_FILE": str(path)}) == (
        f"MUTTD_MOOG_API_KEY_FILE: {path} is empty",
    )


def test_a_secret_file_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    assert mistakes_of({"MUTTD_MOOG_API_KEY_FILE": str(path)}) == (
        f"MUTTD_MOOG_API_KEY_FILE: {path} holds something other than ASCII text",
    )


def test_a_secret_in_two_places_is_a_mistake(tmp_path: Path) -> None:
    path = a_secret_file(tmp_path, "a")
    assert mistakes_of({"MUTTD_MOOG_API_KEY": "b", "MUTTD_MOOG_API_KEY_FILE": str(path)}) == (
        "MUTTD_MOOG_API_KEY: set MUTTD_MOOG_API_KEY or MUTTD_MOOG_API_KEY_FILE, not both",
    )


def test_only_secrets_come_from_files() -> None:
    assert mistakes_of({"MUTTD_HTTP_FILE": "/etc/hostname"})[0].startswith(
        "MUTTD_HTTP_FILE: no such setting"
    )


def test_one_key_cannot_have_two_roles() -> None:
    [mistake] = mistakes_of({"MUTTD_INGEST_API_KEY": "k", "MUTTD_ADMIN_API_KEY_NEXT": "k"})
    assert mistake.startswith("MUTTD_INGEST_API_KEY: is MUTTD_ADMIN_API_KEY as well")


def test_no_mistake_quotes_a_value() -> None:
    """A secret under the wrong name must not reach the log."""
    for row in declared():
        value = "hunter2 \x01"
        said = "\n".join(mistakes_of({row.name: value, "MUTTD_TYPO": "hunter2"}))
        assert "MUTTD_TYPO: no such setting" in said
        assert "hunter2" not in said


def test_the_repr_of_settings_shows_no_secret() -> None:
    settings = load(
        {
            "MUTTD_ADMIN_API_KEY": "hunter2",
            "MUTTD_MOOG_API_KEY": "hunter3",
            "MUTTD_REDIS_URL": "redis://hunter4:hunter5@h",
            "MUTTD_REDIS_PASSWORD": "hunter6",
            "MUTTD_DATABASE_URL": "postgresql://hunter7@h/d?password=hunter8",
            "MUTTD_DATABASE_PASSWORD_NEXT": "hunter9",
        }
    )
    assert "hunter" not in repr(settings)
    assert "Secret(...)" in repr(settings)
