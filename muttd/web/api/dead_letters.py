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

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.queue.letters import DeadLetter, LetterKind, LetterQuery, LetterReason
from muttd.store.contract import Change, ChangedRecord, Page
from muttd.web.api.letter_edit import edit_letter, letter_as_json, letter_summary
from muttd.web.params import MAX_TEXT_CHARS, Params, change_of, read_object, reason_problems
from muttd.web.resource import resource
from muttd.web.responses import JsonResponse, deleted, list_response
from muttd.web.services import Services

TABLE = "dead_letters"
MAX_IDS = 1000
# Of one call that says "all"; it tells how many are left.
MAX_AT_ONCE = 10_000
_CHUNK_LETTERS = 200
_BODY_FIELDS = frozenset({"ids", "all", "filter", "parked", "change_reason"})
_FILTER_FIELDS = frozenset({"kind", "reason", "destination"})

_NOT_THERE = "There is no such dead letter."


async def list_dead_letters(request: Request) -> Response:
    """GET /api/v2/dead-letters."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    query = LetterQuery(
        kind=params.choice("kind", LetterKind),
        reason=params.choice("reason", LetterReason),
        destination=params.text("destination"),
    )
    is_parked = params.boolean("parked")
    window = params.window()
    params.check()
    limit = services.dynamic.current.max_poison_retries
    if is_parked is not None:
        query = _parked(query, limit) if is_parked else _not_parked(query, limit)
    letters = services.queue.letters
    found = await letters.find(query, offset=(window.page - 1) * window.limit, limit=window.limit)
    page: Page[DeadLetter] = Page(found, await letters.count(query), None)
    items = [letter_summary(each, max_replays=limit) for each in found]
    return list_response("dead_letters", items, page, window)


async def get_dead_letter(request: Request) -> Response:
    """GET /api/v2/dead-letters/{letter_id}."""
    Params(request.query_params).check()
    return _shown(request, await _named(request))


async def edit_dead_letter(request: Request) -> Response:
    """PUT /api/v2/dead-letters/{letter_id}."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    body = await read_object(request)
    letter = await _named(request)
    edited = edit_letter(letter, body)
    change = change_of(request, body.get("change_reason"))
    record = ChangedRecord(TABLE, letter.letter_id, edited.old, edited.new)
    await services.store.record_changes(change, [record])
    if not await services.queue.letters.edit(letter.letter_id, edited.payload):
        raise HTTPException(404, _NOT_THERE)
    return _shown(request, await _named(request))


async def discard_dead_letter(request: Request) -> Response:
    """DELETE /api/v2/dead-letters/{letter_id}."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    reason = params.text("change_reason")
    params.check()
    letter = await _named(request)
    await _discard(services, change_of(request, reason), [letter])
    return deleted()


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
    letter = await services.queue.letters.get(request.path_params["letter_id"])
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
        letters: Oldest first.
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
    Params(request.query_params).check()
    body = await read_object(request)
    _check(body)
    takes_parked = takes_parked or body.get("parked", False)
    limit = services.dynamic.current.max_poison_retries
    reason = body.get("change_reason")
    letters = services.queue.letters
    if body.get("all"):
        query = _query(body.get("filter") or {})
        if not takes_parked:
            query = _not_parked(query, limit)
        found: list[DeadLetter] = []
        while len(found) < MAX_AT_ONCE:
            more = await letters.find(
                query, offset=len(found), limit=_CHUNK_LETTERS, oldest_first=True
            )
            found += more
            if len(more) < _CHUNK_LETTERS:
                return _Choice(letters=found, reason=reason)
        left = max(0, await letters.count(query) - len(found))
        return _Choice(letters=found, left=left, reason=reason)
    ids = list(dict.fromkeys(body["ids"]))
    named = [letter for each in ids if (letter := await letters.get(each)) is not None]
    taken = [each for each in named if takes_parked or each.replays < limit]
    return _Choice(
        letters=taken,
        parked=len(named) - len(taken),
        unknown=len(ids) - len(named),
        reason=reason,
    )


def _check(body: dict[str, Any]) -> None:
    problems = reason_problems(body)
    problems += [(name, "no such field") for name in body if name not in _BODY_FIELDS]
    for name in ("all", "parked"):
        if not isinstance(body.get(name, False), bool):
            problems.append((name, "must be true or false"))
    ids = body.get("ids")
    if (ids is None) == (not body.get("all")):
        problems.append(("ids", 'give either "ids" or "all": true'))
    elif ids is not None and not _are_ids(ids):
        problems.append(("ids", f"must be a list of 1 to {MAX_IDS} letter ids"))
    chosen = body.get("filter")
    if chosen is not None and not isinstance(chosen, dict):
        problems.append(("filter", "must be an object"))
    elif chosen is not None and ids is not None:
        problems.append(("filter", 'goes with "all" only'))
    if problems:
        raise InvalidInput(problems)


def _are_ids(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_IDS
        and all(isinstance(each, str) and len(each) <= MAX_TEXT_CHARS for each in value)
    )


def _query(given: dict[str, Any]) -> LetterQuery:
    problems = [(f"filter.{name}", "no such field") for name in given if name not in _FILTER_FIELDS]
    for name, choices in (("kind", LetterKind), ("reason", LetterReason)):
        if given.get(name) is not None and given[name] not in list(choices):
            problems.append((f"filter.{name}", f"must be one of {', '.join(choices)}"))
    destination = given.get("destination")
    if destination is not None and not isinstance(destination, str):
        problems.append(("filter.destination", "must be text"))
    if problems:
        raise InvalidInput(problems)
    kind = given.get("kind")
    return LetterQuery(
        kind=None if kind is None else LetterKind(kind),
        reason=given.get("reason"),
        destination=destination,
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
