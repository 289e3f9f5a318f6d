r"""An env file as systemd's EnvironmentFile= and docker's env_file read it: octets become names.

    # comment            ; comment
    NAME=value           export NAME=value
    NAME="a \"b\""       NAME='as it stands'
    NAME=begun \
    continued

A name that is set twice has its last value. Pure: opens no file.
"""

from __future__ import annotations

import re

from muttd.errors import InvalidInput

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", flags=re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\$`])')
# A comment behind a value is dotenv's; systemd has none. Only behind a blank: "a#b" is a value.
_TRAILING_COMMENT = re.compile(r"\s+#.*\Z", flags=re.DOTALL)


def read_env(text: str) -> dict[str, str]:
    """Names and values, in the order of the file.

    Raises:
        InvalidInput: A line is neither; every such line is named by its number, none is quoted.
    """
    values: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for number, line in _logical_lines(text):
        if not line or line[0] in "#;":
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:
            problems.append((f"line {number}", "is no NAME=VALUE"))
            continue
        values[found[1]] = _unquoted(found[2])
    if problems:
        raise InvalidInput(problems)
    return values


def without_comment(value: str) -> str:
    """The value without what dotenv takes for a comment; for values that are no secrets."""
    return _TRAILING_COMMENT.sub("", value)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        if line.endswith("\\") and not line.lstrip().startswith(("#", ";")):
            begun += line[:-1]
            continue
        lines.append((first, (begun + line).strip()))
        begun, first = "", 0
    if begun:
        lines.append((first, begun.strip()))
    return lines


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value
