"""jinja2's sandbox, with bounds: no expression fills the memory, nor takes for ever.

    'x' * 10**10      ns.text ~ ns.text, over and over      {{ 'x' | center(10**10) }}
    (9**9)**9         two loops, one in the other           '%10000000000d' | format(1)

jinja2 keeps a template away from Python's insides; how much it makes there is its own affair.
Here no text is longer than MAX_CHARS, no number has more than MAX_BITS, and nobody loops or calls
more often than MAX_STEPS while one text is made.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sized

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

MAX_CHARS = 4 * 1024 * 1024
MAX_BITS = 4096
MAX_STEPS = 200_000

# Methods that make much of little. For most of them there is a filter, which is bounded.
_GROWING = {"center", "encode", "expandtabs", "format", "format_map", "join", "ljust"}
_GROWING |= {"replace", "rjust", "to_bytes", "translate", "zfill"}
# Width and precision of "%*.7d".
_WIDTHS = re.compile(r"\*|\d+")


class TooMuch(SecurityError):
    """A template wants more than it gets."""


def _check(size: float, most: float = MAX_CHARS) -> None:
    if size > most:
        raise TooMuch("more than a template may make")


def _times(left: object, right: object) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Sized) and isinstance(other, int):
            _check(len(one) * other)
    if isinstance(left, int) and isinstance(right, int):
        _check(left.bit_length() + right.bit_length(), MAX_BITS)


def _power(left: object, right: object) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check(left.bit_length() * right, MAX_BITS)


def _plus(left: object, right: object) -> None:
    if isinstance(left, Sized) and isinstance(right, Sized):
        _check(len(left) + len(right))


def _percent(left: object, right: object) -> None:
    if isinstance(left, str):
        _format(left, right)


def _format(text: object, *values: object, **_: object) -> None:
    widths = _WIDTHS.findall(str(text))
    _check(sum(MAX_CHARS + 1 if width == "*" else int(width) for width in widths))
    _check(sum(len(str(value)) for value in values) + len(str(text)))


def _replace(_: object, text: object, old: object, new: object, *__: object) -> None:
    texts = str(text)
    _check(len(texts) + texts.count(str(old)) * len(str(new)))


def _indent(text: object, width: object = 4, *_: object, **__: object) -> None:
    columns = width if isinstance(width, int) else len(str(width))
    _check(len(str(text)) + (str(text).count("\n") + 1) * columns)


def _wordwrap(_: object, text: object, *__: object, **given: object) -> None:
    _check(len(str(text)) * max(1, len(str(given.get("wrapstring") or ""))))


def _number(_: object, number: object = 0, *__: object, **given: object) -> None:
    for each in (number, *given.values()):
        if isinstance(each, int):
            _check(abs(each), MAX_BITS)


def _slice(_: object, *args: object, **given: object) -> None:
    _number(*args, **given)


def _join(_: object, parts: object, separator: object = "", *__: object, **given: object) -> None:
    if isinstance(parts, Sized):
        _check(len(parts) * len(str(given.get("d", separator))))


_OPERATORS: dict[str, Callable[[object, object], None]] = {
    "*": _times,
    "**": _power,
    "+": _plus,
    "%": _percent,
}
# What a filter would make, from its arguments; some are given the environment first.
_FILTERS: dict[str, Callable[..., None]] = {
    "batch": _number,
    "center": _number,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _number,
    "slice": _slice,
    "wordwrap": _wordwrap,
}


class _Compiler(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Where templates are compiled and run; one at a time.

    Args:
        filters: Besides those of jinja2, or in place of one.
    """

    intercepted_binops = frozenset(_OPERATORS)
    code_generator_class = _Compiler

    def __init__(self, filters: Mapping[str, Callable[..., object]]) -> None:
        super().__init__(
            autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
        )
        self._steps_left = 0
        self.globals["range"] = self._range
        # Latin without end.
        del self.globals["lipsum"]
        for name, function in {**self.filters, **filters}.items():
            self.filters[name] = _bounded(function, _FILTERS.get(name))

    def begin(self) -> None:
        """A text is about to be made: its steps are counted from here on."""
        self._steps_left = MAX_STEPS

    def concat(self, parts: Iterable[str]) -> str:
        """What a block or a macro has made."""
        made = list(parts)
        _check(sum(map(len, made)))
        return "".join(made)

    def joined(self, parts: Iterable[object]) -> str:
        """What ~ makes."""
        return self.concat(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """An operator, if what it makes is not too much."""
        _OPERATORS[operator](left, right)
        return super().call_binop(context, operator, left, right)

    def call(
        __self,  # a template may give an argument that is called self
        __context: Context,
        __obj: object,
        *args: object,
        **kwargs: object,
    ) -> object:
        """A call, if there were not too many."""
        __self._step(1)
        return super().call(__context, __obj, *args, **kwargs)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether a template may have it."""
        is_growing = isinstance(obj, str | bytes | int) and attr in _GROWING
        return not is_growing and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: object) -> None:
        """Nothing: "{:9999999999}".format is no safe attribute here."""
        return

    def _range(self, *bounds: int) -> range:
        made = safe_range(*bounds)
        self._step(len(made))
        return made

    def _step(self, count: int) -> None:
        self._steps_left -= count
        if self._steps_left < 0:
            raise TooMuch(f"more than {MAX_STEPS} steps")


def _bounded(
    function: Callable[..., object], check: Callable[..., None] | None
) -> Callable[..., object]:
    # wraps: jinja2 notes on the function that it wants the environment.
    @functools.wraps(function)
    def bounded(*args: object, **kwargs: object) -> object:
        if check is not None:
            check(*args, **kwargs)
        made = function(*args, **kwargs)
        if isinstance(made, str):
            _check(len(made))
        return made

    return bounded
