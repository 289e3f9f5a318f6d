r"""What a text must hold for an expression to match it: literals, read off the expression.

    %LINK-\d-(UP|DOWN)DOWN: .*Gi0/1   ->   {%link-}, {up, down}, {down: } and {gi0/1}

Thousands of expressions are searched for by their literals in one pass, and only those whose
literal is there are tried. The reader is cautious: where it does not understand, it knows of no
literal, and that is never wrong.

Only ASCII is read off. RE2 folds k with the Kelvin sign and s with the long s, and so does
str.casefold(), which both the literals and the text went through; nothing else folds onto ASCII.
"""

from __future__ import annotations

import re

# Deeper than anybody nests by hand, and far from Python's recursion limit.
_MAX_DEPTH = 20
# An alternation with more branches than this is not worth as many literals.
_MAX_ALTERNATIVES = 16

_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(?:,\d*)?\})\??")
_GROUP_HEAD = re.compile(r"\?(?:P?<\w+>|[imsU-]*:)")
_FLAGS = re.compile(r"\?[imsU-]+\)")
# Escapes whose meaning is not one literal character, or is longer than two characters.
_CLASS_ESCAPE = re.compile(r"\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{1,3}|[^\W_])")
_CLASS_END = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)

# All of these must hold; each holds when one of its literals is in the folded text.
Requirements = list[frozenset[str]]


class _NotUnderstood(Exception):
    """The expression uses something that this reader does not know."""


def required_literals(pattern: str) -> Requirements:
    """Read off an expression that RE2 accepts what its matches must hold.

    Returns:
        The requirements, casefolded; empty when none is known.
    """
    reader = _Reader(pattern)
    try:
        requirements = reader.alternation(0)
    except _NotUnderstood:
        return []
    return requirements if reader.at == len(pattern) else []


class _Reader:
    """Recursive descent over one expression."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def alternation(self, depth: int) -> Requirements:
        """Branches up to ")" or the end."""
        if depth > _MAX_DEPTH:
            raise _NotUnderstood
        branches = [self._concatenation(depth)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._concatenation(depth))
        if len(branches) == 1:
            return branches[0]
        # Any branch may be the one: take the best literal of each, if each has one.
        if not all(branches) or len(branches) > _MAX_ALTERNATIVES:
            return []
        together = frozenset().union(*(max(branch, key=worth) for branch in branches))
        return [together] if len(together) <= _MAX_ALTERNATIVES else []

    def _concatenation(self, depth: int) -> Requirements:
        found: Requirements = []
        run: list[str] = []

        def end_run() -> None:
            if run:
                found.append(frozenset({"".join(run).casefold()}))
                run.clear()

        while self._peek() not in ("", "|", ")"):
            literal, inner = self._atom(depth)
            repeat = _REPEAT.match(self._pattern, self.at)
            if repeat is None:
                if literal is None:
                    end_run()
                    found += inner
                else:
                    run.append(literal)
                continue
            self.at = repeat.end()
            optional = repeat[0][0] in "*?" or int(repeat[1] or "1") == 0
            if not optional:
                # ab+c holds "ab" and "c", but not "abc".
                if literal is not None:
                    run.append(literal)
                else:
                    end_run()
                    found += inner
            end_run()
        end_run()
        return found

    def _atom(self, depth: int) -> tuple[str | None, Requirements]:
        """One literal character, or what a group requires."""
        first = self._peek()
        if first == "(":
            return None, self._group(depth)
        if first == "[":
            self._skip(_CLASS_END)
        elif first == "\\":
            if self._pattern[self.at + 1 : self.at + 2] in ("Q", "E", "C"):
                raise _NotUnderstood
            if _CLASS_ESCAPE.match(self._pattern, self.at) is not None:
                self._skip(_CLASS_ESCAPE)
            else:
                self.at += 2
                return self._ascii(self._pattern[self.at - 1]), []
        else:
            self.at += 1
            if first not in ".^$":
                return self._ascii(first), []
        return None, []

    def _group(self, depth: int) -> Requirements:
        self.at += 1
        if self._peek() == "?":
            flags = _FLAGS.match(self._pattern, self.at)
            if flags is not None:
                self.at = flags.end()
                return []
            self._skip(_GROUP_HEAD)
        inner = self.alternation(depth + 1)
        if self._peek() != ")":
            raise _NotUnderstood
        self.at += 1
        return inner

    def _skip(self, what: re.Pattern[str]) -> None:
        match = what.match(self._pattern, self.at)
        if match is None:
            raise _NotUnderstood
        self.at = match.end()

    def _peek(self) -> str:
        return self._pattern[self.at : self.at + 1]

    @staticmethod
    def _ascii(character: str) -> str | None:
        return character if character.isascii() else None


def worth(alternatives: frozenset[str]) -> tuple[int, int]:
    """How much a requirement narrows: by its shortest literal, then by how few there are."""
    return min(map(len, alternatives)), -len(alternatives)
