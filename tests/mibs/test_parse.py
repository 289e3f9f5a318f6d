"""The text of a MIB becomes a module, or one line about what is wrong with it."""

from __future__ import annotations

import random

import pytest
from mib_corpus import CORPUS, modules_of, parsed, parser, text_of

from muttd.mibs.module import Definition, Module, Syntax
from muttd.protocol.mib import NOTIFICATION, OBJECT


def by_name(module: Module) -> dict[str, Definition]:
    return {each.name: each for each in module.definitions}


def test_objects_of_smi_v2_have_their_syntax() -> None:
    [module] = modules_of("ACME-ENV-MIB.mib")
    found = by_name(module)
    assert found["acmeEnvMode"].syntax == Syntax("E manual=1,automatic=2")
    assert found["acmeEnvFlags"].syntax == Syntax("B noisy=0,dusty=1,wet=8")
    assert found["acmeEnvTemperature"].syntax == Syntax(type_name="AcmeTenths")
    assert found["acmeEnvName"].syntax == Syntax(type_name="DisplayString")
    assert found["acmeEnvCount"].syntax == Syntax()
    assert module.imports["AcmeTenths"] == "ACME-SMI"


def test_tables_and_rows_have_no_values() -> None:
    [module] = modules_of("ACME-ENV-MIB.mib")
    kinds = {name: each.kind for name, each in by_name(module).items()}
    assert kinds["acmeEnvTable"] == kinds["acmeEnvEntry"] == kinds["acmeEnvMIB"] == ""
    assert kinds["acmeEnvState"] == OBJECT
    assert kinds["acmeEnvTooHot"] == NOTIFICATION
    assert "acmeEnvGroup" not in kinds


def test_types_keep_their_hints_and_enumerations() -> None:
    [module] = modules_of("ACME-SMI.mib")
    assert module.types == {
        "AcmeState": Syntax("E ok=1,degraded=2,failed=3"),
        "AcmeTenths": Syntax("H d-1"),
    }


def test_a_trap_of_smi_v1_is_a_number_of_an_enterprise() -> None:
    [module] = modules_of("ACME-OLD-MIB.my")
    assert by_name(module)["oldFanStopped"] == Definition(
        "oldFanStopped", NOTIFICATION, ("acmeOld",), specific_trap=5
    )


def test_a_severity_may_be_annotated() -> None:
    assert [each.severities for each in modules_of("ACME-ENV-MIB.mib", "ACME-OLD-MIB.my")] == [
        {"acmeEnvTooHot": 2},
        {"oldFanStopped": 3},
    ]


def test_several_modules_may_stand_in_one_text() -> None:
    text = text_of("ACME-SMI.mib") + "\n" + text_of("ACME-ENV-MIB.mib")
    assert [each.name for each in parser().parse(text).modules] == ["ACME-SMI", "ACME-ENV-MIB"]


def test_a_mistake_is_shown_with_its_line() -> None:
    assert parsed("ACME-BROKEN-MIB.mib").error == (
        'line 8: is not as SMI has it: "MAX-ACCESS  read-only"'
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is no MIB: DEFINITIONS ::= BEGIN is nowhere in it"),
        ("Read me first.\n", "is no MIB: DEFINITIONS ::= BEGIN is nowhere in it"),
        ("-- A DEFINITIONS ::= BEGIN\n", "is no MIB: there is no module in it"),
        ("A DEFINITIONS ::= BEGIN", "is not as SMI has it"),
        ("A DEFINITIONS ::= BEGIN b TRAP-TYPE ENTERPRISE c ::= x END", "is not as SMI has it"),
    ],
)
def test_what_is_no_mib_is_said_in_words(text: str, error: str) -> None:
    result = parser().parse(text)
    assert result.modules == []
    assert error in (result.error or "")


@pytest.mark.parametrize("name", ["SNMPv2-SMI", "RFC-1212", "SNMPv2-TC"])
def test_the_texts_of_smi_itself_define_nothing(name: str) -> None:
    result = parser().parse(f"{name} DEFINITIONS ::= BEGIN OBJECT-TYPE MACRO ::= whatever END")
    assert result.modules == [Module(name=name)]


def test_prose_cannot_lead_astray() -> None:
    text = text_of("ACME-SMI.mib").replace(
        '"What sysObjectID says."', '"MACRO -- ""x"" CHOICE { EXPORTS\n\n END"  -- a -- b ::= "'
    )
    assert parser().parse(text).modules == modules_of("ACME-SMI.mib")


def test_hints_are_one_line_and_keep_their_dashes() -> None:
    text = """A DEFINITIONS ::= BEGIN IMPORTS TEXTUAL-CONVENTION FROM SNMPv2-TC;
    T ::= TEXTUAL-CONVENTION DISPLAY-HINT "1d--1d\t" STATUS current DESCRIPTION ""
        SYNTAX OCTET STRING
    U ::= OCTET STRING (SIZE (4)) V ::= T W ::= BITS { a(0) } X ::= IpAddress
    END"""
    [module] = parser().parse(text).modules
    assert module.types == {
        "T": Syntax("H 1d--1d "),
        "U": Syntax(),
        "V": Syntax(type_name="T"),
        "W": Syntax("B a=0"),
        "X": Syntax(),
    }


_HEAD = "A-MIB DEFINITIONS ::= BEGIN IMPORTS enterprises FROM SNMPv2-SMI;\n"
_MILLIONS = 2_000_000


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a" * _MILLIONS, "is no MIB"),
        ("a" + "-" * _MILLIONS, "is no MIB"),
        ("a-" * (_MILLIONS // 2), "is no MIB"),
        ("a {" + "b " * (_MILLIONS // 2), "is no MIB"),
        ("a DEFINITIONS " * (_MILLIONS // 14), "is no MIB"),
        (_HEAD + "END\n--" + "a-" * (_MILLIONS // 2), None),
        (_HEAD + "END\n--a" + " " * _MILLIONS, None),
        (_HEAD + "MODULE-IDENTITY MACRO ::= BEGIN x " * 65, "more than 64 MACRO, CHOICE"),
        (_HEAD + "A ::= CHOICE { x " * 65, "more than 64 MACRO, CHOICE"),
        (_HEAD + "EXPORTS " * 65, "more than 64 MACRO, CHOICE"),
        (_HEAD + "MACRO " * 64 + " \n" * (_MILLIONS // 8), "line 2: is not as SMI has it"),
        (_HEAD + "a OBJECT IDENTIFIER ::= { b" + " 1" * 500_000, "more than 500000 words"),
        (_HEAD + '"" ' * 500_000, "more than 500000 words"),
        (_HEAD + "." * 500_000, "more than 500000 words"),
    ],
    ids=lambda value: value[-12:] if value and len(value) > 100 else value,
)
def test_a_text_made_to_cost_time_costs_none(text: str, error: str | None) -> None:
    """Without the limits each takes minutes to hours, or the 20 s of CPU time that there are."""
    found = parser().parse(text).error
    assert found is None if error is None else error in (found or "")


def test_mutated_texts_are_understood_or_refused_and_nothing_else() -> None:
    dice = random.Random(2578)
    texts = [path.read_text() for path in sorted(CORPUS.iterdir())]
    refused = 0
    for _ in range(150):
        words = dice.choice(texts).split(" ")
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(words))
            match dice.randrange(4):
                case 0:
                    del words[at]
                case 1:
                    words[at] = dice.choice(words)
                case 2:
                    words.insert(at, dice.choice(["{", "}", "::=", '"', "--", "(-1..x)", "\xff"]))
                case _:
                    words[at] = words[at][::-1]
        result = parser().parse(" ".join(words))
        assert (result.error is None) == bool(result.modules)
        refused += result.error is not None
    assert 20 < refused < 150


class _Exhausted:
    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def parse(self, text: str) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RecursionError, "is nested too deep"),
        (MemoryError, "needs more memory than a MIB may"),
        (KeyError, "is not as SMI has it (KeyError)"),
    ],
)
def test_whatever_a_text_does_to_the_parser_is_that_texts_fault(
    error: type[BaseException], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser(), "_parser", _Exhausted(error))
    assert parsed("ACME-SMI.mib").error == says
