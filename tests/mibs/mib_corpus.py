"""The texts of tests/corpus/mibs, and what they become."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from muttd.mibs.link import Linked, Shipped, link
from muttd.mibs.module import Module, Parsed
from muttd.mibs.parse import MibParser
from muttd.protocol import mib as mib_module
from muttd.protocol.mib import TABLE_FILE_NAME, Mib

CORPUS = Path(__file__).parent.parent / "corpus" / "mibs"


def text_of(name: str) -> str:
    return (CORPUS / name).read_text()


@functools.cache
def parser() -> MibParser:
    return MibParser()


@functools.cache
def shipped_mib() -> Mib:
    return Mib.from_octets(Path(mib_module.__file__).with_name(TABLE_FILE_NAME).read_bytes())


@functools.cache
def shipped() -> Shipped:
    return Shipped(shipped_mib())


def parsed(name: str) -> Parsed:
    return parser().parse(text_of(name))


def modules_of(*names: str) -> list[Module]:
    found = []
    for name in names:
        result = parsed(name)
        assert result.error is None, result.error
        found += result.modules
    return found


def linked(modules: Sequence[Module]) -> Linked:
    return link(modules, shipped())
