"""Log lines on stderr and, if one is named, in a file: text for a person or JSON for a machine.

    2026-03-01T12:00:00.000Z INFO muttd.daemon: listening on [::]:5514        on a terminal
    <6>muttd.daemon: listening on [::]:5514                                   under journald
    {"time": ..., "level": "info", "logger": ..., "message": ...}             MUTTD_LOG_FORMAT=json

No secret is ever given to a logger, so nothing is redacted here; a Secret in an argument shows
itself as Secret(...). Control characters are escaped: text of a peer must not forge a second line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TextIO

from muttd.errors import ConfigError
from muttd.event import iso_utc
from muttd.settings_values import LogFormat, LogLevel

# sd-daemon(3): the number journald reads from the beginning of a line.
_JOURNAL_PRIORITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_CORRELATION_ID = "correlation_id"
# They log each request with its URL at INFO; a delivery is in the store, not in the log.
_CHATTY = ("httpx", "httpcore", "trio-websocket")


def printable(text: str) -> str:
    r"""The text with everything but printable characters escaped: ESC is \x1b, LF is \n."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def _written_at(record: logging.LogRecord) -> str:
    moment = iso_utc(datetime.fromtimestamp(record.created, UTC))
    # Milliseconds are enough for a person.
    return f"{moment[:-4]}Z"


class _OneLine(logging.Formatter):
    """What both formats share: the message with its traceback, if there is one."""

    def whole_message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        return message


class TextFormatter(_OneLine):
    """For a person; under journald with a priority in place of time and level."""

    def __init__(self, *, journald: bool) -> None:
        super().__init__()
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        if self._journald:
            head = f"<{_JOURNAL_PRIORITY.get(record.levelno, 5)}>"
        else:
            head = f"{_written_at(record)} {record.levelname} "
        correlation_id = getattr(record, _CORRELATION_ID, None)
        tail = f" [{correlation_id}]" if correlation_id else ""
        return f"{head}{record.name}: {printable(self.whole_message(record) + tail)}"


class JsonFormatter(_OneLine):
    """For a machine: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document = {
            "time": _written_at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.whole_message(record),
        }
        correlation_id = getattr(record, _CORRELATION_ID, None)
        if correlation_id:
            document[_CORRELATION_ID] = correlation_id
        return json.dumps(document)


class _LogFile(WatchedFileHandler):
    """Opened anew when logrotate has moved it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: on a full disk the line is on stderr all the same."""


def configure(
    level: LogLevel,
    log_format: LogFormat,
    environ: Mapping[str, str],
    *,
    stream: TextIO | None = None,
    path: Path | None = None,
) -> None:
    """Send every logger's lines to the stream; stderr when there is none given.

    Args:
        environ: JOURNAL_STREAM in it says that journald reads stderr (systemd.exec(5)).
        path: A file that gets every line as well.

    Raises:
        ConfigError: The file cannot be written.
    """

    def formatter(*, journald: bool) -> logging.Formatter:
        return JsonFormatter() if log_format is LogFormat.JSON else TextFormatter(journald=journald)

    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stderr)]
    handlers[0].setFormatter(formatter(journald="JOURNAL_STREAM" in environ))
    if path is not None:
        try:
            handlers.append(_LogFile(path, encoding="utf-8"))
        except OSError as exc:
            raise ConfigError([f"MUTTD_LOG_FILE: cannot write {path}: {exc.strerror}"]) from exc
        handlers[1].setFormatter(formatter(journald=False))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
