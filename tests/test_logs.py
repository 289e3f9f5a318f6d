"""Log lines: one occurrence, one line, for a person, for journald and for a machine."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from muttd import logs
from muttd.errors import ConfigError
from muttd.settings_values import LogFormat, LogLevel, Secret


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go; afterwards the root logger is as it was."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield io.StringIO()
    root.handlers[:], root.level = before[0], before[1]


def a_record_with_a_traceback(log: logging.Logger) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("it broke")


def test_a_text_line_says_when_how_bad_who_and_what(stream: io.StringIO) -> None:
    logs.configure(LogLevel.INFO, LogFormat.TEXT, {}, stream=stream)
    logging.getLogger("muttd.x").warning("held: %s", "a reason")
    moment, level, rest = stream.getvalue().split(" ", 2)
    assert moment.endswith("Z")
    assert len(moment) == len("2026-03-01T12:00:00.000Z")
    assert (level, rest) == ("WARNING", "muttd.x: held: a reason\n")


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (25, 5)],
)
def test_under_journald_the_priority_stands_for_time_and_level(
    stream: io.StringIO, level: int, priority: int
) -> None:
    logs.configure(LogLevel.DEBUG, LogFormat.TEXT, {"JOURNAL_STREAM": "8:1"}, stream=stream)
    logging.getLogger("muttd.x").log(level, "text")
    assert stream.getvalue() == f"<{priority}>muttd.x: text\n"


def test_a_json_line_is_one_object(stream: io.StringIO) -> None:
    logs.configure(LogLevel.INFO, LogFormat.JSON, {}, stream=stream)
    logging.getLogger("muttd.x").info("two\nlines", extra={"correlation_id": "c-1"})
    logging.getLogger("muttd.x").info("without")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "two\nlines"
    assert (first["level"], first["logger"], first["correlation_id"]) == ("info", "muttd.x", "c-1")
    assert "correlation_id" not in second


def test_a_text_line_ends_with_its_correlation_id(stream: io.StringIO) -> None:
    logs.configure(LogLevel.INFO, LogFormat.TEXT, {}, stream=stream)
    logging.getLogger("muttd.x").info("text", extra={"correlation_id": "c-1"})
    assert stream.getvalue().endswith("muttd.x: text [c-1]\n")


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_traceback_is_one_line_too(stream: io.StringIO, log_format: LogFormat) -> None:
    logs.configure(LogLevel.INFO, log_format, {}, stream=stream)
    a_record_with_a_traceback(logging.getLogger("muttd.x"))
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: first" in stream.getvalue()


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_text_of_a_peer_forges_no_line_and_commands_no_terminal(
    stream: io.StringIO, log_format: LogFormat
) -> None:
    logs.configure(LogLevel.INFO, log_format, {}, stream=stream)
    logging.getLogger("muttd.x").info("%s", "a\nb\x1b[2J\x9b\udcff\u2028\u202e")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rstrip("\n").isprintable()


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    logs.configure(LogLevel.WARNING, LogFormat.TEXT, {}, stream=stream)
    logging.getLogger("muttd.x").info("quiet")
    assert stream.getvalue() == ""


def test_the_webhook_client_does_not_log_its_urls(stream: io.StringIO) -> None:
    logs.configure(LogLevel.DEBUG, LogFormat.TEXT, {}, stream=stream)
    logging.getLogger("httpx").info("HTTP Request: POST https://moog.example/?q=1")
    assert stream.getvalue() == ""


def test_a_secret_in_an_argument_does_not_show(stream: io.StringIO) -> None:
    logs.configure(LogLevel.INFO, LogFormat.TEXT, {}, stream=stream)
    logging.getLogger("muttd.x").info("key %s %r", Secret("hunter2"), (Secret("hunter2"),))
    assert "hunter2" not in stream.getvalue()


def test_printable_text_is_left_as_it_is() -> None:
    assert logs.printable("Käse ≥ 3 日本") == "Käse ≥ 3 日本"
    assert logs.printable("a\tb\x00") == r"a\tb\x00"


def test_a_log_file_gets_every_line_and_is_opened_anew_after_rotation(
    stream: io.StringIO, tmp_path: Path
) -> None:
    path = tmp_path / "muttd.log"
    logs.configure(
        LogLevel.INFO, LogFormat.TEXT, {"JOURNAL_STREAM": "8:1"}, stream=stream, path=path
    )
    logging.getLogger("muttd.x").warning("before")
    path.rename(tmp_path / "muttd.log.1")
    logging.getLogger("muttd.x").warning("after")
    logging.getLogger().handlers[1].close()
    assert "WARNING muttd.x: before" in (tmp_path / "muttd.log.1").read_text()
    assert "WARNING muttd.x: after" in path.read_text()
    assert stream.getvalue() == "<4>muttd.x: before\n<4>muttd.x: after\n"


def test_a_full_disk_stops_no_line_on_its_way_to_stderr(stream: io.StringIO) -> None:
    logs.configure(LogLevel.INFO, LogFormat.TEXT, {}, stream=stream, path=Path("/dev/full"))
    logging.getLogger("muttd.x").warning("text")
    with suppress(OSError):
        logging.getLogger().handlers.pop().close()
    assert "text" in stream.getvalue()


def test_a_log_file_that_cannot_be_written_is_a_mistake(
    stream: io.StringIO, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="MUTTD_LOG_FILE: cannot write"):
        logs.configure(
            LogLevel.INFO, LogFormat.TEXT, {}, stream=stream, path=tmp_path / "none" / "muttd.log"
        )
