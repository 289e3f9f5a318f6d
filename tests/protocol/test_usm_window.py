"""Time windows (RFC 3414, 3.2 (7)): whose clock is believed, and how far."""

from __future__ import annotations

import pytest
from usm_corpus import (
    ENGINE,
    OURS,
    SENDER,
    inform_of,
    key_of,
    opened_by,
    trap_of,
    user_of,
    usm_of,
)
from usm_exchange import (
    AUTH,
    BOTH,
    CISCO,
    NOBODY,
    label_of,
    refused,
    report_of,
)

from muttd.errors import (
    NotInTimeWindow,
    UnknownEngineId,
)
from muttd.protocol.snmp_v3 import (
    MAX_INT,
    Key,
)
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm import Usm
from muttd.protocol.usm_users import UsmUser


@pytest.mark.parametrize(
    ("clock", "now", "is_timely"),
    [
        ((3, 1000), 1000.0, True),  # sent again at once
        ((3, 850), 1000.0, True),  # 150 s late
        ((3, 849), 1000.0, False),
        ((3, 1000), 1150.0, True),  # on its way for 150 s
        ((3, 1000), 1151.0, False),
        ((3, 5000), 1000.0, True),  # ahead
        ((4, 0), 1000.0, True),  # started anew
        ((2, 9999), 1000.0, False),  # from before its last start
        ((MAX_INT, 0), 1000.0, False),  # boots that can go no further
    ],
)
def test_a_trap_must_be_within_the_window_of_its_sender(
    clock: tuple[int, int], now: float, is_timely: bool
) -> None:
    usm = usm_of(AUTH)
    opened_by(usm, trap_of(AUTH, clock=(3, 1000)), now=1000.0)
    octets = trap_of(AUTH, clock=clock)
    if is_timely:
        opened_by(usm, octets, now=now)
    else:
        assert refused(usm, octets, NotInTimeWindow, now=now).report is None


def test_the_clock_of_a_sender_only_goes_forward() -> None:
    usm = usm_of(AUTH)
    opened_by(usm, trap_of(AUTH, clock=(3, 1000)))
    opened_by(usm, trap_of(AUTH, clock=(3, 2000)))
    # Within the window of the first, no longer within that of the second.
    refused(usm, trap_of(AUTH, clock=(3, 1000)), NotInTimeWindow)
    opened_by(usm, trap_of(AUTH, clock=(3, 1900)))
    refused(usm, trap_of(AUTH, clock=(3, 1849)), NotInTimeWindow)


def test_boots_at_their_end_are_refused_from_the_first() -> None:
    refused(usm_of(AUTH), trap_of(AUTH, clock=(MAX_INT, 5)), NotInTimeWindow)


def test_a_message_without_authentication_moves_no_clock() -> None:
    usm = usm_of(NOBODY, AUTH)
    opened_by(usm, trap_of(NOBODY, clock=(MAX_INT - 1, 5)))
    opened_by(usm, trap_of(AUTH, clock=(1, 0)))
    opened_by(usm, trap_of(NOBODY, clock=(0, 0)))


@pytest.mark.parametrize(
    ("clock", "is_timely"),
    [
        ((7, 200), True),
        ((7, 50), True),
        ((7, 350), True),
        ((7, 49), False),
        ((7, 351), False),
        ((6, 200), False),
        ((8, 200), False),
        ((0, 0), False),
    ],
)
@pytest.mark.parametrize("user", [AUTH, BOTH], ids=label_of)
def test_an_inform_must_be_within_our_window(
    user: UsmUser, clock: tuple[int, int], is_timely: bool
) -> None:
    usm = usm_of(user)
    octets = inform_of(user, clock=clock)
    if is_timely:
        opened_by(usm, octets, now=1200.0)
        return
    error = refused(usm, octets, NotInTimeWindow, now=1200.0)
    # Authenticated, so that our time is believed; not encrypted (RFC 3414, 4).
    key = key_of(user, OURS)
    message, _, varbind = report_of(error.report, Key(key.auth, key.auth_key))
    assert (message.engine_boots, message.engine_time) == (7, 200)
    assert varbind == WireVarbind("1.3.6.1.6.3.15.1.1.2.0", "Counter32", 1)
    # Who takes the time from it is heard.
    opened_by(usm, inform_of(user, clock=(message.engine_boots, message.engine_time)), now=1201.0)


def test_our_boots_at_their_end_let_nobody_in() -> None:
    usm = Usm([AUTH], ENGINE._replace(boots=MAX_INT))
    refused(usm, inform_of(AUTH, clock=(MAX_INT, 0)), NotInTimeWindow)


def test_an_inform_for_another_engine_is_told_ours() -> None:
    usm = usm_of(AUTH, BOTH, CISCO)
    for user in (AUTH, BOTH, CISCO):
        error = refused(usm, inform_of(user, SENDER), UnknownEngineId)
        assert report_of(error.report)[0].engine_id == OURS
    assert refused(usm, inform_of(user_of("x"), SENDER), UnknownEngineId).report
    # Nothing was learned of that engine's clock.
    opened_by(usm, trap_of(AUTH, SENDER, clock=(0, 0)))


def test_a_trap_that_says_it_wants_an_answer_is_a_trap_all_the_same() -> None:
    opened_by(usm_of(AUTH), trap_of(AUTH, is_reportable=True))


def test_a_trap_in_our_name_must_be_within_our_window() -> None:
    usm = usm_of(AUTH)
    opened_by(usm, trap_of(AUTH, OURS, (7, 0)))
    refused(usm, trap_of(AUTH, OURS, (6, 0)), NotInTimeWindow)


def test_our_time_ends_with_its_31_bits() -> None:
    assert usm_of(AUTH).engine_time(2.0**40) == MAX_INT
