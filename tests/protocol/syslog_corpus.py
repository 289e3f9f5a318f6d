"""The golden cases of tests/corpus/syslog: input.bin is one SYSLOG-MSG, expected.json what it says.

A bug report becomes a directory. All were received at RECEIVED_AT from senders whose clocks stand
at UTC; times in expected.json are UTC, and every field is there.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from muttd.protocol.syslog import SyslogMessage, parse_syslog

CORPUS = Path(__file__).parent.parent / "corpus" / "syslog"
RECEIVED_AT = datetime(2024, 10, 12, 9, 0, tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    octets: bytes
    expected: dict[str, Any]


def load_cases() -> list[Case]:
    return [
        Case(
            folder.name,
            (folder / "input.bin").read_bytes(),
            json.loads((folder / "expected.json").read_text(encoding="utf-8")),
        )
        for folder in sorted(CORPUS.iterdir())
    ]


CASES = load_cases()


def parse(octets: bytes) -> SyslogMessage:
    return parse_syslog(octets, received_at=RECEIVED_AT, zone=UTC)


def as_expected(message: SyslogMessage) -> dict[str, Any]:
    """The message in the form of expected.json."""
    fields = msgspec.structs.asdict(message)
    if message.timestamp is not None:
        moment = message.timestamp.astimezone(UTC)
        fields["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields["structured_data"] = {
        sd_id: [list(pair) for pair in pairs] for sd_id, pairs in message.structured_data.items()
    }
    return fields
