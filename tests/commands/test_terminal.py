"""What a person sees is aligned, dated and harmless."""

from __future__ import annotations

import io
from typing import Any

import pytest

from muttd.commands.terminal import Palette, age, event_line, table


def an_event(**fields: Any) -> dict[str, Any]:
    return {
        "event_id": "0195-1",
        "received_at": "2026-03-01T12:00:00.123456Z",
        "hostname": "core-1",
        "transport": "syslog-udp",
        "severity": 3,
        "severity_name": "err",
        "app_name": "ifmgr",
        "message": "link down",
        "matched": False,
        "malformed": None,
        **fields,
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PLAIN = Palette(io.StringIO(), {})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_061, "1 d 1 h")],
)
def test_an_age_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    assert table(("N", "WORD"), [(1, "a"), (100, None)]) == "  N  WORD\n  1  a\n100  -\n"


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("ID", "NAME"), []) == "ID  NAME\n"


def test_an_event_is_one_line() -> None:
    assert event_line(an_event(), PLAIN) == (
        "2026-03-01T12:00:00.123Z err     core-1 syslog-udp ifmgr: link down"
    )


def test_the_line_ends_with_what_the_rules_made_of_it() -> None:
    event = an_event(matched=True, rule_name="links", handling="Page_and_ticket", app_name=None)
    assert event_line(event, PLAIN).endswith("syslog-udp link down  [links: Page_and_ticket]")


def test_a_malformed_event_says_why() -> None:
    assert event_line(an_event(malformed="no PRI"), PLAIN).endswith("  [malformed: no PRI]")


def test_text_off_the_wire_commands_no_terminal() -> None:
    event = an_event(
        message="a\x1b[2J\nb", hostname="h\x07", matched=True, rule_name="r\x1b", handling="Ignore"
    )
    assert event_line(event, PLAIN).isprintable()


@pytest.mark.parametrize(
    ("severity", "colour"), [(0, "\x1b[31m"), (3, "\x1b[31m"), (4, "\x1b[33m"), (7, "\x1b[2m")]
)
def test_a_severity_has_its_colour_on_a_terminal(severity: int, colour: str) -> None:
    assert f"{colour}err" in event_line(an_event(severity=severity), Palette(Terminal(), {}))


def test_notice_and_info_are_not_painted() -> None:
    assert " err     core-1" in event_line(an_event(severity=6), Palette(Terminal(), {}))
