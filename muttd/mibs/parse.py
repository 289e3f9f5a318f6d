"""The text of MIB modules -> Module, by pysmi's grammar: SMIv1 (RFC 1212), SMIv2 (RFC 2578).

Vendors' texts are seldom right in every point, so the relaxed grammar is the one that is used for
all of them. Slow and hungry: parser_process.py runs it, apart from the daemon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from itertools import islice
from typing import Any

from pysmi.error import PySmiError
from pysmi.parser.dialect import smi_v1_relaxed
from pysmi.parser.smi import parserFactory

from muttd.mibs.module import LANGUAGE_MODULES, Definition, Module, Oid, Parsed, Syntax
from muttd.protocol.mib import NOTIFICATION, OBJECT

# A word is looked at from its first character only, and nothing is given back (++, *+): a text of
# one word of megabytes would take hours otherwise.
_BEGINNING = re.compile(
    r"(?<![\w-])([a-zA-Z][\w-]*+)[^\w{]*+(?:\{[^{}]*+\}\s*+)?\bDEFINITIONS\s*+::=\s*+BEGIN\b"
)
# Of the annotations that NMS vendors agreed on, the one that says what no MIB says otherwise.
_ANNOTATION = re.compile(
    r"(?<![\w-])([a-zA-Z][\w-]*+)\s++(?:TRAP-TYPE|NOTIFICATION-TYPE)\b"
    r"|--#SEVERITY\s++\"?([A-Za-z]+)"
)
# What people read, and the parser need not: nine tenths of a text. A comment ends with its line,
# as net-snmp has it and vendors write it; by X.680, 12.6.3, the next "--" would end it too.
_PROSE = re.compile(r'(DISPLAY-HINT\s*)?("[^"]*(?:""[^"]*)*")|--[^\n]*')
# As the grammar has them. The parser takes some 8 us for each, whatever it is; the largest of
# vendors' texts have 5 000 objects of 25 words.
_WORD = re.compile(r'[\w-]+|::=|""|[^\w\s]')
_MAX_WORDS = 500_000
# From these words pysmi skips to their end, and where there is none it looks through all the rest
# for each of them, 40 ms of four megabytes. But for the texts of SMI itself, which are not parsed,
# a module has one EXPORTS at most.
_SKIPPED = re.compile(r"\b(?:MACRO|CHOICE|EXPORTS)\b")
_MAX_SKIPPED = 64
SEVERITY_WORDS = {
    "EMERGENCY": 0,
    "FATAL": 1,
    "ALERT": 1,
    "CRITICAL": 2,
    "SEVERE": 2,
    "MAJOR": 3,
    "ERROR": 3,
    "MINOR": 4,
    "WARNING": 4,
    "NOTICE": 5,
    "NORMAL": 5,
    "CLEARED": 5,
    "CLEAR": 5,
    "INFORMATIONAL": 6,
    "INFORMATION": 6,
    "INFO": 6,
    "INDETERMINATE": 6,
    "DEBUG": 7,
}
# What names no object and no notification: { acmeGroups 1 } is never sent.
_NODES = {"moduleIdentityClause", "objectIdentityClause", "valueDeclaration"}
_SMI_TYPES = {"INTEGER", "Integer32", "OCTET STRING", "OBJECT IDENTIFIER", "BITS"}


class MibParser:
    """Parses one text after another.

    Making one takes half a second; it is kept.
    """

    def __init__(self) -> None:
        self._parser = parserFactory(**smi_v1_relaxed)()

    def parse(self, text: str) -> Parsed:
        """The modules of a text, or what is wrong with it. Never raises for what the text is."""
        beginning = _BEGINNING.search(text)
        if beginning is None:
            return Parsed(error="is no MIB: DEFINITIONS ::= BEGIN is nowhere in it")
        if beginning[1] in LANGUAGE_MODULES:
            return Parsed(modules=[Module(name=beginning[1])])
        bare = _PROSE.sub(_without_prose, text)
        for pattern, most, what in (
            (_WORD, _MAX_WORDS, "words"),
            (_SKIPPED, _MAX_SKIPPED, "MACRO, CHOICE and EXPORTS"),
        ):
            if sum(1 for _ in islice(pattern.finditer(bare), most + 1)) > most:
                return Parsed(error=f"has more than {most} {what}")
        try:
            trees = self._parser.parse(bare)
            severities = dict(_annotated(text))
            modules = [_module(tree, severities) for tree in trees]
        except PySmiError as exc:
            line = getattr(exc, "lineno", "?")
            where = f"line {line}: " if isinstance(line, int) else ""
            return Parsed(error=f"{where}is not as SMI has it{_shown(text, line)}")
        except RecursionError:
            return Parsed(error="is nested too deep")
        except MemoryError:
            return Parsed(error="needs more memory than a MIB may")
        except Exception as exc:  # pysmi's, for trees that its grammar lets through
            return Parsed(error=f"is not as SMI has it ({type(exc).__name__})")
        if not modules:
            return Parsed(error="is no MIB: there is no module in it")
        return Parsed(modules=modules)


def _without_prose(found: re.Match[str]) -> str:
    # A DISPLAY-HINT is no prose, and a mistake must keep its line.
    return found[0] if found[1] else ('""' if found[2] else "") + "\n" * found[0].count("\n")


def _shown(text: str, line: object) -> str:
    """The line that is at fault, so that it is found in a text without numbers."""
    lines = text.splitlines()
    if not isinstance(line, int) or not 0 < line <= len(lines):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in lines[line - 1].strip()[:80])
    return f': "{shown}"'


def _annotated(text: str) -> Iterator[tuple[str, int]]:
    name = ""
    for found in _ANNOTATION.finditer(text):
        if found[1]:
            name = found[1]
        elif name and found[2].upper() in SEVERITY_WORDS:
            yield name, SEVERITY_WORDS[found[2].upper()]


def _module(tree: Any, severities: dict[str, int]) -> Module:  # noqa: ANN401 (pysmi's tuples)
    name, _, imports, declarations = tree
    types = {each[1]: _type(each[2]) for each in declarations or () if _is_type(each)}
    rows = {symbol for symbol, syntax in types.items() if syntax is None}
    definitions = list(_definitions(declarations or (), rows))
    return Module(
        name=name,
        imports={
            symbol: module
            for module, symbols in (imports or {}).items()
            for symbol in symbols
            if isinstance(symbol, str)
        },
        definitions=definitions,
        types={symbol: syntax for symbol, syntax in types.items() if syntax is not None},
        severities={
            each.name: severities[each.name] for each in definitions if each.name in severities
        },
    )


def _is_type(declaration: Any) -> bool:  # noqa: ANN401 (pysmi's tuples)
    return bool(declaration) and declaration[0] == "typeDeclaration"


def _definitions(declarations: Iterable[Any], rows: Set[str]) -> Iterator[Definition]:
    for each in declarations:
        if not each:
            continue
        clause, name = each[0], each[1]
        if clause == "trapTypeClause":
            yield Definition(name, NOTIFICATION, _oid(each[2]), specific_trap=int(each[-1]))
        elif clause == "notificationTypeClause":
            yield Definition(name, NOTIFICATION, _oid(each[-1]))
        elif clause == "objectTypeClause":
            yield _object(name, each[2], _oid(each[-1]), rows)
        elif clause in _NODES:
            yield Definition(name, "", _oid(each[-1]))


def _object(name: str, tree: Any, oid: Oid, rows: Set[str]) -> Definition:  # noqa: ANN401
    syntax = _syntax(tree)
    # Tables and their rows have no values.
    if tree[0] == "conceptualTable" or syntax.type_name in rows:
        return Definition(name, "", oid)
    return Definition(name, OBJECT, oid, syntax)


def _oid(tree: Any) -> Oid:  # noqa: ANN401 (pysmi's tuples)
    # ("objectIdentifier", ["iso", ("org", 3), 6]); a number goes before its name.
    return tuple(each[1] if isinstance(each, tuple) else each for each in tree[1])


def _type(rhs: Any) -> Syntax | None:  # noqa: ANN401 (pysmi's tuples)
    """A type's syntax; None for a SEQUENCE, which is the row of a table."""
    if len(rhs) == 2:
        return None if rhs[1] and rhs[1][0] == "SEQUENCE" else _syntax(rhs[1])
    hint = rhs[1][1] if rhs[1] else ""
    syntax = _syntax(rhs[5])
    # "d" is how a number is written anyway.
    if syntax.text or hint in ("", "d"):
        return syntax
    return Syntax(f"H {_one_line(hint)}")


def _syntax(tree: Any) -> Syntax:  # noqa: ANN401 (pysmi's tuples)
    if not isinstance(tree, tuple):
        return Syntax()
    if tree[0] == "BITS":
        return Syntax(_enumeration("B", tree[1]))
    kind = tree[1]
    constraint = tree[2] if len(tree) > 2 else None
    if isinstance(constraint, tuple) and constraint[0] == "enumSpec":
        return Syntax(_enumeration("E", constraint[1]))
    if tree[0] == "ApplicationSyntax" or kind in _SMI_TYPES or not isinstance(kind, str):
        return Syntax()
    return Syntax(type_name=kind)


def _enumeration(form: str, pairs: Iterable[tuple[str, int]]) -> str:
    numbered = sorted((number, name) for name, number in pairs)
    return f"{form} " + ",".join(f"{name}={number}" for number, name in numbered)


def _one_line(hint: str) -> str:
    # It becomes a line of a table.
    return "".join(c if c.isprintable() else " " for c in hint)[:255]
