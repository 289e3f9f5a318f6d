"""The users file: who may read it, and every mistake in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from muttd import snmp_users
from muttd.commands.run import check_config
from muttd.errors import ConfigError
from muttd.snmp_users import read_users


def file_with(folder: Path, octets: bytes, mode: int = 0o600) -> Path:
    path = folder / "users.conf"
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def mistakes_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_users(path)
    return caught.value.mistakes


def test_without_a_file_there_are_no_users() -> None:
    assert read_users(None) == []


def test_users_are_read(tmp_path: Path) -> None:
    path = file_with(tmp_path, "createUser jürgen SHA authpass12\n".encode())
    assert [user.name for user in read_users(path)] == ["jürgen".encode()]


@pytest.mark.parametrize("mode", [0o640, 0o660, 0o604, 0o644, 0o610])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = file_with(tmp_path, b"createUser u\n", mode)
    [mistake] = mistakes_of(path)
    assert mistake == (
        f"MUTTD_SNMP_USERS_FILE: others can read {path} (mode {mode:o}); chmod 600 {path}"
    )


def test_roots_file_may_be_lent_to_our_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So systemd hands a credential over; what the group may write, root did not lend."""
    path = file_with(tmp_path, b"createUser u\n", 0o440)
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of root's")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert len(read_users(path)) == 1
    path.chmod(0o660)
    assert "others can read" in mistakes_of(path)[0]


def test_what_is_no_users_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in mistakes_of(tmp_path / "absent")[0]
    assert "Is a directory" in mistakes_of(tmp_path)[0]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert "is not a file" in mistakes_of(fifo)[0]
    path = file_with(tmp_path, b"createUser u\ncreateUser \xff\n")
    assert mistakes_of(path)[0].endswith("line 2: is not UTF-8")
    monkeypatch.setattr(snmp_users, "_MAX_OCTETS", 10)
    assert "longer than 10 octets" in mistakes_of(path)[0]


def test_check_config_names_the_lines(tmp_path: Path) -> None:
    path = file_with(tmp_path, b"createUser u SHA s3cret\ncreateUser\n")
    with pytest.raises(ConfigError) as caught:
        check_config(None, {"MUTTD_SNMP_USERS_FILE": str(path)})  # type: ignore[arg-type]  # unused
    assert [mistake.split(": ")[1] for mistake in caught.value.mistakes] == [
        f"{path}, line 1",
        f"{path}, line 2",
    ]
    assert "s3cret" not in str(caught.value)
