"""Names become OIDs, with their roots in what is shipped or in each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from mib_corpus import linked, modules_of, parser, shipped, shipped_mib

from muttd.mibs.link import Linked
from muttd.mibs.module import Definition, Module, Syntax
from muttd.protocol.mib import NOTIFICATION, OBJECT, Fact, Mib
from muttd.protocol.trap_severity import TrapSeverities

ALL = ("ACME-SMI.mib", "ACME-ENV-MIB.mib", "ACME-OLD-MIB.my")
ENV = "1.3.6.1.4.1.424242.2.7"


def extended(found: Linked) -> Mib:
    return shipped_mib().extended(found.facts, TrapSeverities({}, found.severities))


@pytest.fixture(scope="module")
def mib() -> Mib:
    return extended(linked(modules_of(*ALL)))


@pytest.mark.parametrize(
    ("oid", "name"),
    [
        (f"{ENV}.0.1", "ACME-ENV-MIB::acmeEnvTooHot"),
        (f"{ENV}.1.1.1.1.3", "acmeEnvTemperature.3"),
        (f"{ENV}.1.1.1.99.3", "acmeEnvEntry.99.3"),
        ("1.3.6.1.4.1.424242.1.17", "acmeProducts.17"),
        ("1.3.6.1.4.1.424243.0.5", "ACME-OLD-MIB::oldFanStopped"),
        ("1.3.6.1.4.1.424243.1.0", "oldFan.0"),
        # A notification without a zero is known by the OID that SNMPv1 gives it as well.
        (f"{ENV}.9", "ACME-ENV-MIB::acmeEnvLegacy"),
        (f"{ENV}.0.9", "ACME-ENV-MIB::acmeEnvLegacy"),
        # What is shipped stays what it is, whoever defines it again.
        ("1.3.6.1.6.3.1.1.5.1", "SNMPv2-MIB::coldStart"),
        ("1.3.6.1.2.1.2.2.1.1.3", "ifIndex.3"),
    ],
)
def test_what_operators_define_is_named(mib: Mib, oid: str, name: str) -> None:
    assert mib.name_of(oid) == name


def test_values_are_written_by_types_of_any_module(mib: Mib) -> None:
    row = f"{ENV}.1.1.1"
    assert mib.place_of(f"{row}.1.3").syntax.hint == "d-1"
    assert mib.place_of(f"{row}.2.3").syntax.names == {1: "ok", 2: "degraded", 3: "failed"}
    assert mib.place_of(f"{row}.3.3").syntax.is_bits
    assert mib.place_of(f"{row}.4.3").syntax.hint == "1x:"
    assert mib.place_of(f"{row}.6.3").syntax.hint == "255a"
    assert mib.place_of(f"{row}.7.3").syntax.names == {1: "true", 2: "false"}
    assert mib.place_of("1.3.6.1.4.1.424243.2.0").syntax.hint == "255a"


def test_an_annotated_severity_is_in_force(mib: Mib) -> None:
    assert mib.severity_of(f"{ENV}.0.1") == 2
    assert mib.severity_of("1.3.6.1.4.1.424243.0.5") == 3
    assert mib.severity_of(f"{ENV}.0.2") == 5


def test_modules_are_linked_in_any_order() -> None:
    forwards, backwards = modules_of(*ALL), modules_of(*reversed(ALL))
    assert linked(forwards).facts == linked(backwards).facts


def test_what_cannot_be_resolved_costs_itself_and_is_said_by_name() -> None:
    found = linked(modules_of("ACME-LONELY-MIB.txt"))
    [module] = found.modules
    assert module.missing == ["OTHER-SMI", "OTHER-TC"]
    assert module.problems == [
        "acmeElsewhere: needs otherMgmt of OTHER-SMI, which is not there",
        "acmeBelow: needs otherMgmt of OTHER-SMI, which is not there",
        "acmeWithoutParent: nobody is neither defined nor imported",
        "acmeNoSuchObject: IF-MIB has no ifNothing",
        "acmeCircle: is defined by way of itself",
        "acmeCircleToo: is defined by way of itself",
    ]
    assert module.notifications == [("acmeLonelyTrap", "1.3.6.1.4.1.424245.0.1")]
    assert extended(found).name_of("1.3.6.1.4.1.424245.1.0") == "acmeLonelyState.0"


def test_of_two_modules_with_one_name_the_first_is_taken() -> None:
    first, second = modules_of("ACME-SMI.mib"), modules_of("ACME-SMI.mib")
    _, module = linked([*first, *second]).modules
    assert module.problems == ["ACME-SMI is defined by another text already, and that one is taken"]


def module_with(*definitions: Definition, **types: Syntax) -> Module:
    return Module(name="T-MIB", definitions=list(definitions), types=dict(types))


def problems_of(*definitions: Definition) -> list[str]:
    [module] = linked([module_with(*definitions)]).modules
    return module.problems


@pytest.mark.parametrize(
    ("oid", "problem"),
    [
        ((), "has an OID that is none"),
        (("enterprises", 2**32), "has an OID that is none"),
        (("enterprises", -1), "has an OID that is none"),
        (("enterprises", *[1] * 128), "has an OID of more than 128 numbers"),
    ],
)
def test_an_oid_is_no_longer_and_no_larger_than_can_be_sent(
    oid: tuple[str | int, ...], problem: str
) -> None:
    assert problems_of(Definition("a", "", oid)) == [f"a: {problem}"]


def test_a_chain_of_any_length_ends() -> None:
    chain = [Definition(f"n{n}", "", (f"n{n + 1}", 1)) for n in range(5000)]
    problems = problems_of(*chain)
    assert problems[0] == "n0: hangs below more than 128 others"
    assert problems[-1] == "and 4980 more"


def test_one_type_and_ten_thousand_objects_are_no_ten_gigabytes() -> None:
    """What is made of the modules is written to disk with the syntax of each object."""
    names = Syntax("E " + ",".join(f"value{number}={number}" for number in range(3000)))
    objects = [
        Definition(f"a{number}", OBJECT, ("enterprises", 424246, number), Syntax(type_name="A"))
        for number in range(10_000)
    ]
    found = linked([module_with(*objects, A=names)])
    assert len(found.facts) == found.modules[0].object_count == 10_000
    texts = [fact.syntax for fact in found.facts.values()]
    assert texts[0] == names.text
    assert sum(map(len, texts)) < 2**25
    assert "its values have more names than can be kept" in found.modules[0].problems[0]


def test_an_enumeration_that_is_too_long_leaves_room_for_others() -> None:
    longest = Syntax("E " + "a" * 65_536 + "=1")
    module = module_with(
        Definition("a", OBJECT, ("enterprises", 1), longest),
        Definition("b", OBJECT, ("enterprises", 2), Syntax("E up=1")),
    )
    found = linked([module])
    assert [fact.syntax for fact in found.facts.values()] == ["", "E up=1"]
    assert found.modules[0].problems == ["a: its values have more names than can be kept"]


def test_what_hangs_below_the_same_mistake_says_the_same() -> None:
    children = [Definition(f"a{number}", "", ("p", number)) for number in range(3)]
    assert problems_of(Definition("p", "", ("nobody", 1)), *children) == [
        f"{name}: nobody is neither defined nor imported" for name in ("p", "a0", "a1", "a2")
    ]


def test_types_in_a_circle_say_nothing() -> None:
    module = module_with(
        Definition("a", OBJECT, ("enterprises", 424246, 1), Syntax(type_name="A")),
        A=Syntax(type_name="B"),
        B=Syntax(type_name="A"),
    )
    assert linked([module]).facts["1.3.6.1.4.1.424246.1"] == Fact("a", "T-MIB", OBJECT, "")


def test_names_in_the_middle_of_an_oid_are_their_numbers() -> None:
    module = module_with(
        Definition("a", "", ("iso", "org", "dod", "internet", "private", 1, 424246)),
        Definition("b", "", ("a", 1)),
        Definition("c", "", (1, 3, 6, 1, 4, 1, 424246, 2)),
    )
    assert list(linked([module]).facts) == [
        "1.3.6.1.4.1.424246",
        "1.3.6.1.4.1.424246.1",
        "1.3.6.1.4.1.424246.2",
    ]


def test_an_enterprise_has_its_name_in_whatever_module_it_is_imported_from() -> None:
    module = Module(
        name="T-MIB",
        imports={"fortinet": "FORTINET-CORE-MIB", "ifTable": "VENDOR-IF-MIB"},
        definitions=[
            Definition("a", "", ("fortinet", 101)),
            Definition("b", "", ("ifTable", 1)),
        ],
    )
    found = linked([module])
    assert list(found.facts) == ["1.3.6.1.4.1.12356.101"]
    assert found.modules[0].missing == ["VENDOR-IF-MIB"]


def test_an_object_replaces_a_node_and_a_second_object_does_not() -> None:
    oid = ("enterprises", 424246, 1)
    module = module_with(
        Definition("a", "", oid), Definition("b", NOTIFICATION, oid), Definition("c", OBJECT, oid)
    )
    assert linked([module]).facts["1.3.6.1.4.1.424246.1"].name == "b"


def test_a_newer_text_of_a_shipped_module_is_taken() -> None:
    module = Module(
        name="IF-MIB",
        imports={"interfaces": "IF-MIB", "mib-2": "SNMPv2-SMI"},
        definitions=[
            Definition("ifOperStatus", OBJECT, (1, 3, 6, 1, 2, 1, 2, 2, 1, 8), Syntax("E up=1,x=8"))
        ],
    )
    names = extended(linked([module])).place_of("1.3.6.1.2.1.2.2.1.8.3").syntax.names
    assert names == {1: "up", 8: "x"}


def test_the_texts_of_net_snmp_say_what_the_shipped_table_says() -> None:
    """net-snmp's own MIBs are in the table as pysnmp-mibs compiled them: another way, one truth."""
    folder = Path("/usr/share/snmp/mibs")
    names = ("UCD-SNMP-MIB", "NET-SNMP-MIB", "NET-SNMP-AGENT-MIB", "NET-SNMP-EXTEND-MIB")
    assert folder.is_dir(), "net-snmp's MIBs are not installed (package libsnmp-base)"
    modules = []
    for name in names:
        result = parser().parse((folder / f"{name}.txt").read_text())
        assert result.error is None
        modules += result.modules
    found = linked(modules)
    assert [each.problems for each in found.modules] == [[]] * len(names)
    compared = 0
    for oid, fact in found.facts.items():
        known = shipped().facts.get(oid)
        if known is None or fact.syntax.startswith("E notExists"):
            # pysnmp gives RowStatus a value more.
            continue
        assert fact == known
        compared += 1
    assert compared > 200
