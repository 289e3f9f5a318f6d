"""What an import says of each thing that it found: mapped, left out, or to be mended by a person.

No finding quotes a value of an env file: it may be a secret under a name that nobody knows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """What became of one thing."""

    MAPPED = "mapped"
    LEFT = "left out"
    MEND = "mend"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: Its name there: an env name, "alert_rules 12", "device_teams SW1".
        text: What it is here, or why it is not.
    """

    verdict: Verdict
    what: str
    text: str
