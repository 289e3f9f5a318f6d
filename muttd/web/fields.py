"""JSON bodies: fields that are declared, read once and checked whole.

    ENTRY = ObjectBody(text_field("hostname", "...", is_required=True), REASON)
    @call("Add a host.", body=ENTRY.body, ...)
    async def add(request): given = await ENTRY.read(request); given.required(HOSTNAME)

A body whose rules say more than its fields (a rule) declares json_body(schema) of whoever
validates it, and is read by read_object.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from muttd.errors import InvalidInput
from muttd.store.contract import Change
from muttd.web.declared import Body, Declared, Given, JsonSchema, json_body
from muttd.web.params import MAX_ID, MAX_TEXT_CHARS

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)

# A rule has some hundred octets. Ingest has a limit of its own.
MAX_OBJECT_OCTETS = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Field(Declared[T]):
    """One field of a JSON object. parse raises ValueError, which says what is wrong.

    Attributes:
        is_required: It must be there. A field that need not be there may be null.
    """

    parse: Callable[[Any], T]
    is_required: bool = False


def text_field(
    name: str, text: str, *, at_most: int = MAX_TEXT_CHARS, is_required: bool = False
) -> Field[str]:
    """Text without NUL; where it is required it must not be blank."""
    pattern = r"^[^\x00]*[^\x00\s][^\x00]*$" if is_required else r"^[^\x00]*$"
    schema = {"type": "string", "maxLength": at_most, "pattern": pattern}

    def parse(value: object) -> str:
        if not isinstance(value, str) or (is_required and not value.strip()):
            raise ValueError(
                "must be text, and not empty" if is_required else "must be text or null"
            )
        if len(value) > at_most or "\0" in value:
            raise ValueError(f"must be at most {at_most} characters without NUL")
        return value

    return Field(name, text, schema, parse, is_required)


def integer_field(
    name: str, text: str, *, at_least: int = 0, at_most: int = MAX_ID, is_required: bool = False
) -> Field[int]:
    """A whole number within bounds."""
    schema = {"type": "integer", "minimum": at_least, "maximum": at_most}

    def parse(value: object) -> int:
        # JSON has one kind of number: 3.0 is a whole one (JSON Schema, 6.1.1).
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if not at_least <= value <= at_most:
            raise ValueError(f"must be between {at_least} and {at_most}")
        return value

    return Field(name, text, schema, parse, is_required)


def boolean_field(name: str, text: str, *, is_required: bool = False) -> Field[bool]:
    """Either true or false."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value

    return Field(name, text, {"type": "boolean"}, parse, is_required)


def choice_field(name: str, text: str, choices: type[E], *, is_required: bool = False) -> Field[E]:
    """One of an enumeration's values, whatever their case."""
    schema = {"type": "string", "enum": [each.value for each in choices]}

    def parse(value: object) -> E:
        for each in choices:
            if isinstance(value, str) and each.value.casefold() == value.casefold():
                return each
        raise ValueError(f"must be one of {', '.join(choices)}")

    return Field(name, text, schema, parse, is_required)


def list_field(
    of: Field[T], text: str, *, name: str, at_most: int, is_required: bool = False
) -> Field[list[T]]:
    """A list of what `of` says each item is, and not empty."""
    schema = {"type": "array", "items": of.schema, "minItems": 1, "maxItems": at_most}

    def parse(value: object) -> list[T]:
        if not isinstance(value, list) or not 1 <= len(value) <= at_most:
            raise ValueError(f"must be a list of 1 to {at_most}")
        return [of.parse(each) for each in value]

    return Field(name, text, schema, parse, is_required)


def object_field(name: str, text: str, of: ObjectBody) -> Field[Given]:
    """An object with fields of its own; a mistake in it is told as "name.field"."""
    return Field(name, text, of.schema, lambda value: of.parse(value, within=f"{name}."))


CHANGE_REASON = text_field("change_reason", "Why, for the audit of the configuration.")


class ObjectBody:
    """A JSON object of these fields and no others.

    Args:
        fields: In the order of the documentation.
    """

    def __init__(self, *fields: Field[Any]) -> None:
        self._fields = {field.name: field for field in fields}

    @property
    def schema(self) -> JsonSchema:
        """Of the object."""
        return object_schema(self._fields)

    @property
    def body(self) -> Body:
        """For the declaration of the call."""
        return json_body(self.schema)

    async def read(self, request: Request) -> Given:
        """The request's body.

        Raises:
            InvalidInput: Every field that is missing, wrong or unknown.
            HTTPException: See read_object.
        """
        return self.parse(await read_object(request))

    def parse(self, values: object, *, within: str = "") -> Given:
        """The fields of an object that was read; mistakes are told with `within` before the field.

        Raises:
            ValueError: It is no object.
            InvalidInput: As read.
        """
        if not isinstance(values, dict):
            raise ValueError("must be an object")
        problems: list[tuple[str, str]] = []
        parsed: dict[Declared[Any], object] = {}
        for field in self._fields.values():
            value = values.get(field.name)
            parsed[field] = None
            if value is None and field.name in values and not field.is_required:
                continue
            try:
                if field.name in values:
                    parsed[field] = field.parse(value)
                elif field.is_required:
                    problems.append((within + field.name, "is missing"))
            except ValueError as exc:
                problems.append((within + field.name, str(exc)))
            except InvalidInput as exc:
                problems += exc.problems
        for name in values.keys() - self._fields.keys():
            near = difflib.get_close_matches(name, self._fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append((within + name[:MAX_TEXT_CHARS], f"no such field{hint}"))
        if problems:
            raise InvalidInput(sorted(problems))
        return Given(parsed)


def object_schema(fields: Mapping[str, Field[Any]]) -> JsonSchema:
    """The schema of an object of these fields."""
    properties: dict[str, object] = {}
    for field in fields.values():
        described = {"description": field.text}
        if field.is_required:
            properties[field.name] = {**field.schema, **described}
        else:
            properties[field.name] = {"anyOf": [field.schema, {"type": "null"}], **described}
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields.values() if field.is_required],
        "additionalProperties": False,
    }


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        InvalidInput: The body is no JSON object.
        HTTPException: 415, not declared as JSON; 413, longer than MAX_OBJECT_OCTETS.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_OBJECT_OCTETS:
                raise HTTPException(413, f"The body is longer than {MAX_OBJECT_OCTETS} octets.")
    try:
        values = msgspec.json.decode(bytes(body))
    except RecursionError as exc:
        raise InvalidInput([("body", "is nested too deeply")]) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidInput([("body", f"is not JSON: {exc}")]) from exc
    if not isinstance(values, dict):
        raise InvalidInput([("body", "must be a JSON object")])
    return values


def reason_problems(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with the change_reason of a body that is no ObjectBody."""
    try:
        if values.get(CHANGE_REASON.name) is not None:
            CHANGE_REASON.parse(values[CHANGE_REASON.name])
    except ValueError as exc:
        return [(CHANGE_REASON.name, str(exc))]
    return []


def change_of(request: Request, reason: str | None) -> Change:
    """Who changes what this request changes."""
    return Change(
        actor=request.state.principal.name,
        reason=reason or None,
        correlation_id=request.state.correlation_id,
    )
