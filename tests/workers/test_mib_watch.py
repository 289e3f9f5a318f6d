"""muttd/workers/mib_watch.py on a real directory and a real store that can be made to go away."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from interruption import Interruption

import muttd.protocol
from muttd.mibs.compiler import MibCompiler
from muttd.mibs.entry import MibEntry, Origin, State
from muttd.mibs.link import Linked, Shipped, link
from muttd.mibs.module import Module, Parsed
from muttd.mibs.shelf import MibShelf
from muttd.protocol.mib import TABLE_FILE_NAME, Mib
from muttd.store.contract import Change, Store
from muttd.workers import mib_watch
from muttd.workers.mib_watch import MibWatch

CORPUS = Path(__file__).parent.parent / "corpus" / "mibs"
SHIPPED = Mib.from_octets(Path(muttd.protocol.__file__).with_name(TABLE_FILE_NAME).read_bytes())
BY_TEST = Change(actor="test")
TOO_HOT = "1.3.6.1.4.1.424242.2.7.0.1"
FAN = "1.3.6.1.4.1.424243.0.5"
NAMED = "ACME-ENV-MIB::acmeEnvTooHot"


class Scene:
    """A directory, a store, and whoever watches them."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = Interruption(store)
        self.directory = folder / "mibs"
        self.directory.mkdir()
        self.shelf = folder / "compiled"

    def drop(self, *names: str) -> None:
        for name in names:
            shutil.copy(CORPUS / name, self.directory)

    def watch(self) -> MibWatch:
        """Looks only when it is told to: nothing here waits for a clock."""
        watch = MibWatch(
            SHIPPED,
            self.store,
            directory=self.directory,
            shelf=MibShelf(self.shelf),
            check_interval_s=3600.0,
        )
        watch.restore()
        return watch

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[MibWatch]:
        watch = self.watch()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            await watch.apply()
            yield watch
            nursery.cancel_scope.cancel()


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Scene:
    return Scene(store, tmp_path)


def states(watch: MibWatch) -> dict[str, State]:
    return {each.name: each.state for each in watch.entries}


def entry(watch: MibWatch, name: str) -> MibEntry:
    [found] = [each for each in watch.entries if each.name == name]
    return found


async def test_a_text_names_traps_as_soon_as_it_is_there_and_no_longer(scene: Scene) -> None:
    async with scene.watching() as watch:
        assert watch.in_force.current.name_of(TOO_HOT) == "enterprises.424242.2.7.0.1"
        scene.drop("ACME-SMI.mib", "ACME-ENV-MIB.mib")
        await watch.apply()
        assert watch.in_force.current.name_of(TOO_HOT) == NAMED
        assert watch.in_force.current.severity_of(TOO_HOT) == 2
        assert set(states(watch).values()) == {State.IN_FORCE}
        (scene.directory / "ACME-ENV-MIB.mib").unlink()
        await watch.apply()
        assert watch.in_force.current.name_of(TOO_HOT) == "acmeMgmt.7.0.1"


async def test_what_is_missing_is_named_and_found_when_it_comes(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.drop("ACME-ENV-MIB.mib")
    with caplog.at_level(logging.WARNING):
        async with scene.watching() as watch:
            assert states(watch) == {"ACME-ENV-MIB.mib": State.INCOMPLETE}
            assert entry(watch, "ACME-ENV-MIB.mib").modules[0].missing == ["ACME-SMI"]
            assert "ACME-ENV-MIB of ACME-ENV-MIB.mib needs ACME-SMI" in caplog.text
            scene.drop("ACME-SMI.mib")
            await watch.apply()
            assert watch.in_force.current.name_of(TOO_HOT) == NAMED


async def test_a_broken_text_leaves_the_others_in_force_and_of_itself_the_last_good_one(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.drop("ACME-SMI.mib", "ACME-ENV-MIB.mib", "ACME-BROKEN-MIB.mib")
    with caplog.at_level(logging.WARNING):
        async with scene.watching() as watch:
            assert states(watch)["ACME-BROKEN-MIB.mib"] is State.BROKEN
            assert watch.in_force.current.name_of(TOO_HOT) == NAMED
            text = (scene.directory / "ACME-ENV-MIB.mib").read_text()
            (scene.directory / "ACME-ENV-MIB.mib").write_text(text[:2000])
            await watch.apply()
            assert states(watch)["ACME-ENV-MIB.mib"] is State.OUTDATED
            assert watch.in_force.current.name_of(TOO_HOT) == NAMED
            await watch.apply()
    assert caplog.text.count("its last good version is in force") == 1
    # And so after a restart.
    async with scene.watching() as watch:
        assert states(watch)["ACME-ENV-MIB.mib"] is State.OUTDATED
        assert watch.in_force.current.name_of(TOO_HOT) == NAMED


async def test_an_upload_is_in_force_on_every_daemon_that_has_the_store(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Scene(scene.store, tmp_path / "other")
    async with scene.watching() as one, other.watching() as two:
        for name in ("ACME-SMI.mib", "ACME-ENV-MIB.mib"):
            text = (CORPUS / name).read_bytes()
            assert (await one.check(text)).error is None
            await scene.store.put_mib(name.partition(".")[0], text, BY_TEST)
        await scene.store.put_trap_severity("1.3.6.1.4.1.424242", 0, BY_TEST)
        for watch in (one, two):
            await watch.apply()
            assert watch.in_force.current.name_of(TOO_HOT) == NAMED
            assert watch.in_force.current.severity_of(TOO_HOT) == 0
            found = entry(watch, "ACME-ENV-MIB")
            assert (found.origin, found.uploaded_by) == (Origin.UPLOADED, "test")
        await scene.store.remove_mib("ACME-ENV-MIB", BY_TEST)
        await scene.store.remove_trap_severity("1.3.6.1.4.1.424242", BY_TEST)
        await two.apply()
        assert two.in_force.current.name_of(TOO_HOT) == "acmeMgmt.7.0.1"
        assert two.in_force.current.severity_of(TOO_HOT) == 5


async def test_a_restart_names_traps_at_once_also_while_the_store_is_away(scene: Scene) -> None:
    scene.drop("ACME-OLD-MIB.my")
    for name in ("ACME-SMI.mib", "ACME-ENV-MIB.mib"):
        await scene.store.put_mib(name, (CORPUS / name).read_bytes(), BY_TEST)
    await scene.store.put_trap_severity(FAN, 1, BY_TEST)
    async with scene.watching():
        pass
    scene.store.is_away = True
    fresh = scene.watch().in_force.current
    assert (fresh.name_of(TOO_HOT), fresh.severity_of(FAN)) == (NAMED, 1)
    async with scene.watching() as watch:
        assert watch.in_force.current.name_of(TOO_HOT) == NAMED
        assert watch.in_force.current.severity_of(FAN) == 1
        scene.store.is_away = False
        await scene.store.remove_mib("ACME-ENV-MIB.mib", BY_TEST)
        await watch.apply()
        assert watch.in_force.current.name_of(TOO_HOT) == "acmeMgmt.7.0.1"
        assert watch.in_force.current.name_of(FAN) == "ACME-OLD-MIB::oldFanStopped"


async def test_nothing_is_parsed_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    parse = MibCompiler.parse

    async def counted(self: MibCompiler, octets: bytes) -> Parsed:
        parsed.append(octets)
        return await parse(self, octets)

    monkeypatch.setattr(MibCompiler, "parse", counted)
    scene.drop("ACME-SMI.mib", "ACME-BROKEN-MIB.mib")
    async with scene.watching() as watch:
        assert len(parsed) == 2
        watch.reread()
        await watch.apply()
    async with scene.watching() as watch:
        scene.drop("ACME-OLD-MIB.my")
        await watch.apply()
    assert len(parsed) == 3


async def test_of_many_texts_the_first_are_in_force_while_others_are_parsed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mib_watch, "_SLICE_S", 0.0)
    counts = []

    def counted(modules: Sequence[Module], shipped: Shipped) -> Linked:
        counts.append(len(modules))
        return link(modules, shipped)

    monkeypatch.setattr(mib_watch, "link", counted)
    scene.drop("ACME-ENV-MIB.mib", "ACME-OLD-MIB.my", "ACME-SMI.mib")
    with caplog.at_level(logging.WARNING):
        async with scene.watching() as watch:
            assert watch.in_force.current.name_of(TOO_HOT) == NAMED
    assert counts == [1, 2, 3]
    # What came later was not missing.
    assert caplog.text == ""


async def test_a_reread_sees_what_a_stamp_does_not_show(scene: Scene) -> None:
    scene.drop("ACME-OLD-MIB.my")
    async with scene.watching() as watch:
        path = scene.directory / "ACME-OLD-MIB.my"
        before = path.stat()
        with path.open("r+") as file:
            file.write(path.read_text().replace("oldFanStopped", "oldFanStalled"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        await watch.apply()
        assert watch.in_force.current.name_of(FAN) == "ACME-OLD-MIB::oldFanStopped"
        watch.reread()
        await watch.apply()
        assert watch.in_force.current.name_of(FAN) == "ACME-OLD-MIB::oldFanStalled"
