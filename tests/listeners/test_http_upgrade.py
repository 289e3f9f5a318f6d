"""The stream that a websocket gets: octets again, whole sends, a deadline."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from muttd.listeners.http_upgrade import UpgradedStream


async def test_octets_come_again_before_new_ones() -> None:
    client, server = trio.testing.memory_stream_pair()
    stream = UpgradedStream(server, b"abcd", send_timeout_s=1)
    await client.send_all(b"ef")
    assert [await stream.receive_some(3) for _ in range(3)] == [b"abc", b"d", b"ef"]
    stream = UpgradedStream(server, b"abcd", send_timeout_s=1)
    assert await stream.receive_some() == b"abcd"


async def test_sends_of_several_tasks_go_out_whole() -> None:
    client, server = trio.testing.lockstep_stream_pair()
    stream = UpgradedStream(server, b"", send_timeout_s=10)
    got = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"a" * 200_000)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(stream.send_all, b"b" * 10)
        while len(got) < 200_010:
            got += await client.receive_some(50_000)
    assert got == b"a" * 200_000 + b"b" * 10


async def test_a_send_that_is_not_taken_closes_the_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, server = trio.testing.lockstep_stream_pair()
    stream = UpgradedStream(server, b"", send_timeout_s=10)
    with pytest.raises(trio.BrokenResourceError) as caught:
        await stream.send_all(b"x")
    assert isinstance(caught.value.__cause__, trio.TooSlowError)
    assert trio.current_time() == 10
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")


async def test_a_send_cancelled_half_way_closes_the_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client, server = trio.testing.lockstep_stream_pair()
    stream = UpgradedStream(server, b"", send_timeout_s=10)
    with trio.move_on_after(1):
        await stream.send_all(b"x")
    assert [await client.receive_some() for _ in range(2)] == [b"x", b""]


async def test_waiting_for_room_and_closing_are_passed_on() -> None:
    client, server = trio.testing.memory_stream_pair()
    stream = UpgradedStream(server, b"", send_timeout_s=10)
    await stream.wait_send_all_might_not_block()
    await stream.aclose()
    assert await client.receive_some() == b""


async def test_the_reason_for_closing_survives_what_closing_sets_off() -> None:
    _, server = trio.testing.lockstep_stream_pair()
    stream = UpgradedStream(server, b"", send_timeout_s=0.01)
    with pytest.RaisesGroup(pytest.RaisesExc(trio.BrokenResourceError)):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _read() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some()
                nursery.cancel_scope.cancel()

            await stream.send_all(b"x")
