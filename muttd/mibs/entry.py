"""One text with MIBs, as operators see it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime

import msgspec

from muttd.mibs.link import LinkedModule


class Origin(enum.StrEnum):
    """Where a text is."""

    DIRECTORY = "directory"
    UPLOADED = "uploaded"


class State(enum.StrEnum):
    """What became of it."""

    IN_FORCE = "in_force"
    INCOMPLETE = "incomplete"  # in force but for what is missing
    OUTDATED = "outdated"  # broken now; its last good version is in force
    BROKEN = "broken"
    WAITING = "waiting"  # stored, and soon looked at


class MibEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One text.

    Attributes:
        name: Of the file, from the directory; of an upload that of its first module.
        error: Why it cannot be understood at all.
        modules: What is in force of it.
        uploaded_at, uploaded_by: Of an upload.
    """

    name: str
    origin: Origin
    state: State
    octets: int
    error: str | None
    modules: list[LinkedModule]
    uploaded_at: datetime | None = None
    uploaded_by: str | None = None

    def complaints(self) -> Iterator[str]:
        """What an operator should know, one line each."""
        if self.error is not None:
            ending = "; its last good version is in force" if self.modules else ""
            yield f"{self.name} {self.error}{ending}"
        for module in self.modules:
            if module.missing:
                yield f"{module.name} of {self.name} needs {', '.join(module.missing)}"
            for problem in module.problems:
                yield f"{module.name} of {self.name}: {problem}"
