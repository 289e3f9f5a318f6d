"""kill -9 at each step of alerter and forwarder: what follows happens exactly once all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline_child import TEXTS, events
from running_daemon import ScriptedWebhook

from muttd.decision import AlertState
from muttd.queue.contract import Stream
from muttd.queue.letters import LetterReason
from muttd.queue.sqlite import open_queue
from muttd.store.contract import EventQuery, Window
from muttd.store.sqlite import open_store

pytestmark = pytest.mark.chaos

CHILD = Path(__file__).parent / "pipeline_child.py"
ROOT = CHILD.parent.parent.parent

# Every call by which the two reach out of the process, in the order of the pipeline.
POINTS = [
    "after queue.take ingest",
    "before ledger.judge",
    "after ledger.judge",
    "before store.record_rows",
    "after store.record_rows",
    "before queue.bury ingest",
    "after queue.bury ingest",
    "before queue.ack ingest",
    "after queue.ack ingest",
    "after queue.take alert",
    "after store.attempt_counts",
    "before webhook.deliver",
    "after webhook.deliver",
    "before store.record_deliveries",
    "after store.record_deliveries",
    "before queue.bury alert",
    "after queue.bury alert",
    "before queue.ack alert",
    "after queue.ack alert",
]
# Between the receiver's answer and the line that says so; nobody can close this gap from one side.
MAY_REPEAT = {"after webhook.deliver", "before store.record_deliveries"}
# One that was refused is offered once more until its letter is there and its entry gone.
MAY_OFFER_AGAIN = MAY_REPEAT | {"after store.record_deliveries", "before queue.bury alert"}
MAY_OFFER_AGAIN |= {"after queue.bury alert", "before queue.ack alert"}

Life = Callable[..., int]


@pytest.fixture(scope="module")
def live() -> Iterator[Life]:
    """Live once, up to a point or to the end; the exit code."""
    child = subprocess.Popen(
        [sys.executable, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    orders, answers = child.stdin, child.stdout
    assert orders is not None
    assert answers is not None

    def once(directory: Path, url: str, point: str, *, is_first: bool) -> int:
        asked = {"directory": str(directory), "url": url, "point": point, "is_first": is_first}
        orders.write(json.dumps(asked) + "\n")
        orders.flush()
        return int(answers.readline())

    yield once
    orders.close()
    child.wait(20)
    answers.close()


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_each_step_doubles_no_effect_and_loses_none(
    tmp_path: Path, webhook: ScriptedWebhook, live: Life, point: str
) -> None:
    webhook.answer = lambda call: (
        (400, {}, "never") if "refused" in call.body["description"] else (200, {}, "")
    )
    assert live(tmp_path, webhook.url, point, is_first=True) == -signal.SIGKILL, "never reached"
    assert live(tmp_path, webhook.url, "", is_first=False) == 0
    # Each is raised by the first event of its text: "often" goes out once.
    ids = {event.message: event.event_id for event in reversed(events())}
    paged, refused = {"page 1", "page two", "often"}, "page refused"
    async with (
        open_queue(tmp_path / "queue.db", limits=dict.fromkeys(Stream, 1000)) as queue,
        open_store(tmp_path / "store.db") as store,
    ):
        stored = await store.search_events(EventQuery(), Window(limit=50))
        assert sorted(each.event.message for each in stored.items) == sorted(TEXTS)
        alerts = await store.search_alerts(state=None, hostname=None, window=Window(limit=50))
        states = {each.alert.event.message: each.state for each in alerts.items}
        assert len(alerts.items) == len(states)
        assert states == dict.fromkeys(paged, AlertState.DELIVERED) | {refused: AlertState.DEAD}
        for each in alerts.items:
            assert each.alert.event.event_id == ids[each.alert.event.message]
            found = await store.get_alert(each.alert.alert_id)
            assert found is not None
            ended = [delivery.outcome for delivery in found[1]]
            assert ended.count(AlertState.DELIVERED) == (each.state is AlertState.DELIVERED)
        letters = await queue.letters.find()
        reasons = sorted(letter.reason for letter in letters)
        assert reasons == [LetterReason.REJECTED, LetterReason.UNDECODABLE]
    sent = Counter(call.body["external_id"] for call in webhook.calls)
    by_text = {call.body["description"]: call.body["external_id"] for call in webhook.calls}
    assert set(by_text) == paged | {refused}
    assert len(sent) == len(by_text)
    again = {text for text, alert_id in by_text.items() if sent[alert_id] > 1}
    assert not again - {refused} or point in MAY_REPEAT
    assert refused not in again or point in MAY_OFFER_AGAIN
