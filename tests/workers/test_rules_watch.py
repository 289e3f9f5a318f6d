"""muttd/workers/rules_watch.py on a real store that can be made to go away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from interruption import Interruption, an_event, wait_until

from muttd.decision import Handling
from muttd.rules.model import RuleBook, RuleDraft
from muttd.store.contract import Change, Store
from muttd.workers.rules_snapshot import load_snapshot, save_snapshot
from muttd.workers.rules_watch import RulesWatch

BY_TEST = Change(actor="test")


class Scene:
    """A store that can go away, and whoever watches its rules."""

    def __init__(self, store: Store, snapshot: Path) -> None:
        self.store = Interruption(store)
        self.snapshot = snapshot

    @asynccontextmanager
    async def watching(self, *, check_interval_s: float = 0.02) -> AsyncIterator[RulesWatch]:
        watch = RulesWatch(self.store, check_interval_s=check_interval_s, snapshot=self.snapshot)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            yield watch
            nursery.cancel_scope.cancel()

    async def add_rule(self, text: str) -> None:
        await self.store.create_rule(
            RuleDraft(
                name=text,
                match_string=text,
                prod_handling=Handling.PAGE_ONLY,
                dev_handling=Handling.LOG_ONLY,
                team_assignment="NETO",
            ),
            BY_TEST,
        )


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Scene:
    return Scene(store, tmp_path / "rules.snapshot")


def decides(watch: RulesWatch, text: str) -> bool:
    return watch.current.decide(an_event(f"a {text} b")).matched


async def wait_for(look: Callable[[], object]) -> None:
    async def is_so() -> object:
        return look()

    await wait_until(is_so)


async def test_a_change_is_in_force_when_the_store_is_asked_next(scene: Scene) -> None:
    async with scene.watching() as watch:
        await watch.wait_loaded()
        assert not decides(watch, "LINK")
        await scene.add_rule("LINK")
        await wait_for(lambda: decides(watch, "LINK"))
        assert (watch.active_count, watch.warning) == (1, None)


async def test_a_poke_asks_the_store_now(scene: Scene) -> None:
    async with scene.watching(check_interval_s=3600.0) as watch:
        await watch.wait_loaded()
        await scene.add_rule("LINK")
        watch.poke()
        await wait_for(lambda: decides(watch, "LINK"))


async def test_while_the_store_is_away_the_last_rules_stay_in_force(scene: Scene) -> None:
    await scene.add_rule("LINK")
    async with scene.watching() as watch:
        await watch.wait_loaded()
        scene.store.is_away = True
        await wait_for(lambda: scene.store.refused > 2)
        assert decides(watch, "LINK")
        assert watch.warning is None


async def test_a_start_without_the_store_decides_by_the_last_good_rules_and_says_so(
    scene: Scene,
) -> None:
    await scene.add_rule("LINK")
    async with scene.watching() as watch:
        await wait_for(scene.snapshot.exists)
    await scene.add_rule("FAN")
    scene.store.is_away = True
    async with scene.watching() as watch:
        await watch.wait_loaded()
        assert decides(watch, "LINK")
        assert not decides(watch, "FAN")
        assert watch.warning is not None
        assert "away for this test" in watch.warning
        scene.store.is_away = False
        await wait_for(lambda: decides(watch, "FAN"))
        await wait_for(lambda: watch.warning is None)


async def test_rules_of_another_store_with_the_same_revision_give_way(scene: Scene) -> None:
    await scene.add_rule("LINK")
    revision = await scene.store.rule_book_revision()
    save_snapshot(scene.snapshot, RuleBook(revision=revision))
    scene.store.is_away = True
    async with scene.watching() as watch:
        await watch.wait_loaded()
        assert watch.revision == revision
        assert not decides(watch, "LINK")
        scene.store.is_away = False
        await wait_for(lambda: decides(watch, "LINK"))


async def test_without_store_and_snapshot_there_are_no_rules_rather_than_none_that_match(
    scene: Scene,
) -> None:
    await scene.add_rule("LINK")
    scene.store.is_away = True
    async with scene.watching() as watch:
        await wait_for(lambda: scene.store.refused > 2)
        assert not watch.is_loaded
        assert watch.warning is not None
        assert "events wait undecided" in watch.warning
        scene.store.is_away = False
        await watch.wait_loaded()
        assert decides(watch, "LINK")


async def test_a_snapshot_comes_back_as_it_was_saved(scene: Scene) -> None:
    await scene.add_rule("LINK")
    book = await scene.store.rule_book()
    save_snapshot(scene.snapshot, book)
    snapshot = load_snapshot(scene.snapshot)
    assert snapshot is not None
    assert snapshot.book == book
    assert scene.snapshot.stat().st_mode & 0o777 == 0o600


def test_a_snapshot_that_cannot_be_read_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.snapshot"
    assert load_snapshot(path) is None
    assert caplog.messages == []
    path.write_bytes(b"\x93\x01")
    assert load_snapshot(path) is None
    save_snapshot(path, RuleBook(revision=1))
    octets = bytearray(path.read_bytes())
    octets[1] = 9
    path.write_bytes(octets)
    assert load_snapshot(path) is None
    path.unlink()
    path.mkdir()
    assert load_snapshot(path) is None
    assert len(caplog.messages) == 3


def test_a_snapshot_that_cannot_be_written_leaves_the_last_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.snapshot"
    save_snapshot(path, RuleBook(revision=1))
    (tmp_path / "rules.snapshot.new").mkdir()
    save_snapshot(path, RuleBook(revision=2))
    snapshot = load_snapshot(path)
    assert snapshot is not None
    assert snapshot.book.revision == 1
    assert "cannot be written" in caplog.text
