r"""What a person sees: tables, ages, colours; colours only on a terminal.

Text that came off the wire goes through printable(): an ESC in a log message must not
reach the operator's terminal as a command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from muttd.logs import printable

_RESET = "\x1b[0m"
_COLOURS = {"red": "\x1b[31m", "yellow": "\x1b[33m", "green": "\x1b[32m", "dim": "\x1b[2m"}
# emerg to err, warning, notice to info, debug (RFC 5424, 6.2.1)
_SEVERITY_COLOURS = ("red", "red", "red", "red", "yellow", "", "", "dim")
_NUMBER = re.compile(r"-?[0-9][0-9.]*")


class Palette:
    """Paints, or does not.

    Args:
        stream: Where the text goes; painted only if it is a terminal.
        environ: NO_COLOR in it, not empty, means no colours (no-color.org).
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._paints = stream.isatty() and not environ.get("NO_COLOR")

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour; "" is none."""
        if not self._paints or not colour:
            return text
        return f"{_COLOURS[colour]}{text}{_RESET}"

    def paint_severity(self, text: str, severity: int) -> str:
        """The text in the colour of a severity."""
        return self.paint(text, _SEVERITY_COLOURS[severity])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with its columns aligned: numbers to the right, None as "-"."""
    texts = [["-" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    lines = [list(head), *texts]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    to_the_right = [
        bool(texts) and all(_NUMBER.fullmatch(row[n]) or row[n] == "-" for row in texts)
        for n in range(len(head))
    ]
    return "".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, to_the_right, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def age(seconds: float) -> str:
    """A span of time in its two largest units: "3 h 12 min"."""
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in units:
        amount, rest = divmod(rest, size)
        if amount or parts or unit == "s":
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def event_line(event: Mapping[str, Any], palette: Palette) -> str:
    """One event as a line: time, severity, host, app, message, what the rules made of it."""
    severity = palette.paint_severity(f"{event['severity_name']:<7}", event["severity"])
    app = f" {event['app_name']}:" if event.get("app_name") else ""
    verdict = ""
    if event.get("matched"):
        verdict = f"  [{event['rule_name']}: {event['handling']}]"
    if event.get("malformed"):
        verdict += f"  [malformed: {event['malformed']}]"
    # 2026-03-01T12:00:00.000000Z: milliseconds are enough for an eye.
    moment = palette.paint(event["received_at"][:23] + "Z", "dim")
    text = printable(f"{event['hostname']} {event['transport']}{app} {event['message']}")
    return f"{moment} {severity} {text}{palette.paint(printable(verdict), 'yellow')}"
