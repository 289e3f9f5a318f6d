"""What the kernel drops is booked once, over restarts too."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.workers.kernel_drops import DropGauge, KernelDrops


class Socket:
    """A socket whose count the test sets."""

    def __init__(self, count: int | None = 0) -> None:
        self.count = count

    def read(self) -> int | None:
        return self.count


@pytest.fixture
def accounts() -> Accounts:
    return Accounts(CollectorRegistry())


def booked_by(accounts: Accounts, memory: Path, sock: Socket, inode: int | None) -> int:
    """What one more run books."""
    before = accounts["syslog_udp"].kernel_dropped
    drops = KernelDrops(accounts, [DropGauge("syslog_udp", sock.read, inode)], memory)
    drops.book()
    return accounts["syslog_udp"].kernel_dropped - before


def test_what_is_dropped_is_booked_once(accounts: Accounts, tmp_path: Path) -> None:
    sock = Socket()
    drops = KernelDrops(accounts, [DropGauge("syslog_udp", sock.read)], tmp_path / "memory")
    sock.count = 5
    drops.book()
    drops.book()
    assert accounts["syslog_udp"].kernel_dropped == 5


def test_the_count_of_the_kernel_may_begin_again_at_32_bits(
    accounts: Accounts, tmp_path: Path
) -> None:
    sock = Socket()
    drops = KernelDrops(accounts, [DropGauge("syslog_udp", sock.read)], tmp_path / "memory")
    sock.count = 2**32 - 1
    drops.book()
    sock.count = 1
    drops.book()
    assert accounts["syslog_udp"].kernel_dropped == 2**32 + 1


def test_a_socket_that_outlives_us_is_booked_from_where_the_last_run_ended(
    accounts: Accounts, tmp_path: Path
) -> None:
    sock = Socket(5)
    assert booked_by(accounts, tmp_path / "memory", sock, 77) == 5
    sock.count = 8
    assert booked_by(accounts, tmp_path / "memory", sock, 77) == 3


def test_another_socket_with_the_same_inode_begins_at_zero(
    accounts: Accounts, tmp_path: Path
) -> None:
    assert booked_by(accounts, tmp_path / "memory", Socket(5), 77) == 5
    assert booked_by(accounts, tmp_path / "memory", Socket(2), 77) == 2


@pytest.mark.parametrize("octets", [b"", b"\xff", b"[]", b'{"77": "5"}'])
def test_a_damaged_memory_is_none(accounts: Accounts, tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "memory").write_bytes(octets)
    assert booked_by(accounts, tmp_path / "memory", Socket(4), 77) == 4


def test_a_memory_that_cannot_be_written_costs_nothing_but_a_warning(
    accounts: Accounts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert booked_by(accounts, tmp_path / "absent" / "memory", Socket(4), 77) == 4
    assert "cannot write" in caplog.text


def test_a_kernel_that_cannot_say_is_booked_as_nothing(accounts: Accounts, tmp_path: Path) -> None:
    assert booked_by(accounts, tmp_path / "memory", Socket(None), 77) == 0
