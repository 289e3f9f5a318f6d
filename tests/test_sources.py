"""muttd/sources.py: which line decides, what a wrong line says, how fast is too fast."""

from __future__ import annotations

import os
from datetime import timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from muttd.errors import ConfigError
from muttd.sources import (
    SourcePolicy,
    Sources,
    SourceTable,
    parse_sources,
    read_sources,
    zone_name,
)


def parse(*lines: str) -> SourceTable:
    return parse_sources("\n".join(lines), source="S")


def mistakes_of(*lines: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(*lines)
    return caught.value.mistakes


def test_the_most_specific_line_decides_alone() -> None:
    table = parse(
        "default         trust_hostname=no   # whoever is not named",
        "",
        "# The lab.",
        "10.0.0.0/8      zone=Europe/Berlin rate=10",
        "10.1.0.0/16     zone=Asia/Tokyo",
        "10.1.2.3        deny",
        "2001:db8::/32   rate=5 burst=50",
        "2001:db8::7     allow",
    )
    berlin = table.policy("10.200.0.1")
    assert (str(berlin.zone), berlin.rate, berlin.burst) == ("Europe/Berlin", 10.0, 10.0)
    # Nothing is inherited: what the line does not say is as if there were no file.
    tokyo = table.policy("10.1.9.9")
    assert (str(tokyo.zone), tokyo.rate, tokyo.trusts_hostname) == ("Asia/Tokyo", None, True)
    assert not table.policy("10.1.2.3").is_allowed
    assert table.policy("2001:db8:1::1").burst == 50.0
    assert table.policy("2001:db8::7") == SourcePolicy()
    for stranger in ("192.0.2.1", "2001:db9::1"):
        assert table.policy(stranger) == SourcePolicy(trusts_hostname=False)


def test_without_lines_everybody_may_do_everything() -> None:
    table = parse("# nothing but words")
    assert table.policy("192.0.2.1") == SourcePolicy()
    assert (table.is_limiting, table.is_shaping) == (False, False)


@pytest.mark.parametrize(
    ("line", "is_limiting", "is_shaping"),
    [
        ("default allow", False, False),
        ("default deny", True, False),
        ("default rate=1", True, False),
        ("default zone=UTC", False, True),
        ("default trust_hostname=no", False, True),
        ("default trust_hostname=yes", False, False),
    ],
)
def test_it_is_known_whether_anybody_has_to_be_looked_up(
    line: str, is_limiting: bool, is_shaping: bool
) -> None:
    sources = Sources(parse(line))
    assert (sources.is_limiting, sources.is_shaping) == (is_limiting, is_shaping)


def test_every_mistake_is_named_with_its_line() -> None:
    assert mistakes_of(
        "10.0.0.0/8 rate=fast zone=Mars/North colour=red",
        "",
        "10.1.2.3/8 allow",
        "switch-1 deny",
        "10.0.0.0/8 allow",
        "::ffff:192.0.2.0/120 allow",
        "192.0.2.1 burst=10 trust_hostname=maybe",
        "192.0.2.2 deny rate=10",
        "192.0.2.3 allow allow",
        "192.0.2.4 allow=yes zone rate=0 rat=1",
        "192.0.2.5 rate=1 burst=0.5",
        "192.0.2.6",
    ) == (
        "S, line 1: there is no such word: allow, deny, zone, rate, burst, trust_hostname",
        'S, line 1: zone: not a zone of the IANA database, such as Europe/Berlin; or "local"',
        "S, line 1: rate: must be a number of messages a second",
        "S, line 3: 10.1.2.3/8 names a host; the network is 10.0.0.0/8",
        "S, line 3: 10.1.2.3/8 is in line 1 already",
        "S, line 4: does not begin with an address, a network such as 10.0.0.0/8, or default",
        "S, line 5: 10.0.0.0/8 is in line 1 already",
        "S, line 6: ::ffff:192.0.2.0/120 is an IPv4 address; write it as one",
        "S, line 7: trust_hostname: must be yes or no",
        "S, line 7: burst goes with rate",
        "S, line 8: deny goes with nothing else",
        "S, line 9: allow is there twice",
        "S, line 10: allow takes no value",
        "S, line 10: zone takes a value: zone=...",
        "S, line 10: there is no such word; did you mean rate?",
        "S, line 10: rate: must be a number of messages a second",
        "S, line 11: burst: must be a number of messages, at least 1",
        "S, line 12: says nothing of this source: allow, deny, zone, rate, burst, trust_hostname",
    )


def test_both_halves_of_default_are_taken_once() -> None:
    assert mistakes_of("0.0.0.0/0 allow", "default deny") == (
        "S, line 2: default is in line 1 already",
    )


def limited(line: str) -> tuple[Sources, SourcePolicy]:
    sources = Sources(parse(line))
    return sources, sources.policy("192.0.2.1")


def test_a_burst_is_taken_at_once_and_then_the_rate() -> None:
    sources, policy = limited("192.0.2.0/24 rate=10 burst=3")
    taken = [sources.takes("192.0.2.1", policy, 100.0) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    # Another source has a bucket of its own.
    assert sources.takes("192.0.2.2", policy, 100.0)
    assert not sources.takes("192.0.2.1", policy, 100.05)
    assert sources.takes("192.0.2.1", policy, 100.15)
    # A bucket does not fill for ever.
    taken = [sources.takes("192.0.2.1", policy, 900.0) for _ in range(5)]
    assert taken == [True, True, True, False, False]


def test_a_slow_rate_lets_one_through_at_a_time() -> None:
    sources, policy = limited("192.0.2.0/24 rate=0.1")
    assert sources.takes("192.0.2.1", policy, 0.0)
    assert not sources.takes("192.0.2.1", policy, 9.0)
    assert sources.takes("192.0.2.1", policy, 10.5)


def test_what_was_read_already_is_a_debt_that_is_waited_for() -> None:
    sources, _ = limited("192.0.2.0/24 rate=10 burst=5")
    assert sources.wait_s("192.0.2.1", 0.0) == 0.0
    sources.book("192.0.2.1", 5, 0.0)
    assert sources.wait_s("192.0.2.1", 0.0) == 0.0
    sources.book("192.0.2.1", 20, 0.0)
    assert sources.wait_s("192.0.2.1", 0.0) == pytest.approx(2.0)
    assert sources.wait_s("192.0.2.1", 1.5) == pytest.approx(0.5)
    assert sources.wait_s("192.0.2.1", 9.0) == 0.0
    sources.replace(SourceTable())
    assert sources.wait_s("192.0.2.1", 0.0) == 0.0
    sources.book("192.0.2.1", 20, 0.0)


def test_a_flood_of_spoofed_sources_does_not_grow_it() -> None:
    sources = Sources(parse("default rate=1"))
    for number in range(40_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        assert sources.takes(address, sources.policy(address), 0.0)
    assert len(sources._buckets) <= 16_384
    assert len(sources._table._known) <= 16_384


def test_a_file_is_read(tmp_path: Path) -> None:
    assert read_sources(None).policy("192.0.2.1") == SourcePolicy()
    path = tmp_path / "sources.conf"
    path.write_text("default deny  # grüße\n")
    assert not read_sources(path).policy("192.0.2.1").is_allowed


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    def mistake(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read_sources(path)
        [line] = caught.value.mistakes
        return line.removeprefix(f"MUTTD_SOURCES_FILE: {path}").removeprefix("MUTTD_SOURCES_FILE: ")

    gone, fifo, huge = tmp_path / "gone", tmp_path / "fifo", tmp_path / "huge"
    assert mistake(gone) == f"cannot read {gone}: No such file or directory"
    os.mkfifo(fifo)
    assert mistake(fifo) == " is not a file"
    huge.write_bytes(b"#" * 1_048_577)
    assert mistake(huge) == " is longer than 1048576 octets"
    wrong = tmp_path / "wrong"
    wrong.write_text("\ndefault maybe\n")
    assert mistake(wrong).startswith(", line 2: there is no such word")


def test_a_zone_is_called_as_another_machine_knows_it(tmp_path: Path) -> None:
    assert zone_name(ZoneInfo("Europe/Berlin")) == "Europe/Berlin"
    (tmp_path / "zoneinfo" / "Asia").mkdir(parents=True)
    (tmp_path / "zoneinfo" / "Asia" / "Tokyo").touch()
    link = tmp_path / "localtime"
    link.symlink_to(tmp_path / "zoneinfo" / "Asia" / "Tokyo")
    local = timezone(timedelta(0), "local")
    assert zone_name(local, link) == "Asia/Tokyo"
    link.unlink()
    link.write_bytes(b"TZif")
    assert zone_name(local, link) == "local"
