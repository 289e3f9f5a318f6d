"""Which files of a directory are texts of MIBs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from muttd.mibs import text_files
from muttd.mibs.text_files import find_texts, read_text


def test_texts_are_found_whatever_operators_call_them(tmp_path: Path) -> None:
    (tmp_path / "cisco").mkdir()
    (tmp_path / ".git").mkdir()
    wanted = ["A-MIB", "B-MIB.mib", "C-MIB.txt", "D-MIB.MY", "cisco/E-MIB.my"]
    for name in [*wanted, "F.zip", ".hidden.mib", "#G.mib#", "H.mib~", ".git/I.mib", "J.mib.swp"]:
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "K.mib")
    (tmp_path / "L.mib").symlink_to(tmp_path / "nowhere")
    assert sorted(find_texts(tmp_path)) == sorted(wanted)


def test_a_stamp_changes_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "A.mib"
    path.write_text("one")
    before = find_texts(tmp_path)
    assert find_texts(tmp_path) == before
    path.write_text("three")
    assert find_texts(tmp_path) != before


def test_a_directory_that_is_not_there_has_no_texts(tmp_path: Path) -> None:
    assert find_texts(tmp_path / "nowhere") == {}


def test_there_is_an_end_to_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_FILES", 3)
    for n in range(5):
        (tmp_path / f"{n}.mib").write_text("x")
    assert list(find_texts(tmp_path)) == ["0.mib", "1.mib", "2.mib"]


def test_a_text_is_read_no_longer_than_wanted_and_none_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "A.mib").write_bytes(b"12345")
    assert read_text(tmp_path, "A.mib", max_octets=3) == b"1234"
    assert read_text(tmp_path, "B.mib", max_octets=3) is None
