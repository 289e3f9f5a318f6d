"""What a rule would have matched: POST /api/v2/rules/test.

    {"rule": {...}, "rule_id": 7, "from": time, "to": time, "samples": 20}

    store --pages of encoded events, newest first--> DryRun, in a thread --> counts, samples

One dry run at a time on a daemon, a few may wait: deciding live events comes first. A run that
takes too long answers with what it has seen by then, and says how far back that is.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput, MuttdError
from muttd.event import decode_events, utc_now
from muttd.rules.dry_run import MAX_SAMPLES, DryRun, Narrowed, Outcome
from muttd.rules.fields import rule_schema
from muttd.rules.validate import draft_rule
from muttd.store.contract import EventQuery, ScanPlace, Store
from muttd.web.declared import ok
from muttd.web.fields import Field, ObjectBody, integer_field
from muttd.web.params import parse_moment
from muttd.web.resource import call, resource
from muttd.web.responses import JsonResponse, with_iso_times
from muttd.web.services import Services

DEFAULT_RANGE = timedelta(hours=24)
# Longer than anybody looks at a form that does not answer. A million events take some two.
DEADLINE_S = 25.0
# As many may wait for the one that runs.
_MAX_WAITING = 3
_RETRY_AFTER_S = 5
_FIRST_PAGE_EVENTS = 2000
_MAX_PAGE_EVENTS = 10_000
# Pages become as large as that; two are in memory at a time.
_PAGE_OCTETS = 4_000_000
# After working for so long the thread rests for so long: the daemon's own loop comes first.
_WORK_S = 0.004
_REST_S = 0.0001


class DryRunResult(Outcome, frozen=True, kw_only=True):
    """What a dry run found; counts are exact for the events from scanned_back_to on.

    Attributes:
        range_start, range_end: What was asked for: [start, end).
        scanned: How many stored events that was.
        is_complete: Whether all of the range was looked at in time.
        scanned_back_to: The time from which on it was.
        rules_revision: Of the rule book that it was compared with.
    """

    range_start: datetime
    range_end: datetime
    scanned: int
    is_complete: bool
    scanned_back_to: datetime
    rules_revision: int


def _moment_field(name: str, text: str) -> Field[datetime]:
    def parse(value: object) -> datetime:
        if not isinstance(value, str):
            raise ValueError("must be an ISO 8601 date or time")
        return parse_moment(value, whole_day=name == "to")

    return Field(name, text, {"type": "string"}, parse)


def _rule_field() -> Field[dict[str, Any]]:
    def parse(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a rule")
        return value

    return Field("rule", "The rule to try.", rule_schema(is_new=True), parse, is_required=True)


RULE = _rule_field()
RULE_ID = integer_field("rule_id", "The rule that it would replace; else it is new.", at_least=1)
FROM = _moment_field("from", "Events received then or later; without it of the last 24 hours.")
TO = _moment_field("to", "Events received before; a mere date is meant whole.")
SAMPLES = integer_field("samples", "Most events shown; 20 without it.", at_most=MAX_SAMPLES)

_BODY = ObjectBody(RULE, RULE_ID, FROM, TO, SAMPLES)


@call(
    "What a rule would have matched among the stored events.",
    body=_BODY.body,
    answer=ok(DryRunResult),
    errors=(404, 429, 503),
)
async def test_rule(request: Request) -> Response:
    """POST /api/v2/rules/test."""
    services: Services = request.app.state.services
    given = await _BODY.read(request)
    rule_id = given[RULE_ID]
    present = None if rule_id is None else await services.store.get_rule(rule_id)
    if rule_id is not None and present is None:
        raise HTTPException(404, "There is no such rule.")
    try:
        draft = draft_rule(given.required(RULE), present=present)
    except InvalidInput as exc:
        raise InvalidInput([(f"rule.{name}", what) for name, what in exc.problems]) from exc
    end = given[TO] or utc_now()
    start = given[FROM] or end - DEFAULT_RANGE
    if end <= start:
        raise InvalidInput([("to", "must be later than from")])
    rule_set = services.rule_set()
    if rule_set is None:
        raise HTTPException(503, "The rules were not read yet; try again.")
    samples = given[SAMPLES]
    run = DryRun(draft, rule_set, rule_id=rule_id, max_samples=20 if samples is None else samples)
    async with _turn(request):
        scan = Scan(services.store, run, start=start, end=end)
        if not await _go_while_wanted(scan, request):
            # It left: nobody reads what is answered here.
            return Response(status_code=400)
        scanned = await scan.count()
    result = DryRunResult(
        **msgspec.structs.asdict(run.outcome()),
        range_start=start,
        range_end=end,
        scanned=scanned,
        is_complete=scan.is_complete,
        scanned_back_to=scan.back_to,
        rules_revision=rule_set.revision,
    )
    return JsonResponse(with_iso_times(result))


def dry_run_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/rules/test", post=test_rule)]


async def _go_while_wanted(scan: Scan, request: Request) -> bool:
    """Scan, unless the client leaves meanwhile: then give up and return False."""
    is_over = False
    failure: MuttdError | None = None

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            await scan.go(within_s=DEADLINE_S)
        except MuttdError as exc:
            # By itself, and not in the nursery's group: it says what the client is answered.
            failure = exc
        is_over = True
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return is_over


@asynccontextmanager
async def _turn(request: Request) -> AsyncIterator[None]:
    """Wait for one's turn, or be told that too many do."""
    state = request.app.state
    if not hasattr(state, "dry_runs"):
        state.dry_runs = trio.CapacityLimiter(1)
    limiter: trio.CapacityLimiter = state.dry_runs
    if limiter.statistics().tasks_waiting >= _MAX_WAITING:
        raise HTTPException(
            429, "Other dry runs are waiting.", headers={"Retry-After": str(_RETRY_AFTER_S)}
        )
    async with limiter:
        yield


class Scan:
    """Feeds a dry run with the stored events of a range, newest first.

    Args:
        store: Where they are.
        run: Who judges them.
        start, end: received_at in [start, end).
    """

    def __init__(self, store: Store, run: DryRun, *, start: datetime, end: datetime) -> None:
        self._store = store
        self._run = run
        self._start, self._end = start, end
        narrowed = run.narrowed
        self._is_narrowed = narrowed != Narrowed()
        query = EventQuery(start=start, end=end, **msgspec.structs.asdict(narrowed))
        self._queries = {
            is_matched: replace(query, matched=is_matched) for is_matched in (True, False)
        }
        # Of each table that is not read through: received_at of the last one fed.
        self._fed: dict[bool, datetime] = dict.fromkeys(self._queries, end)
        self._page_events = _FIRST_PAGE_EVENTS
        self._count = 0
        self._rested_at = 0.0
        self._failure: MuttdError | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all was fed."""
        return not self._fed

    @property
    def back_to(self) -> datetime:
        """Every event received after this has been fed."""
        return max(self._fed.values(), default=self._start)

    async def go(self, *, within_s: float) -> None:
        """Feed all, or as much as fits in that time.

        Raises:
            StoreUnavailable: The store is away.
            InvalidInput: It takes too long to find even some.
        """
        with trio.move_on_after(within_s):
            async with trio.open_nursery() as nursery:
                send, receive = trio.open_memory_channel[_Page](0)
                # One page is read while the one before is judged.
                nursery.start_soon(self._read, send)
                async with receive:
                    async for page in receive:
                        await trio.to_thread.run_sync(self._judge, page.encoded)
                        self._count += len(page.encoded)
                        if page.back_to is None:
                            del self._fed[page.is_matched]
                        else:
                            self._fed[page.is_matched] = page.back_to
        if self._failure is not None:
            raise self._failure

    async def count(self) -> int:
        """How many stored events lie in what was looked at."""
        if not self._is_narrowed:
            return self._count
        return await self._store.count_events(start=self.back_to, end=self._end)

    async def _read(self, send: trio.MemorySendChannel[_Page]) -> None:
        async with send:
            try:
                await self._read_all(send)
            except MuttdError as exc:
                # By itself, and not in the nursery's group: it says what the client is answered.
                self._failure = exc

    async def _read_all(self, send: trio.MemorySendChannel[_Page]) -> None:
        places: dict[bool, ScanPlace | None] = dict.fromkeys(self._queries)
        back_to = dict.fromkeys(self._queries, self._end)
        while places:
            # Of two tables the one that was read less far back: together they give the newest.
            is_matched = max(places, key=lambda each: back_to[each])
            encoded, place = await self._store.scan_events(
                self._queries[is_matched], after=places[is_matched], limit=self._page_events
            )
            if place is None:
                del places[is_matched]
                await send.send(_Page(is_matched, encoded, None))
                continue
            [last] = decode_events(encoded[-1])
            places[is_matched], back_to[is_matched] = place, last.received_at
            self._adapt(encoded)
            await send.send(_Page(is_matched, encoded, last.received_at))

    def _adapt(self, encoded: list[bytes]) -> None:
        octets = sum(map(len, encoded)) / len(encoded)
        self._page_events = max(1, min(_MAX_PAGE_EVENTS, int(_PAGE_OCTETS / octets)))

    def _judge(self, encoded: list[bytes]) -> None:
        self._rested_at = time.perf_counter()
        self._run.feed(encoded, self._rest)

    def _rest(self) -> None:
        if time.perf_counter() - self._rested_at > _WORK_S:
            time.sleep(_REST_S)
            self._rested_at = time.perf_counter()


@dataclass(frozen=True, slots=True)
class _Page:
    """Events of one table; back_to is when the last was received, None: there are no more."""

    is_matched: bool
    encoded: list[bytes]
    back_to: datetime | None
