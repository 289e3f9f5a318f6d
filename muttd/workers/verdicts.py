"""Which alerts of a batch go out, where that hangs on what went before.

    repeat_interval_s   one alert per signature and interval; it stands for the others
    clear_match         a problem that was raised is ended, once, by what names the same things

Most alerts hang on nothing, and go out as they are. For the others the ledger is asked once per
batch; it says the same again when a batch is delivered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from muttd.decision import Alert, Decided, alert_id_for
from muttd.event import utc_now
from muttd.queue.ledger import Claim, Said, Verdict, to_microseconds
from muttd.rules.signature import names_of, signature_of

# Of a key in the ledger: no two signatures of one site have the same.
_KEY_OCTETS = 16

_alert = msgspec.json.Decoder(Alert)


class Raised(NamedTuple):
    """An event whose rule wants an alert.

    Attributes:
        decided: The event.
        alert: That alert.
        claim: What the ledger is asked, when it hangs on what went before.
    """

    decided: Decided
    alert: Alert
    claim: Claim | None


@dataclass(slots=True)
class Judged:
    """What goes out for the events of a batch.

    Attributes:
        alerts: By event id, in the order of the batch; none for those that are held back.
        decided: Those that were judged, by event id; whose alert was held back says so.
        ids: The alert ids the ledger was asked about.
        held_back: How many were.
    """

    alerts: dict[str, list[Alert]] = field(default_factory=dict)
    decided: dict[str, Decided] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    held_back: int = 0


def raised_of(decided: Decided) -> Raised:
    """The alert of an event that raises one, and what to ask about it."""
    alert = alert_of(decided)
    return Raised(decided, alert, _claim(alert) if decided.decision.is_judged else None)


def alert_of(decided: Decided) -> Alert:
    """The alert that a rule raises for an event."""
    event, decision = decided.event, decided.decision
    assert decision.rule_id is not None
    return Alert(
        alert_id=alert_id_for(event.event_id, decision.rule_id),
        signature=signature_of(event, decision),
        event=event,
        decision=decision,
        created_at=utc_now(),
    )


def _claim(alert: Alert) -> Claim:
    event, decision = alert.event, alert.decision
    interval_us = round((decision.repeat_interval_s or 0.0) * 1_000_000)
    is_clear, has_clear = decision.is_clear, decision.has_clear
    key = blake2b(alert.signature.encode(), digest_size=_KEY_OCTETS).hexdigest()
    # What may be sent later than now, by whoever finds it then.
    is_kept = is_clear or (has_clear and interval_us)
    return Claim(
        alert_id=alert.alert_id,
        at_us=to_microseconds(event.received_at),
        interval_us=interval_us,
        repeat_key=f"{decision.rule_id}:{key}",
        pair=f"{decision.rule_id}@{event.hostname.casefold()}" if has_clear else "",
        signature=alert.signature,
        names=names_of(event) if has_clear else [],
        is_clear=is_clear,
        alert=alert_as_text(alert) if is_kept else "",
    )


def judged(raised: Sequence[Raised], verdicts: Iterable[Verdict]) -> Judged:
    """Put verdicts into effect.

    Args:
        raised: In the order of the batch.
        verdicts: Of those that have a claim, in the same order.
    """
    outcome = Judged()
    said = iter(verdicts)
    for decided, alert, claim in raised:
        event_id = alert.event.event_id
        if claim is None:
            outcome.alerts[event_id] = [alert]
            continue
        verdict = next(said)
        outcome.ids.append(claim.alert_id)
        outcome.alerts[event_id] = list(_sent(alert, verdict))
        if verdict.said is Said.HOLD:
            outcome.held_back += 1
            decision = msgspec.structs.replace(decided.decision, held_by=verdict.held_by)
            decided = Decided(decided.event, decision)
        outcome.decided[event_id] = decided
    return outcome


def _sent(alert: Alert, verdict: Verdict) -> Iterator[Alert]:
    if verdict.said is Said.CLEAR:
        for number, signature in enumerate(verdict.ended):
            # One message may end several problems.
            alert_id = f"{alert.alert_id}.{number}" if number else alert.alert_id
            yield msgspec.structs.replace(alert, alert_id=alert_id, signature=signature)
    elif verdict.said is Said.SEND:
        yield msgspec.structs.replace(alert, held_back=verdict.held_back)
        for text in verdict.ended:
            # Another daemon was faster with the message that ends this problem.
            yield msgspec.structs.replace(alert_from_text(text), signature=alert.signature)


def alert_as_text(alert: Alert) -> str:
    """An alert as the ledger keeps it."""
    return msgspec.json.encode(alert).decode()


def alert_from_text(text: str) -> Alert:
    """The alert that alert_as_text was given."""
    return _alert.decode(text)
