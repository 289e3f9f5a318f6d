"""muttd/state_dir.py."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from muttd.errors import ConfigError
from muttd.state_dir import (
    instance_id,
    key_file,
    keys_or_made,
    open_state_dir,
    snmp_engine,
)


def test_the_state_directory_is_made_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state"
    open_state_dir(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    open_state_dir(path)


def test_a_state_directory_that_cannot_be_made_says_how_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"MUTTD_STATE_DIR: cannot make .*install -d -m 700"):
        open_state_dir(tmp_path / "file" / "state")


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = key_file(tmp_path, "admin")
    again = key_file(tmp_path, "admin")
    assert (made.is_new, again.is_new) == (True, False)
    assert made.secret == again.secret
    assert len(made.secret) >= 43
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["admin.key"]


def test_a_key_that_others_can_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = key_file(tmp_path, "admin").path
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        key_file(tmp_path, "admin")


@pytest.mark.parametrize("octets", [b"\n", b"\xff\xfe\n", b"a b\n", b"a\nb\n"])
def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path, octets: bytes) -> None:
    path = key_file(tmp_path, "admin").path
    path.write_bytes(octets)
    with pytest.raises(ConfigError, match="is no key that a header can carry"):
        key_file(tmp_path, "admin")


def test_a_directory_in_the_place_of_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "admin.key").mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        key_file(tmp_path, "admin")


def test_a_file_in_the_place_of_the_state_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a directory"):
        open_state_dir(tmp_path / "file")


def test_a_key_that_cannot_be_written_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        key_file(tmp_path / "absent", "admin")


def test_configured_keys_make_no_files(tmp_path: Path) -> None:
    assert keys_or_made(tmp_path, "admin", is_configured=True) == []
    assert [key.path.name for key in keys_or_made(tmp_path, "admin", is_configured=False)] == [
        "admin.key"
    ]


def test_the_instance_id_stays_as_long_as_the_state_directory(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = instance_id(tmp_path)
    assert len(first) == 12
    assert instance_id(tmp_path) == first
    assert instance_id(tmp_path / "other") != first


def test_an_instance_id_that_is_none_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "instance.id"
    for octets in (b"", b"two words\n", b"\xff"):
        path.write_bytes(octets)
        with pytest.raises(ConfigError, match="remove the file"):
            instance_id(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        instance_id(tmp_path)


def test_the_snmp_engine_counts_its_boots(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    engine_id, boots = snmp_engine(tmp_path)
    assert boots == 1
    # RFC 3411, 5: 5 to 32 octets, the first bit set.
    assert len(engine_id) == 17
    assert engine_id[0] & 0x80
    assert snmp_engine(tmp_path) == (engine_id, 2)
    assert snmp_engine(tmp_path) == (engine_id, 3)
    assert snmp_engine(tmp_path / "other")[0] != engine_id
    assert stat.S_IMODE((tmp_path / "snmp.engine").stat().st_mode) == 0o600


def test_an_engine_whose_boots_are_used_up_gets_another_id(tmp_path: Path) -> None:
    path = tmp_path / "snmp.engine"
    path.write_text(f"8000000001020304 {2**31 - 3}\n")
    assert snmp_engine(tmp_path) == (bytes.fromhex("8000000001020304"), 2**31 - 2)
    engine_id, boots = snmp_engine(tmp_path)
    assert engine_id != bytes.fromhex("8000000001020304")
    assert boots == 1


def test_an_engine_file_that_is_none_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "snmp.engine"
    for octets in (b"", b"8000000001020304\n", b"80 1", b"\xff 1", b"8000000001020304 -1"):
        path.write_bytes(octets)
        with pytest.raises(ConfigError, match="remove the file"):
            snmp_engine(tmp_path)
    # An odd number of digits is no octets.
    path.write_text("80000000010203040 1")
    with pytest.raises(ConfigError, match="remove the file"):
        snmp_engine(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        snmp_engine(tmp_path)
