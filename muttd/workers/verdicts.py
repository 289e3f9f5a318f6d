"""Which alerts of a batch go out, where that hangs on what went before.

    repeat_interval_s   one alert per signature and interval; it stands for the others
    clear_match         a problem that was raised is ended, once, by what names the same things

Most alerts hang on nothing, and cost nothing here. For the others the ledger is asked once per
batch; it says the same again when a batch is delivered again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from muttd.decision import Alert, Decided, alert_id_for
from muttd.event import utc_now
from muttd.queue.ledger import Claim, Said, Verdict, to_microseconds
from muttd.rules.signature import names_of, signature_of

# Of a key in the ledger: no two signatures of one site have the same.
_KEY_OCTETS = 16

_log = logging.getLogger(__name__)

_alert = msgspec.json.Decoder(Alert)


@dataclass(slots=True)
class Judged:
    """What the ledger said of a batch.

    Attributes:
        decided: The batch; those whose alert was held back say so.
        alerts: By event id, what goes out for each event that was judged.
        ids: The alert ids it was asked about.
    """

    decided: list[Decided]
    alerts: dict[str, list[Alert]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    def alerts_of(self, decided: Decided) -> list[Alert]:
        """What goes out for one event."""
        judged = self.alerts.get(decided.event.event_id)
        if judged is not None:
            return judged
        return [alert_of(decided)] if decided.decision.raises_alert else []


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


def to_judge(decided: Iterable[Decided]) -> list[tuple[Claim, Alert]]:
    """Claims for the ledger, in the order of the batch, and the alert each is about."""
    found = []
    for each in decided:
        if each.decision.is_judged and each.decision.raises_alert:
            try:
                alert = alert_of(each)
                found.append((_claim(alert), alert))
            except Exception as exc:
                # This event's fault, and found again when it is recorded; see Guard.fail.
                _log.error("event %s cannot be judged", each.event.event_id, exc_info=exc)
    return found


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


def judged(
    decided: Sequence[Decided], asked: Sequence[tuple[Claim, Alert]], verdicts: Sequence[Verdict]
) -> Judged:
    """Put verdicts into effect."""
    held_by = {}
    outcome = Judged(list(decided))
    for (claim, alert), verdict in zip(asked, verdicts, strict=True):
        outcome.ids.append(claim.alert_id)
        outcome.alerts[alert.event.event_id] = list(_sent(alert, verdict))
        if verdict.said is Said.HOLD:
            held_by[alert.event.event_id] = verdict.held_by
    if held_by:
        outcome.decided = [
            each
            if (stands := held_by.get(each.event.event_id)) is None
            else Decided(each.event, msgspec.structs.replace(each.decision, held_by=stands))
            for each in decided
        ]
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
