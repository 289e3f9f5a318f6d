"""muttd/workers/outbox.py: which alert is next."""

from __future__ import annotations

from forwarder_scene import an_alert

from muttd.workers.outbox import Outbox, Outgoing


def outgoing(text: str, entry_id: str = "1", **fields: object) -> Outgoing:
    """An alert whose signature is its text without exclamation marks."""
    made = Outgoing(alert=an_alert(text), entry_id=entry_id, attempts=0)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_the_oldest_is_next_and_those_of_its_signature_wait_for_it() -> None:
    outbox = Outbox()
    a, again, b = outgoing("a"), outgoing("a!"), outgoing("b")
    outbox.add([a, again, b])
    assert outbox.next(0.0, is_failing=False) is a
    outbox.begin(a)
    assert outbox.next(0.0, is_failing=False) is b
    outbox.begin(b)
    assert outbox.next(0.0, is_failing=False) is None
    outbox.end(a)
    outbox.done(a)
    assert outbox.next(0.0, is_failing=False) is again


def test_one_that_has_to_wait_holds_up_its_signature_alone() -> None:
    outbox = Outbox()
    a, again, b = outgoing("a", not_before=5.0), outgoing("a!"), outgoing("b")
    outbox.add([a, again, b])
    assert outbox.next(0.0, is_failing=False) is b
    assert outbox.next_at(0.0) == 5.0
    assert outbox.next(5.0, is_failing=False) is a


def test_while_the_destination_fails_the_oldest_is_tried_a_few_times_then_another() -> None:
    outbox = Outbox()
    a, b = outgoing("a"), outgoing("b")
    outbox.add([a, b])
    tried = []
    for _ in range(8):
        each = outbox.next(0.0, is_failing=True)
        assert each is not None
        each.failures += 1
        tried.append(each.alert.event.message)
    assert tried == ["a"] * 3 + ["b"] * 3 + ["a"] * 2


def test_an_entry_is_done_with_its_last_alert() -> None:
    outbox = Outbox()
    a, b, c = outgoing("a"), outgoing("b"), outgoing("c", "2")
    outbox.add([a, b])
    outbox.add([c])
    assert outbox.holds("1")
    assert [outbox.done(b), outbox.done(c), outbox.done(a)] == [False, True, True]
    assert not outbox.holds("1")
    assert len(outbox) == 0


def test_an_alert_is_in_hand_until_it_is_done() -> None:
    outbox = Outbox()
    a = outgoing("a")
    assert not outbox.has(a.alert.alert_id)
    outbox.add([a])
    assert outbox.has(a.alert.alert_id)
    outbox.done(a)
    assert not outbox.has(a.alert.alert_id)


def test_there_is_an_alternative_when_two_signatures_are_there() -> None:
    outbox = Outbox()
    outbox.add([outgoing("a"), outgoing("a!")])
    assert not outbox.has_alternative()
    outbox.add([outgoing("b")])
    assert outbox.has_alternative()
