"""Dead letters: GET, PUT, DELETE of one; GET of the list; replay and discard of many.

    GET    /api/v2/dead-letters              kind, reason, destination, parked; page, limit
    GET    /api/v2/dead-letters/{id}         with its event and, for an alert, the alert
    PUT    /api/v2/dead-letters/{id}         {"event": {...}, "alert": {...}}: see letter_edit
    DELETE /api/v2/dead-letters/{id}
    POST   /api/v2/dead-letters/replay       {"ids": [...]} or {"all": true, "filter": {...}}
    POST   /api/v2/dead-letters/discard      the same

A letter that was replayed max_poison_retries times is parked: it goes round no more until somebody
edits it, or asks for it with "parked": true.
The letters are in the queue and config_audit_log is in the store. The record is written first: a
crash between the two leaves a record of what was about to be done, and never a change without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.queue.letters import DeadLetter, LetterKind, LetterQuery, LetterReason
from muttd.store.contract import Change, ChangedRecord, Page
from muttd.web.api.letter_edit import EDIT_SCHEMA, edit_letter, letter_as_json, letter_summary
from muttd.web.declared import GONE, Given, json_body, list_of, ok
from muttd.web.fields import (
    CHANGE_REASON,
    ObjectBody,
    boolean_field,
    change_of,
    choice_field,
    list_field,
    object_field,
    read_object,
    text_field,
)
from muttd.web.params import CHANGE_REASON as WHY
from muttd.web.params import WINDOW, boolean_param, choice_param, text_param, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, deleted, list_response
from muttd.web.services import Services
from muttd.web.shapes import DeadLetterShape, DeadLetterSummary, Discarded, Replayed

TABLE = "dead_letters"
MAX_IDS = 1000
# Of one call that says "all"; it tells how many are left.
MAX_AT_ONCE = 10_000
_CHUNK_LETTERS = 200

KIND = choice_param("kind", "What it holds.", LetterKind)
REASON = choice_param("reason", "Why it was given up on.", LetterReason)
DESTINATION = text_param("destination", "Where its alert should have gone.")
PARKED = boolean_param("parked", "Whether it was replayed too often to go round again.")
LETTER_ID = text_param("letter_id", "The dead letter's id.")

_OF_KIND = choice_field("kind", "What they hold.", LetterKind)
_OF_REASON = choice_field("reason", "Why they were given up on.", LetterReason)
_OF_DESTINATION = text_field("destination", "Where their alerts should have gone.")
_FILTER = object_field(
    "filter", 'Which of "all".', ObjectBody(_OF_KIND, _OF_REASON, _OF_DESTINATION)
)
_IDS = list_field(
    text_field("id", "One."), 'Which ones; this or "all".', name="ids", at_most=MAX_IDS
)
_ALL = boolean_field("all", "All of the filter.")
_TAKES_PARKED = boolean_field("parked", "Those that are parked as well.")
_CHOICE = ObjectBody(_IDS, _ALL, _FILTER, _TAKES_PARKED, CHANGE_REASON)

_NOT_THERE = "There is no such dead letter."


@call(
    "Dead letters, newest first.",
    params=(KIND, REASON, DESTINATION, PARKED, *WINDOW),
    answer=list_of("dead_letters", DeadLetterSummary),
)
async def list_dead_letters(request: Request) -> Response:
    """GET /api/v2/dead-letters."""
    services: Services = request.app.state.services
    given = given_of(request)
    query = LetterQuery(kind=given[KIND], reason=given[REASON], destination=given[DESTINATION])
    is_parked = given[PARKED]
    window = window_of(given)
    limit = services.dynamic.current.max_poison_retries
    if is_parked is not None:
        query = _parked(query, limit) if is_parked else _not_parked(query, limit)
    letters = services.queue.letters
    found = await letters.find(query, offset=(window.page - 1) * window.limit, limit=window.limit)
    page: Page[DeadLetter] = Page(found, await letters.count(query), None)
    items = [letter_summary(each, max_replays=limit) for each in found]
    return list_response("dead_letters", items, page, window)


@call("A dead letter with all that is in it.", params=(LETTER_ID,), answer=ok(DeadLetterShape))
async def get_dead_letter(request: Request) -> Response:
    """GET /api/v2/dead-letters/{letter_id}."""
    return _shown(request, await _named(request))


@call(
    "Mend a dead letter; only what is given changes.",
    params=(LETTER_ID,),
    body=json_body(EDIT_SCHEMA),
    answer=ok(DeadLetterShape),
)
async def edit_dead_letter(request: Request) -> Response:
    """PUT /api/v2/dead-letters/{letter_id}."""
    services: Services = request.app.state.services
    body = await read_object(request)
    letter = await _named(request)
    edited = edit_letter(letter, body)
    change = change_of(request, body.get("change_reason"))
    record = ChangedRecord(TABLE, letter.letter_id, edited.old, edited.new)
    await services.store.record_changes(change, [record])
    if not await services.queue.letters.edit(letter.letter_id, edited.payload):
        raise HTTPException(404, _NOT_THERE)
    return _shown(request, await _named(request))


@call("Discard a dead letter.", params=(LETTER_ID, WHY), answer=GONE)
async def discard_dead_letter(request: Request) -> Response:
    """DELETE /api/v2/dead-letters/{letter_id}."""
    services: Services = request.app.state.services
    letter = await _named(request)
    await _discard(services, change_of(request, given_of(request)[WHY]), [letter])
    return deleted()


@call("Put dead letters back, oldest first.", body=_CHOICE.body, answer=ok(Replayed))
async def replay_dead_letters(request: Request) -> Response:
    """POST /api/v2/dead-letters/replay."""
    services: Services = request.app.state.services
    choice = await _choice(request)
    change = change_of(request, choice.reason)
    count = await _in_chunks(choice.letters, lambda chunk: _replay(services, change, chunk))
    return JsonResponse(
        {
            "replayed": count,
            "parked": choice.parked,
            "unknown": choice.unknown,
            "left": choice.left,
        }
    )


@call("Discard dead letters.", body=_CHOICE.body, answer=ok(Discarded))
async def discard_dead_letters(request: Request) -> Response:
    """POST /api/v2/dead-letters/discard."""
    services: Services = request.app.state.services
    choice = await _choice(request, takes_parked=True)
    change = change_of(request, choice.reason)
    count = await _in_chunks(choice.letters, lambda chunk: _discard(services, change, chunk))
    return JsonResponse({"discarded": count, "unknown": choice.unknown, "left": choice.left})


def dead_letter_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/dead-letters", get=list_dead_letters),
        resource("/api/v2/dead-letters/replay", post=replay_dead_letters),
        resource("/api/v2/dead-letters/discard", post=discard_dead_letters),
        resource(
            "/api/v2/dead-letters/{letter_id}",
            get=get_dead_letter,
            put=edit_dead_letter,
            delete=discard_dead_letter,
        ),
    ]


async def _named(request: Request) -> DeadLetter:
    services: Services = request.app.state.services
    letter = await services.queue.letters.get(given_of(request).required(LETTER_ID))
    if letter is None:
        raise HTTPException(404, _NOT_THERE)
    return letter


def _shown(request: Request, letter: DeadLetter) -> Response:
    services: Services = request.app.state.services
    limit = services.dynamic.current.max_poison_retries
    return JsonResponse(letter_as_json(letter, max_replays=limit))


def _parked(query: LetterQuery, max_replays: int) -> LetterQuery:
    return replace(query, least_replays=max_replays)


def _not_parked(query: LetterQuery, max_replays: int) -> LetterQuery:
    return replace(query, most_replays=max_replays - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The letters that a body means.

    Attributes:
        letters: Oldest first, without their payloads.
        parked, unknown: How many of those named are left alone, are not there.
        left: How many more a further call would find.
        reason: Why, for the audit.
    """

    letters: list[DeadLetter]
    parked: int = 0
    unknown: int = 0
    left: int = 0
    reason: str | None


async def _choice(request: Request, *, takes_parked: bool = False) -> _Choice:
    """Find what the body names; without "parked" no letter that is parked is taken."""
    services: Services = request.app.state.services
    given = await _CHOICE.read(request)
    _check(given)
    takes_parked = takes_parked or bool(given[_TAKES_PARKED])
    limit = services.dynamic.current.max_poison_retries
    reason = given[CHANGE_REASON]
    letters = services.queue.letters
    if given[_ALL]:
        query = _query(given[_FILTER])
        if not takes_parked:
            query = _not_parked(query, limit)
        found: list[DeadLetter] = []
        while len(found) < MAX_AT_ONCE:
            more = await letters.find(
                query, offset=len(found), limit=_CHUNK_LETTERS, oldest_first=True
            )
            found += map(_without_payload, more)
            if len(more) < _CHUNK_LETTERS:
                return _Choice(letters=found, reason=reason)
        left = max(0, await letters.count(query) - len(found))
        return _Choice(letters=found, left=left, reason=reason)
    ids = list(dict.fromkeys(given.required(_IDS)))
    named = [
        _without_payload(letter) for each in ids if (letter := await letters.get(each)) is not None
    ]
    taken = [each for each in named if takes_parked or each.replays < limit]
    return _Choice(
        letters=taken,
        parked=len(named) - len(taken),
        unknown=len(ids) - len(named),
        reason=reason,
    )


def _without_payload(letter: DeadLetter) -> DeadLetter:
    # Thousands are chosen at a time, and each may hold a megabyte that nobody looks at here.
    return msgspec.structs.replace(letter, payload=b"")


def _check(given: Given) -> None:
    if (given[_IDS] is None) == (not given[_ALL]):
        raise InvalidInput([("ids", 'give either "ids" or "all": true')])
    if given[_FILTER] is not None and given[_IDS] is not None:
        raise InvalidInput([("filter", 'goes with "all" only')])


def _query(given: Given | None) -> LetterQuery:
    if given is None:
        return LetterQuery()
    return LetterQuery(
        kind=given[_OF_KIND], reason=given[_OF_REASON], destination=given[_OF_DESTINATION]
    )


async def _in_chunks(
    letters: Sequence[DeadLetter], work: Callable[[Sequence[DeadLetter]], Awaitable[int]]
) -> int:
    count = 0
    for start in range(0, len(letters), _CHUNK_LETTERS):
        count += await work(letters[start : start + _CHUNK_LETTERS])
    return count


async def _replay(services: Services, change: Change, letters: Sequence[DeadLetter]) -> int:
    records = []
    for letter in letters:
        old = _audited(letter)
        new = old | {"state": "replayed", "replays": letter.replays + 1}
        records.append(ChangedRecord(TABLE, letter.letter_id, old, new))
    await services.store.record_changes(change, records)
    return len(await services.queue.letters.replay([each.letter_id for each in letters]))


async def _discard(services: Services, change: Change, letters: Sequence[DeadLetter]) -> int:
    records = [ChangedRecord(TABLE, each.letter_id, _audited(each), None) for each in letters]
    await services.store.record_changes(change, records)
    return len(await services.queue.letters.discard([each.letter_id for each in letters]))


def _audited(letter: DeadLetter) -> dict[str, Any]:
    return {
        "state": "dead",
        "kind": letter.kind,
        "item_id": letter.item_id,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "destination": letter.destination,
    }
