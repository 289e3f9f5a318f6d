"""What a call of the API takes, as values: declared once, checked and documented by it.

    Q = text_param("q", "Text in the message, whatever its case.")        a Param or a Field
    given[Q]                                                              what the client gave

The same object parses (a mistake is told by its name), types the value for the handler, and is
written into /api/openapi.json. Params are in params.py, fields of JSON bodies in fields.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from muttd.errors import InvalidInput

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Declared(Generic[T_co]):
    """One thing that a client may give. Two of one name are two things: compared by identity.

    Attributes:
        name: As the client writes it.
        text: A whole sentence: it is the documentation.
        schema: Of its values, as JSON Schema 2020-12.
    """

    name: str
    text: str
    schema: JsonSchema


class Given:
    """What a client gave, parsed and valid, by what was declared."""

    def __init__(self, values: Mapping[Declared[Any], object]) -> None:
        self._values = values

    def __contains__(self, what: Declared[Any]) -> bool:
        return what in self._values

    def __getitem__(self, what: Declared[T]) -> T | None:
        """The value; None when the client gave none.

        Raises:
            KeyError: Nobody declared it for this call: a fault of ours.
        """
        return self._values[what]  # type: ignore[return-value]  # its own parse made it

    def required(self, what: Declared[T]) -> T:
        """The value of what a client must give, and has given."""
        value = self[what]
        assert value is not None, f"{what.name} is not required where it is declared"
        return value

    def period(
        self, start: Declared[datetime], end: Declared[datetime]
    ) -> tuple[datetime | None, datetime | None]:
        """Two moments.

        Raises:
            InvalidInput: The second is not later.
        """
        starts_at, ends_at = self[start], self[end]
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            raise InvalidInput([(end.name, f"must be later than {start.name}")])
        return starts_at, ends_at


@dataclass(frozen=True, slots=True)
class Body:
    """The body that a call takes.

    Attributes:
        contents: What it may be declared as, and the schema of each.
        is_required: Whether the call needs one.
    """

    contents: Mapping[str, JsonSchema]
    is_required: bool = True


def json_body(schema: JsonSchema) -> Body:
    """A JSON body that must be there."""
    return Body({"application/json": schema})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answers when it goes well.

    Attributes:
        status: The HTTP status.
        content: The type of the JSON: whatever msgspec can describe. None: no body.
        list_name: The items of a list are under this key, with the pagination beside them.
        media_type: Of the body.
        headers: Names of response headers that a client may count on, each with its sentence.
    """

    status: int
    content: Any
    list_name: str | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def ok(content: Any, *, media_type: str = "application/json") -> Answer:  # noqa: ANN401 - any type form
    """200, with JSON of this type."""
    return Answer(200, content, media_type=media_type)


def list_of(name: str, item: Any) -> Answer:  # noqa: ANN401 - any type form
    """200, with one page of a list; see responses.list_response."""
    return Answer(200, item, list_name=name)


def made(content: Any) -> Answer:  # noqa: ANN401 - any type form
    """201, with the new record; see responses.created."""
    return Answer(201, content, headers={"Location": "The path of the new record."})


GONE = Answer(204, None)
