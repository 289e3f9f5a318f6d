"""muttd/workers/attempt.py: what the errors of a destination come to."""

from __future__ import annotations

import pytest
import trio
from forwarder_scene import an_alert
from msgspec.structs import replace
from test_outbox import outgoing

from muttd.decision import Alert, AlertState
from muttd.errors import DeliverLater, DestinationHeld, Undeliverable
from muttd.queue.letters import LetterReason, Past
from muttd.workers.attempt import Attempt, Verdict, attempt_once, letter_of


class Answering:
    """Answers so."""

    def __init__(self, answer: int | Exception) -> None:
        self._answer = answer

    async def deliver(self, alert: Alert) -> int:
        await trio.lowlevel.checkpoint()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def attempt(answer: int | Exception) -> Attempt:
    return await attempt_once(Answering(answer), outgoing("a"))


@pytest.mark.parametrize(
    ("answer", "verdict", "did_answer"),
    [
        (202, Verdict.DELIVERED, True),
        (DeliverLater("no answer within 10 s"), Verdict.LATER, False),
        (DeliverLater("status 503", status=503), Verdict.LATER, False),
        (DestinationHeld("status 401", status=401), Verdict.HELD, True),
        (Undeliverable("status 400", status=400), Verdict.NEVER, True),
        (Undeliverable("the body cannot be made"), Verdict.NEVER, None),
        (ZeroDivisionError("ours"), Verdict.NEVER, None),
    ],
)
async def test_what_was_answered_and_what_the_breaker_is_told(
    answer: int | Exception, verdict: Verdict, did_answer: bool | None
) -> None:
    made = await attempt(answer)
    assert (made.verdict, made.did_answer) == (verdict, did_answer)


async def test_a_fault_of_ours_says_no_more_than_its_name() -> None:
    made = await attempt(ZeroDivisionError("a secret perhaps"))
    assert made.error == "ZeroDivisionError here; the log says what"


async def test_what_the_receiver_asked_for_is_kept() -> None:
    assert (await attempt(DeliverLater("later", retry_after_s=7.0))).retry_after_s == 7.0


async def test_the_store_is_told_how_it_went() -> None:
    of_alert = outgoing("a", attempts=3)
    made = await attempt(DeliverLater("status 503", status=503))
    told = made.delivery(of_alert, is_dead=False)
    assert (told.attempt, told.outcome, told.status) == (3, AlertState.RETRYING, 503)
    assert made.delivery(of_alert, is_dead=True).outcome is AlertState.DEAD
    assert (await attempt(200)).delivery(of_alert, is_dead=False).outcome is AlertState.DELIVERED


async def test_a_letter_has_what_its_alert_went_through() -> None:
    made = await attempt(Undeliverable("status 400", status=400))
    past = Past(attempts=2, replays=1, first_failed_at=an_alert("x").created_at)
    ids = ("daemon", "moog")
    given = outgoing("a", attempts=3, past=past)
    letter = letter_of(given, made, LetterReason.REJECTED, ids=ids)
    # Buried again after a kill it is the same letter; after another replay it is another one.
    assert letter_of(given, made, LetterReason.FAILING, ids=ids).letter_id == letter.letter_id
    given.past = replace(past, replays=2)
    assert letter_of(given, made, LetterReason.FAILING, ids=ids).letter_id != letter.letter_id
    assert (letter.origin, letter.destination) == ids
    assert (letter.attempts, letter.replays) == (3, 1)
    assert letter.first_failed_at == past.first_failed_at
