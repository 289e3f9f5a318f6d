"""A rush is over some milliseconds after the last full batch, and nobody waits for ever."""

from __future__ import annotations

import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from muttd.rush import Rush


async def test_who_lets_others_pass_when_it_is_quiet_gives_them_one_turn(
    mock_clock: MockClock,
) -> None:
    # The clock stands still: whatever waited for it would wait for ever.
    assert mock_clock.rate == 0
    with assert_checkpoints():
        await Rush().let_pass()


async def test_a_rush_is_over_soon_after_the_last_full_batch(autojump_clock: MockClock) -> None:
    rush = Rush()
    rush.note_full()
    await rush.let_pass()
    assert 0.0 < trio.current_time() < 0.02
    passed_at = trio.current_time()
    await rush.let_pass()
    assert trio.current_time() == passed_at


async def test_an_endless_rush_holds_nobody_up_for_ever(
    mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    rush = Rush()
    passed = trio.Event()

    async def let_pass() -> None:
        await rush.let_pass()
        passed.set()

    rush.note_full()
    nursery.start_soon(let_pass)
    for _ in range(39):
        await wait_all_tasks_blocked()
        assert not passed.is_set()
        mock_clock.jump(0.001)
        rush.note_full()
    mock_clock.jump(0.002)
    await wait_all_tasks_blocked()
    assert passed.is_set()
