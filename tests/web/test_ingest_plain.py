"""The plain item: whatever is taken is the event that a closer look makes of it."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from muttd.web.ingest_body import checked_event, event_from_item
from muttd.web.ingest_plain import plain_event
from muttd.web.ingest_values import MAX_DEPTH, MAX_ITEM_OCTETS, Origin

ORIGIN = Origin("192.0.2.9", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "corr", lambda: "id")
PLAIN = {"message": "link down", "hostname": "sw1", "severity": "err"}

SPECIAL: tuple[dict[str, Any], ...] = (
    *({"severity": True}, {"severity": 8}, {"severity": "ERR"}, {"severity": []}),
    *({"facility": False}, {"facility": -1}, {"facility": {}}, {"app_name": ""}),
    *({"procid": 7}, {"msgid": "x" * 64}, {"hostname": "x" * 64}, {"hostname": None}),
    *({"message": ""}, {"message": " \n"}, {"message": "x" * 16_385}, {"message": 1}),
    *({"timestamp": "now"}, {"timestamp": 1}, {"timestamp": ""}, {"_x": 1}),
    *({"syslog_severity": 3}, {"trap_oid": None}, {"varbinds": []}, {"x": 2**64}),
)

_WORDS = st.sampled_from(
    [
        *("err", "ERR", " err", "Warning", "local7", "security", "3", "", " ", "\u3000", "x"),
        *("2026-01-02T05:04:05.5+02:00", "2026-01-02T05:04:05Z", "0001-01-01T00:00:00+23:00"),
        *("2026-01-02T05:04:05", "1.3.6.1", "h" * 63, "h" * 64, "\u00e9" * 63, "\U0001f600" * 64),
    ]
)
_VALUES = st.recursive(
    st.one_of(
        _WORDS,
        st.text(max_size=3),
        st.integers(-2, 25),
        st.sampled_from([2**64 - 1, 2**64, -(2**63) - 1, 3.0, 1.0, 0.0, True, False, None]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
_NAMES = st.sampled_from(
    [
        *(
            "message",
            "hostname",
            "severity",
            "syslog_severity",
            "facility",
            "timestamp",
            "app_name",
        ),
        *("procid", "msgid", "trap_oid", "varbinds", "site", "_x", "", "correlation_id", "raw"),
    ]
)
_ITEMS = st.builds(
    lambda plain, more, indent: b" " * indent + msgspec.json.encode({**plain, **more}) + b"\r",
    st.sampled_from([PLAIN, {"message": "m", "hostname": "h"}]),
    st.dictionaries(_NAMES, _VALUES, max_size=4),
    st.integers(0, 1),
)


@given(_ITEMS)
@example(msgspec.json.encode(PLAIN))
@example(b'{"message":"m","hostname":"h","severity":1.0}')
@example(b'{"message":"m","hostname":"h","message":"n"}')
def test_whatever_is_plain_is_the_same_event_after_a_closer_look(raw: bytes) -> None:
    event = plain_event(raw, ORIGIN)
    if event is not None:
        closer = checked_event(raw, ORIGIN)
        assert event == closer
        # 1 == True, but no queue writes them alike.
        assert msgspec.json.encode(event) == msgspec.json.encode(closer)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"severity": None, "facility": "local7", "app_name": "poller", "procid": "7", "msgid": "x"},
        {"severity": 7, "facility": 23, "timestamp": "2026-01-02T05:04:05.5+02:00"},
        {"site": "north", "rack": {"row": [1, 2.5, None]}},
        {"message": "\u00e9" * 16_384, "hostname": " sw1 "},
    ],
)
def test_what_nearly_everybody_sends_is_plain(more: dict[str, Any]) -> None:
    raw = msgspec.json.encode(PLAIN | more)
    event = plain_event(raw, ORIGIN)
    assert event is not None
    assert event == checked_event(raw, ORIGIN) == event_from_item(raw, ORIGIN)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"1", b"\xff", b'{"message":"\xff","hostname":"h"}', b"[" * 100_000),
        *(msgspec.json.encode(PLAIN | more) for more in SPECIAL),
        b'{"message":"m","hostname":"h","x":' + b"[" * 17 + b"]" * 17 + b"}",
        b" " * MAX_ITEM_OCTETS + msgspec.json.encode(PLAIN),
    ],
)
def test_anything_else_is_looked_at_closely(raw: bytes) -> None:
    assert MAX_DEPTH < 17
    assert plain_event(raw, ORIGIN) is None


def test_an_item_that_is_too_long_is_not_decoded() -> None:
    raw = b'{"message":"m","hostname":"h","x":[%b[]]}' % (b"[]," * MAX_ITEM_OCTETS)
    tracemalloc.start()
    assert plain_event(raw, ORIGIN) is None
    _, peak_octets = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_octets < 10_000
