"""The reference of the API for a person, made of the OpenAPI document: docs/api.md.

script/generate writes it; a test holds it to the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

_HEAD = """\
# The API

Every call of the daemon, generated from the declarations that check its requests. The same for
programs: `GET /api/openapi.json` (OpenAPI 3.1), with the schema of every body and answer.

- **Who**: send an API key in `X-API-KEY`, never in the URL. Roles and keys:
  [operations](operations.md#keys-and-sessions). A browser's session may call too; its changes
  need `X-CSRF-Token`.
- **Versions**: `/api/v1/...` answers as `/api/v2/...`, with `X-API-Deprecated: true`. Every
  answer carries `X-API-Version` and `X-API-Supported-Versions`. A client may insist on a
  version by `Accept-Version`, else `X-API-Version`, else the parameter `api_version`; one that
  is not spoken is a 400.
- **Lists** take `page` and `limit` (at most 200) and answer `{"NAME": [...], "pagination":
  {"page", "limit", "total", "pages"}, "next_cursor"}`; `cursor=next_cursor` reads on from there
  and stays cheap at any depth.
- **Errors** have one shape: `{"error": code, "message": text, "correlation_id": id, "details":
  [{"field", "message"}]}`, with every wrong field at once. 401 nobody we know, 403 not allowed,
  429 and 503 with `Retry-After`.
- **Times** are ISO 8601 in UTC. `X-Correlation-ID`, if it is fit to be kept, is on the answer,
  in the log and in the audit.
- **Live events** come over the websocket `/api/v2/live`, for viewers; [the page](web.md) and
  `muttd tail` use it.
"""

_WINDOW = ("page", "limit", "cursor")


def render_reference(document: Mapping[str, Any]) -> str:
    """docs/api.md."""
    operations = [
        (operation["tags"][0], f"{method.upper()} {path}", operation)
        for path, by_method in document["paths"].items()
        for method, operation in by_method.items()
    ]
    # Sorted by tag, and in the order of the routes within one.
    operations.sort(key=lambda each: each[0])
    lines = [_HEAD]
    for tag, group in groupby(operations, key=lambda each: each[0]):
        lines.append(f"## {tag.replace('_', ' ').capitalize()}\n")
        for _, name, operation in group:
            lines += _operation(name, operation)
    return "\n".join(lines).rstrip() + "\n"


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    roles = operation.get("x-roles")
    who = ", ".join(roles) if roles else "anybody"
    yield f"### `{name}`\n"
    yield f"{operation['summary']} For: {who}. Answers {', '.join(operation['responses'])}.\n"
    parameters = operation["parameters"]
    rows = [_parameter(each) for each in parameters if each["name"] not in _WINDOW]
    if any(each["name"] in _WINDOW for each in parameters):
        rows.append("- `page`, `limit`, `cursor`: as every list.")
    schema = _body(operation)
    rows += [
        f"- body `{field}`{' (required)' if field in schema.get('required', ()) else ''}"
        + (f": {each['description']}" if "description" in each else "")
        for field, each in schema.get("properties", {}).items()
        if each.get("description") != "Ours; passed over."
    ]
    if rows:
        yield from rows
        yield ""


def _parameter(parameter: Mapping[str, Any]) -> str:
    values = [each for each in parameter["schema"].get("enum", ()) if each != ""]
    which = f" One of {', '.join(values)}." if values else ""
    return f"- `{parameter['name']}` ({parameter['in']}): {parameter['description']}{which}"


def _body(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    contents = operation.get("requestBody", {}).get("content", {})
    schema: Mapping[str, Any] = contents.get("application/json", {}).get("schema", {})
    # Of several forms the first one is the plain one.
    first: Mapping[str, Any] = schema.get("anyOf", [schema])[0]
    return first
