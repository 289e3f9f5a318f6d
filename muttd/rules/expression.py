"""Operators' regular expressions: compiled by RE2, refused with a place and a reason.

RE2 and nothing else says what an expression means, because its time is linear in the text: no
expression, however it is written, can stall intake. Everything faster only chooses which
expressions are worth asking (literals.py, compile.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import re2

# RE2's time is linear in text times program. 5 000 instructions on the longest message that
# syslog carries (8192 octets) stay under 50 ms even where RE2 has to leave its DFA; a counted
# repetition such as .{0,1000} alone has 9 000, .{0,255} 2 300.
MAX_PROGRAM_INSTRUCTIONS = 5000


class Expression(Protocol):
    """What we use of a compiled expression."""

    def search(self, text: bytes) -> object | None:
        """Whether the text, in UTF-8, holds a match."""
        ...


class BadExpression(ValueError):
    """An expression that is refused; the text says where, if that is known, and why."""


# RE2 keeps an automaton per expression that grows with the texts it meets: ten thousand of them
# must fit into memory. What outgrows this is searched for more slowly, see above.
_MAX_EXPRESSION_OCTETS = 1 << 20


# Kept over reloads: a changed rule must not cost the compilation of ten thousand others.
@lru_cache(maxsize=50_000)
def compiled(pattern: str, *, dot_nl: bool = False) -> Expression:
    """Compile an expression that was validated. Case-insensitive unless it says (?-i).

    Raises:
        BadExpression: It is not one that validate would have taken.
    """
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.max_mem = _MAX_EXPRESSION_OCTETS
    options.dot_nl = dot_nl
    # Its complaint goes into our exception, not to the daemon's standard error.
    options.log_errors = False
    try:
        regexp = re2.compile(pattern, options)
    except re2.error as exc:
        raise BadExpression(_explained(pattern, exc.args[0].decode())) from exc
    if regexp.programsize > MAX_PROGRAM_INSTRUCTIONS:
        raise BadExpression(
            f"too large: it compiles to {regexp.programsize} instructions, at most"
            f" {MAX_PROGRAM_INSTRUCTIONS} are allowed; shorten the counted repetitions"
        )
    expression: Expression = regexp
    return expression


def check_expression(pattern: str) -> None:
    """Refuse what must not become a rule.

    Raises:
        BadExpression: RE2 refuses it, it is too large, or it matches everything.
    """
    if compiled(pattern).search(b"") is not None:
        raise BadExpression(
            "matches the empty text, so it would match every event; "
            "for that leave match_string out and state a condition"
        )


# What operators who know PCRE or Python write, by how it starts, and what to tell them.
_FOREIGN = (
    ("(?=", "lookahead is not supported, because matching time must stay linear"),
    ("(?!", "negative lookahead is not supported, because matching time must stay linear"),
    ("(?<=", "lookbehind is not supported, because matching time must stay linear"),
    ("(?<!", "negative lookbehind is not supported, because matching time must stay linear"),
    ("(?>", "atomic groups are not supported and not needed: nothing backtracks"),
    ("(?#", "comments are not supported; use the rule's reason"),
    ("(?P=", "backreferences are not supported, because matching time must stay linear"),
    ("(?P>", "subroutine calls are not supported"),
    ("(?x", "the verbose flag x is not supported"),
    ("\\k", "backreferences are not supported, because matching time must stay linear"),
    ("\\Z", "\\Z is not supported; write \\z or $ for the end of the text"),
    ("\\h", "\\h is not supported; write [ \\t]"),
    ("\\R", "\\R is not supported; write \\r?\\n"),
    ("\\K", "\\K is not supported and not needed: only whether it matches counts"),
    ("\\G", "\\G is not supported; there is one search per event"),
)


def _explained(pattern: str, complaint: str) -> str:
    # RE2 says "reason: piece"; the piece is what stands at the fault, or for parentheses and
    # brackets what stands from there (or from the beginning) to the end.
    reason, _, piece = complaint.partition(": ")
    at = _offset_of(pattern, reason, piece)
    if at is None:
        return complaint
    for start, advice in _FOREIGN:
        if pattern.startswith(start, at):
            return f"at position {at}: {advice}"
    if pattern[at] == "\\" and pattern[at + 1 : at + 2].isdigit():
        advice = "backreferences are not supported, because matching time must stay linear"
        return f"at position {at}: {advice}"
    if piece in ("++", "*+", "?+"):
        return f"at position {at}: possessive repetition is not supported and not needed"
    return f"at position {at}: {reason}" + (f" {piece!r}" if piece != pattern else "")


def _offset_of(pattern: str, reason: str, piece: str) -> int | None:
    if reason == "trailing \\":
        return len(pattern) - 1
    open_groups: list[int] = []
    for at, in_class in _tokens(pattern):
        token = pattern[at]
        if reason in ("missing )", "unexpected )"):
            if in_class:
                continue
            if token == "(":
                open_groups.append(at)
            elif token == ")":
                if not open_groups:
                    return at
                open_groups.pop()
        elif reason == "missing ]":
            return len(pattern) - len(piece)
        elif in_class and piece[:1] in ("*", "+", "?", "{", "("):
            continue
        elif piece == "(?P" and pattern[at + 3 : at + 4] == "<":
            # A group with a name is fine; RE2 means (?P= or (?P>.
            continue
        elif piece and pattern.startswith(piece, at):
            return at
    return open_groups[-1] if open_groups else None


def _tokens(pattern: str) -> Iterator[tuple[int, bool]]:
    """Offsets at which something begins, escapes in one piece; and whether inside [...]."""
    at, in_class, quoted = 0, False, False
    while at < len(pattern):
        two = pattern[at : at + 2]
        if quoted or (two == "\\Q" and not in_class):
            quoted = two != "\\E"
            at += 1 if quoted and two != "\\Q" else 2
            continue
        yield at, in_class
        if two[0] == "\\":
            at += 2
        elif in_class:
            in_class = two[0] != "]"
            at += 1
        elif two[0] == "[":
            in_class = True
            # A bracket that comes first stands for itself: []a], [^]a].
            at += 1 + (pattern[at + 1 : at + 2] == "^")
            at += pattern[at : at + 1] == "]"
        else:
            at += 1
