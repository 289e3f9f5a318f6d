"""What came of texts, on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mib_corpus import linked, modules_of, parsed

from muttd.mibs.shelf import Kept, MibShelf, digest_of


@pytest.fixture
def shelf(tmp_path: Path) -> MibShelf:
    return MibShelf(tmp_path / "compiled")


def kept(**values: int) -> Kept:
    found = linked(modules_of("ACME-SMI.mib", "ACME-ENV-MIB.mib"))
    return Kept(good={"file:a": digest_of(b"a")}, linked=found, of_operators={"1.3": 2}, **values)


def test_what_is_kept_comes_back(shelf: MibShelf) -> None:
    digest = digest_of(b"a text")
    assert not shelf.has(digest)
    assert shelf.load(digest) is None
    for each in (parsed("ACME-ENV-MIB.mib"), parsed("ACME-BROKEN-MIB.mib")):
        shelf.save(digest, each)
        assert shelf.has(digest)
        assert shelf.load(digest) == each
    assert shelf.load_kept() is None
    shelf.save_kept(kept())
    assert shelf.load_kept() == kept()


def test_what_another_version_kept_is_not_read(shelf: MibShelf) -> None:
    shelf.save_kept(kept(form=99))
    assert shelf.load_kept() is None


def test_what_nobody_has_any_more_is_forgotten(shelf: MibShelf) -> None:
    shelf.forget_all_but({"nothing is there yet"})
    for digest in ("a", "b"):
        shelf.save(digest, parsed("ACME-SMI.mib"))
    shelf.save_kept(kept())
    shelf.forget_all_but({"b"})
    assert (shelf.has("a"), shelf.has("b")) == (False, True)
    assert shelf.load_kept() is not None


def test_a_disk_that_fails_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    shelf = MibShelf(tmp_path / "file")
    with caplog.at_level(logging.ERROR):
        shelf.save("a", parsed("ACME-SMI.mib"))
        assert shelf.load("a") is None
        shelf.forget_all_but(set())
    assert len(caplog.records) == 3


def test_a_damaged_file_is_as_good_as_none(shelf: MibShelf, tmp_path: Path) -> None:
    shelf.save("a", parsed("ACME-SMI.mib"))
    for path in (tmp_path / "compiled").iterdir():
        path.write_bytes(b"\xc1")
    assert shelf.load("a") is None
