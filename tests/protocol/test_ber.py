"""X.690: lengths, numbers and names, from us and from strangers."""

from __future__ import annotations

import random

import pytest

from muttd.errors import InvalidInput, MalformedBer
from muttd.protocol.ber import (
    INTEGER,
    MAX_ARC,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    encode_element,
    encode_integer,
    encode_oid,
    read_element,
    read_header,
    read_integer,
    read_oid,
)


def read_whole_oid(octets: bytes) -> str:
    start, stop = read_element(octets, 0, len(octets), OBJECT_IDENTIFIER)
    return read_oid(octets, start, stop)


@pytest.mark.parametrize("count", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_element_of_any_length_is_read_as_it_was_written(count: int) -> None:
    octets = encode_element(OCTET_STRING, b"x" * count) + b"behind"
    start, stop = read_element(octets, 0, len(octets), OCTET_STRING)
    assert octets[start:stop] == b"x" * count
    assert octets[stop:] == b"behind"


@pytest.mark.parametrize("count", [0, 5, 127, 200, 70_000])
def test_an_element_cut_at_any_length_is_malformed(count: int) -> None:
    octets = encode_element(OCTET_STRING, b"x" * count)
    for end in (*range(min(8, len(octets))), len(octets) - 1):
        with pytest.raises(MalformedBer):
            read_header(octets, 0, end)


def test_a_length_may_not_run_past_the_enclosing_element() -> None:
    octets = encode_element(OCTET_STRING, b"abc") + b"of another element"
    with pytest.raises(MalformedBer, match="runs past") as caught:
        read_element(octets, 0, 4, OCTET_STRING)
    assert caught.value.at == 1


def test_a_length_of_four_octets_with_leading_zeros_is_no_fault() -> None:
    octets = bytes.fromhex("0484000000026869")
    assert read_header(octets, 0, len(octets)) == (OCTET_STRING, 6, 8)


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        ("", "element is cut short"),
        ("30", "element is cut short"),
        ("3080020100", "indefinite length"),
        ("30850000000000", "length of too many octets"),
        ("30ff", "length of too many octets"),
        ("308400", "length is cut short"),
        ("3084ffffffff00", "length runs past the element"),
        ("1f8100", "identifier of several octets"),
        ("0401", "length runs past the element"),
        ("0400", "identifier 0x04 where 0x30 belongs"),
    ],
)
def test_a_header_out_of_the_rules_is_named(octets: str, what: str) -> None:
    with pytest.raises(MalformedBer, match=what):
        read_element(bytes.fromhex(octets), 0, len(octets) // 2, SEQUENCE)


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (-1, "0201ff"),
        (-128, "020180"),
        (-129, "0202ff7f"),
        (2**31 - 1, "02047fffffff"),
        (-(2**31), "020480000000"),
        (2**64 - 1, "020900ffffffffffffffff"),
    ],
)
def test_an_integer_takes_as_few_octets_as_can_be(number: int, octets: str) -> None:
    assert encode_integer(number).hex() == octets
    assert read_integer(bytes.fromhex(octets), 0, len(octets) // 2) == (number, len(octets) // 2)


@pytest.mark.parametrize(
    ("octets", "number"),
    [("02080000000000000003", 3), ("0203ffffff", -1), ("02810105", 5), ("0284000000020100", 256)],
)
def test_an_integer_that_is_not_minimal_is_no_fault(octets: str, number: int) -> None:
    assert read_integer(bytes.fromhex(octets), 0, len(octets) // 2)[0] == number


@pytest.mark.parametrize("octets", ["0200", "0211" + "01" * 17, "0401ff", "02", "020201"])
def test_an_integer_without_sense_is_malformed(octets: str) -> None:
    with pytest.raises(MalformedBer):
        read_integer(bytes.fromhex(octets), 0, len(octets) // 2)


@pytest.mark.parametrize(
    "oid",
    [
        "0.0",
        "0.39",
        "1.0",
        "1.39",
        "2.0",
        "2.39",
        "2.40",
        "2.47",
        "2.48",
        "2.80",
        "2.999.3",
        f"2.{MAX_ARC}.{MAX_ARC}",
        "1.3.6.1.4.1.4294967295.127.128.16383.16384",
        ".".join(["1", "3"] + [str(MAX_ARC)] * 126),
    ],
)
def test_an_oid_is_read_as_it_was_written(oid: str) -> None:
    assert read_whole_oid(encode_oid(oid)) == oid
    assert encode_oid("." + oid) == encode_oid(oid)


@pytest.mark.parametrize(
    ("octets", "what", "at"),
    [
        ("0600", "without content", 2),
        ("06022b86", "cut short", 3),
        ("06062b9080808000", "above 2", 7),
        ("060690808080512b", "above 2", 6),
        ("0681802b" + "01" * 127, "more than 128", 3),
        ("06820281" + "80" * 640 + "01", "too long", 4),
    ],
)
def test_an_oid_out_of_the_rules_is_named_at_its_octet(octets: str, what: str, at: int) -> None:
    with pytest.raises(MalformedBer, match=what) as caught:
        read_whole_oid(bytes.fromhex(octets))
    assert caught.value.at == at


@pytest.mark.parametrize(
    "oid",
    [
        "",
        "1",
        "1..3",
        "1.3.",
        "..1.3",
        "1.3.6 ",
        "a.b",
        "1.-3",
        "3.1",
        "0.40",
        "1.40",
        "1.3.4294967296",
        "1.\N{ARABIC-INDIC DIGIT THREE}.6",
        "1.3." + "9" * 5000,
        ".".join(["1"] * 129),
    ],
)
def test_what_is_no_oid_is_refused_by_name(oid: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_oid(oid)
    assert caught.value.problems[0][0] == "oid"


def test_octets_from_a_stranger_raise_nothing_but_malformed_ber() -> None:
    rng = random.Random(690)
    faults: list[MalformedBer] = []
    for _ in range(10_000):
        octets = bytes(rng.choices((0x02, 0x06, 0x30, 0x80, 0x81, 0x84, 0xFF, 0, 1, 3), k=12))
        try:
            identifier, start, stop = read_header(octets, 0, len(octets))
            assert 2 <= start <= stop <= len(octets)
            if identifier == OBJECT_IDENTIFIER:
                assert encode_oid(read_oid(octets, start, stop))
            if identifier == INTEGER:
                assert read_integer(octets, 0, len(octets))[1] == stop
        except MalformedBer as exc:
            faults.append(exc)
    assert 1000 < len(faults) < 9000
    assert all(0 <= fault.at < 12 for fault in faults)
