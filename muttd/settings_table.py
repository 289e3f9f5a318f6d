"""Settings as a table: how one declaration becomes a checked value.

    setting(default, text, unit=..., at_least=...)      in a frozen dataclass (settings.py)
      -> Row                                            rows_of(): name, kind, default, bounds
      -> Reader.value_of(row)                           a value, or one line in Reader.mistakes

A mistake never stops the reading: the operator sees all of them at once. No mistake quotes a value.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from muttd.secrets.files import credential_path, read_secret_file
from muttd.settings_values import PARSERS, Secret, Secrets, as_text

PREFIX = "MUTTD_"
_FILE = "_FILE"
_NEXT = "_NEXT"

T = TypeVar("T")


class DataclassInstance(Protocol):
    """Any dataclass; typeshed keeps its own name for it private."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]


class Source(enum.StrEnum):
    """Where a value came from."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    FILE = "file"
    CREDENTIAL = "credential"
    VAULT = "vault"


def setting(
    default: T,
    text: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    name: str | None = None,
) -> T:
    """Declare one setting.

    Args:
        default: Its value when nobody sets it; also what is shown as its default.
        text: A whole sentence: it is the documentation.
        unit: Of a number.
        at_least, at_most: Bounds of a number, both allowed.
        name: The environment name, where it does not follow from group and field.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "text": text,
            "unit": unit,
            "at_least": at_least,
            "at_most": at_most,
            "name": name,
        },
    )


def group(kind: Callable[[], T], prefix: str) -> T:
    """Declare a group of settings, whose names begin with prefix."""
    return dataclasses.field(default_factory=kind, metadata={"prefix": prefix})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One declared setting.

    Attributes:
        name: In the environment.
        path: In Settings, e.g. ("syslog", "idle_timeout_s").
        kind: The key of its parser.
    """

    name: str
    path: tuple[str, ...]
    kind: object
    default: object
    text: str
    unit: str
    at_least: float | None
    at_most: float | None

    @property
    def is_secret(self) -> bool:
        """Whether it may come from a file, and is never shown."""
        return self.kind in (Secret, Secrets)

    @property
    def rotates(self) -> bool:
        """Whether NAME_NEXT exists: a second one that is valid meanwhile."""
        return self.kind == Secrets and self.name.endswith(("_KEY", "_PASSWORD"))

    @property
    def names(self) -> tuple[str, ...]:
        """Every environment name that sets it."""
        names = (self.name, self.name + _NEXT) if self.rotates else (self.name,)
        return (*names, *(name + _FILE for name in names)) if self.is_secret else names

    @property
    def bounds(self) -> str:
        """Bounds and unit in words: "octets, at least 480"."""
        words = [self.unit] if self.unit else []
        if self.at_least is not None:
            words.append(f"at least {as_text(self.at_least)}")
        if self.at_most is not None:
            words.append(f"at most {as_text(self.at_most)}")
        return ", ".join(words)

    def bounds_problem(self, value: float) -> str | None:
        """What is wrong with a number that is out of bounds."""
        unit = f" {self.unit}" if self.unit else ""
        if self.at_least is not None and value < self.at_least:
            return f"must be at least {as_text(self.at_least)}{unit}"
        if self.at_most is not None and value > self.at_most:
            return f"must be at most {as_text(self.at_most)}{unit}"
        return None


def rows_of(
    kind: type[DataclassInstance], *, prefix: str = PREFIX, path: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Every setting declared in kind and its groups, in the order of declaration."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        here = (*path, field.name)
        if "prefix" in field.metadata:
            yield from rows_of(hints[field.name], prefix=field.metadata["prefix"], path=here)
        elif "text" in field.metadata:
            yield Row(
                name=field.metadata["name"] or prefix + field.name.upper(),
                path=here,
                kind=_without_none(hints[field.name]),
                default=field.default,
                **{key: field.metadata[key] for key in ("text", "unit", "at_least", "at_most")},
            )


def _without_none(hint: object) -> object:
    """`X | None` is parsed as an X: unset is how None is said."""
    arguments = typing.get_args(hint)
    return arguments[0] if type(None) in arguments else hint


class Reader:
    """Reads rows from an environment, and collects what is wrong with it.

    Args:
        environ: What is set, and where files are.
        vault: What Vault holds, by name; for secrets that are set nowhere else.

    Attributes:
        mistakes: One whole line each, beginning with the name.
        sources: By name of the row, where its value came from.
    """

    def __init__(self, environ: Mapping[str, str], vault: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._vault = vault or {}
        self.mistakes: list[str] = []
        self.sources: dict[str, Source] = {}

    def value_of(self, row: Row) -> object:
        """The row's value; its default when it is not set, or set wrongly."""
        self.sources[row.name] = Source.DEFAULT
        if not row.rotates:
            value = self._one(row, row.name)
            return row.default if value is None else value
        found = (self._one(row, name) for name in (row.name, row.name + _NEXT))
        return tuple(value for value in found if value is not None)

    def refuse_unknown(self, rows: Iterable[Row]) -> None:
        """Every MUTTD_ name that no row declares is a mistake: a typo must not pass in silence."""
        known = {name for row in rows for name in row.names}
        # Without the prefix: six letters that all names share make every name look near.
        tails = [name.removeprefix(PREFIX) for name in known]
        for name in sorted(self._environ):
            if not name.startswith(PREFIX) or name in known:
                continue
            near = difflib.get_close_matches(name.removeprefix(PREFIX), tails, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            self.mistakes.append(f"{name}: no such setting{hint}")

    def _one(self, row: Row, name: str) -> object:
        text, named = self._text_of(row, name)
        if not text:
            return None
        # The two keys of a rotation are two settings of one secret each.
        parse = PARSERS[Secret if row.rotates else row.kind]
        try:
            value = parse(text)
        except ValueError as exc:
            self.mistakes.append(f"{named}: {exc}")
            return None
        return value if self._within_bounds(row, value) else None

    def _within_bounds(self, row: Row, value: object) -> bool:
        if not isinstance(value, int | float):
            return True
        problem = row.bounds_problem(value)
        if problem is not None:
            self.mistakes.append(f"{row.name}: {problem}")
        return problem is None

    def _text_of(self, row: Row, name: str) -> tuple[str, str]:
        """The text that sets the name, and the name it was found under; an empty one is unset."""
        text = self._environ.get(name, "").strip()
        path = self._environ.get(name + _FILE, "").strip() if row.is_secret else ""
        if text and path:
            self.mistakes.append(f"{name}: set {name} or {name}{_FILE}, not both")
            return "", name
        if path:
            self.sources[row.name] = Source.FILE
            return self._secret_from(path, name + _FILE), name + _FILE
        if text:
            self.sources[row.name] = Source.ENVIRONMENT
            return text, name
        return self._text_from_elsewhere(row, name) if row.is_secret else ("", name)

    def _text_from_elsewhere(self, row: Row, name: str) -> tuple[str, str]:
        if (credential := credential_path(self._environ, name)) is not None:
            self.sources[row.name] = Source.CREDENTIAL
            return self._secret_from(str(credential), name), name
        text = self._vault.get(name, "").strip()
        if text:
            self.sources[row.name] = Source.VAULT
        return text, f"{name} in Vault" if text else name

    def _secret_from(self, path: str, name: str) -> str:
        try:
            return read_secret_file(path)
        except ValueError as exc:
            self.mistakes.append(f"{name}: {exc}")
            return ""
