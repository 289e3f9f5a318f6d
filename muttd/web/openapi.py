"""The OpenAPI 3.1 document, made of what the routes declare (resource.py). Pure.

    Resource --calls--> operations --types--> components by msgspec

Pages, static files and the websocket are no part of it: they are not called by programs, or are
not HTTP. Nothing is written here that a route does not say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route

import muttd
from muttd.web.auth import CSRF_HEADER, KEY_HEADER, SESSION_COOKIE
from muttd.web.declared import Answer
from muttd.web.params import Param
from muttd.web.resource import EVERYONE, Call, Resource
from muttd.web.responses import STATUS_CODES, ErrorBody, Pagination

_IN_BRACES = re.compile(r"{([a-z_]+)(?::[a-z]+)?}")
_COMPONENTS = "#/components/schemas/{name}"
_ABOUT = (
    "The API of muttd. /api/v1/... answers the same as /api/v2/..., with X-API-Deprecated: true."
    " Times are ISO 8601 in UTC. A list is read by page and limit, or by cursor for deep reads."
    " Every error has one shape. Live events come over the websocket /api/v2/live."
)


def openapi_document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document of these routes."""
    declared = [
        (route, method, call)
        for route in routes
        if isinstance(route, Route) and isinstance(route.endpoint, Resource)
        for method, call in route.endpoint.calls.items()
        # HEAD is GET without the body (RFC 9110, 9.3.2).
        if method != "HEAD"
    ]
    contents = [answer.content for _, _, call in declared for answer in call.answers]
    types = [content for content in contents if content is not None]
    # str and the like have no component; msgspec says what each of the others is called.
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorBody, Pagination], ref_template=_COMPONENTS
    )
    names = iter(schemas)
    by_content = [None if content is None else next(names) for content in contents]
    paths: dict[str, dict[str, Any]] = {}
    described = iter(by_content)
    for route, method, call in declared:
        answers = [(answer, next(described)) for answer in call.answers]
        operation = _operation(route.path, method, call, answers)
        paths.setdefault(_IN_BRACES.sub(r"{\1}", route.path), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "muttd", "version": muttd.__version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(schema) for name, schema in sorted(components.items())},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": f"A signed-in browser; changes carry {CSRF_HEADER} as well.",
                },
            },
        },
    }


def _operation(
    path: str, method: str, call: Call, answers: Iterable[tuple[Answer, Any]]
) -> dict[str, Any]:
    in_path = set(_IN_BRACES.findall(path))
    allowed = call.who_may(method)
    name = call.handler.__name__
    operation: dict[str, Any] = {
        "operationId": name if path.startswith("/api/") or name != "ingest" else f"{name}_alias",
        "summary": call.summary,
        "tags": [call.handler.__module__.rpartition(".")[2]],
        "parameters": [_parameter(param, param.name in in_path) for param in call.params],
        "responses": {**_answers(answers), **_errors(call, in_path, allowed is EVERYONE)},
        "security": [] if allowed is EVERYONE else [{"key": []}, {"session": []}],
    }
    if allowed is not EVERYONE:
        operation["x-roles"] = [role.name.lower() for role in sorted(allowed)]
    if call.body is not None:
        operation["requestBody"] = {
            "required": call.body.is_required,
            "content": {
                media_type: {"schema": schema} for media_type, schema in call.body.contents.items()
            },
        }
    return operation


def _parameter(param: Param[Any], is_in_path: bool) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": "path" if is_in_path else "query",
        "required": is_in_path,
        "description": param.text,
        "schema": param.schema,
    }


def _answers(answers: Iterable[tuple[Answer, Any]]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer, schema in answers:
        response = responses.setdefault(str(answer.status), {"description": "It went well."})
        if answer.status >= 400:
            response["description"] = "It is not well; the body says what."
        if schema is not None:
            of_list = _list_schema(answer.list_name, schema) if answer.list_name else schema
            content = response.setdefault("content", {})
            content[answer.media_type] = {"schema": _tidy(of_list)}
        if answer.headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in answer.headers.items()
            }
    return responses


def _errors(call: Call, in_path: set[str], is_open: bool) -> dict[str, Any]:
    statuses = {400, *call.errors}
    statuses |= set() if is_open else {401, 403, 429, 503}
    statuses |= {404} if in_path else set()
    statuses |= set() if call.body is None else {413, 415}
    statuses -= {answer.status for answer in call.answers}
    schema = {"$ref": _COMPONENTS.format(name=ErrorBody.__name__)}
    return {
        str(status): {
            "description": STATUS_CODES[status].replace("_", " "),
            "content": {"application/json": {"schema": schema}},
        }
        for status in sorted(statuses)
    }


def _list_schema(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        name: {"type": "array", "items": item},
        "pagination": {"$ref": _COMPONENTS.format(name=Pagination.__name__)},
        "next_cursor": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _tidy(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema that promises no more keys than there are, described by one paragraph."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value) for key, value in schema.items()}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = tidy["description"].partition("\n\n")[0]
    if isinstance(tidy.get("properties"), dict) and tidy.get("type") == "object":
        tidy.setdefault("additionalProperties", False)
    return tidy
