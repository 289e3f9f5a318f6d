"""Templates: what varies from one message to the next is masked, what names a thing stays."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_corpus import CORPUS, misgrouped, samples_of

from muttd.rules import template
from muttd.rules.template import MAX_TEXT_CHARACTERS, Templates, template_of, varying_parts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("exit code 137", "exit code <num>"),
        ("load 1.25, 45% of 12ms", "load <num>, <num>% of <num>ms"),
        ("request-4711 took 3s", "request-<num> took <num>s"),
        ("job12345 of sess_12 and id_9", "job<num> of sess_<num> and id_<num>"),
        ("from 10.1.2.3", "from <ip>"),
        ("from 10.1.2.3.", "from <ip>."),
        ("from 10.1.2.3:5511", "from <ip>:<num>"),
        ("route 10.0.0.0/8 lost", "route <ip> lost"),
        ("outside:10.0.0.1/443 denied", "<if>:<ip> denied"),
        ("version 1.2.3.4.5", "version <num>"),
        ("from 2001:db8::1 port 1", "from <ip> port <num>"),
        ("from ::1", "from <ip>"),
        ("2001:db8:1:2:3:4:5:6: lost", "<ip>: lost"),
        ("2001:db8::/32 lost", "<ip> lost"),
        ("mac aa:bb:cc:dd:ee:ff or AA-BB-CC-DD-EE-0F", "mac <mac> or <mac>"),
        ("mac 0011.2233.4455", "mac <mac>"),
        ("at 0xDEADbeef", "at <hex>"),
        ("sha d41d8cd98f00b204e9800998ecf8427e", "sha <hex>"),
        ("effaced facade", "effaced facade"),
        ("550e8400-e29b-41d4-a716-446655440000 gone", "<uuid> gone"),
        ("at 2025-01-02T03:04:05.678Z", "at <time>"),
        ("at 2025-01-02 03:04:05,678+0100 on 2025-01-02", "at <time> on <time>"),
        ("at 03:04:05.1", "at <time>"),
        ("at Jan  2 03:04:05", "at <time>"),
        ("at Thu Jan  2 03:04:05 2025", "at <time>"),
        ("at Mar 12 2025 03:04:05.678", "at <time>"),
        ('unit "nginx 2" failed', 'unit "<str>" failed'),
        ("unit 'nginx' failed", "unit '<str>' failed"),
        ("don't worry, it's up", "don't worry, it's up"),
        ('an open " quote', 'an open " quote'),
        ("file /var/log/a-1.log is full", "file <path> is full"),
        ("and/or", "and/or"),
        ("Interface GigabitEthernet0/1.100:2 down", "Interface <if> down"),
        (
            "xe-0/0/1.0 ethernet1/1 Vlan100 Port-channel12 enp3s0 Po1",
            "<if> <if> <if> <if> <if> <if>",
        ),
        ("%LINK-3-UPDOWN: x", "%LINK-3-UPDOWN: x"),
        ("%ASA-4-106023: x", "%ASA-4-106023: x"),
        ("ORA-00600: internal", "ORA-00600: internal"),
        ("sda1 ssh2 md5 E42", "<dev> ssh2 md5 E42"),
        ("std::vector IF-MIB::linkDown", "std::vector IF-MIB::linkDown"),
        ("Failed for invalid user bob3 from", "Failed for invalid user <user> from"),
        ("", ""),
    ],
)
def test_what_varies_is_masked_by_its_kind(text: str, masked: str) -> None:
    assert template_of(text) == masked


def test_five_hundred_failed_logins_are_one_template() -> None:
    source = random.Random(1)
    names = ("root", "admin", "x-1", "o'neil", "7")
    templates = set()
    for _ in range(500):
        address = ".".join(str(source.randrange(256)) for _ in range(4))
        if source.random() < 0.3:
            address = f"2001:db8::{source.randrange(65536):x}"
        templates.add(
            template_of(
                f"sshd[{source.randrange(1, 99999)}]: Failed password for invalid user"
                f" {source.choice(names)} from {address} port {source.randrange(1, 65536)} ssh2"
            )
        )
    assert templates == {
        "sshd[<num>]: Failed password for invalid user <user> from <ip> port <num> ssh2"
    }


def test_different_messages_have_different_templates() -> None:
    texts = ["disk full", "disk fail", "%LINK-3-UPDOWN: a", "%LINK-5-CHANGED: a", "ORA-1", "ORA-2"]
    assert len({template_of(text) for text in texts}) == len(texts)


def test_the_parts_masked_are_told_in_order() -> None:
    text = 'if Gi0/1 at 10.0.0.1 in "x"'
    assert [(kind, part) for kind, part, _, _ in varying_parts(text)] == [
        ("if", "Gi0/1"),
        ("ip", "10.0.0.1"),
        ("str", "x"),
    ]
    assert [text[start:end] for _, _, start, end in varying_parts(text)] == [
        "Gi0/1",
        "10.0.0.1",
        "x",
    ]


def test_text_beyond_the_longest_message_says_nothing_new() -> None:
    text = "x " * MAX_TEXT_CHARACTERS
    assert template_of(text) == text[:MAX_TEXT_CHARACTERS]


@given(st.text())
def test_any_text_has_a_template(text: str) -> None:
    assert isinstance(template_of(text), str)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a-",
            "a:",
            "1:",
            "1.",
            "1",
            "a",
            "A-",
            '"',
            "'",
            " '",
            "/",
            "/a",
            "f",
            "0x",
            "_1",
            "%A-",
        ),
        *(":", "invalid user ", "aa:bb:", "1234-", "Jan ", "ethernet", "a1/", "Mon Jan  1 "),
    ],
)
def test_a_hostile_text_costs_no_more_than_its_length(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that grew with the square of this length would not end before the suite's time limit."""
    length = 200_000
    monkeypatch.setattr(template, "MAX_TEXT_CHARACTERS", length)
    assert template_of(piece * (length // len(piece)) + "!")


# --- templates that are remembered


def other_digits(text: str, source: random.Random) -> str:
    """The same but for the values of its digits; not of the 0 of 0x."""
    return "".join(
        source.choice("0123456789")
        if each in "0123456789" and text[n + 1 : n + 2] not in ("x", "X")
        else each
        for n, each in enumerate(text)
    )


PIECES = st.sampled_from(
    [
        *("10.1.2.3", "port 5511", "0x1f", "3X4", "eth0", "ssh2", "ORA-00600", "%LINK-3-UPDOWN:"),
        *("2025-01-02 03:04:05", "Jan  2 03:04:05", "::1", "aa:bb:cc:dd:ee:f0", "job_12 job12345"),
        *("550e8400-e29b-41d4-a716-446655440000", "invalid user bob3 from", '"a 1"', "/var/a.1"),
        *("Gi0/1", "deadbeef01", " ", ", ", "é9", "[4711]:", "1.2", "x=-3", "\x00x", "\udc80"),
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12).map(" ".join), st.randoms())
def test_a_remembered_template_is_the_one_that_masking_gives(
    text: str, source: random.Random
) -> None:
    templates = Templates()
    for each in (text, other_digits(text, source), other_digits(text, source)):
        assert templates.of(each) == template_of(each)


@given(
    st.lists(
        st.lists(st.one_of(PIECES, st.text(max_size=8), st.just("0x")), max_size=6).map(" ".join)
    )
)
def test_templates_of_many_messages_are_those_of_each(texts: list[str]) -> None:
    templates = Templates()
    assert templates.of_all(texts) == [template_of(text) for text in texts]
    assert templates.of_all(texts) == [template_of(text) for text in texts]


def test_long_messages_among_many_have_their_templates_too() -> None:
    texts = ["a1234 " * 1000, "job12345", "with\0NUL 7"]
    assert Templates().of_all(texts) == [template_of(text) for text in texts]


def test_templates_are_forgotten_when_there_are_too_many() -> None:
    templates = Templates(most=10)
    for n in range(100):
        text = "x" * n + " 1 ssh2"
        assert templates.of(text) == templates.of(text) == "x" * n + " <num> ssh2"


def test_a_long_message_is_masked_and_not_remembered() -> None:
    assert Templates().of("a1234 " * 1000) == template_of("a1234 " * 1000)


# --- labelled messages


def test_messages_of_real_systems_are_grouped_as_a_person_would() -> None:
    """bench/template_accuracy.py --show names those that are not."""
    count, wrong = 0, []
    for path in sorted(CORPUS.glob("*.txt")):
        samples = samples_of(path)
        assert len(samples) > 100
        count += len(samples)
        wrong += misgrouped(samples)
    assert 1 - len(wrong) / count >= 0.99, wrong


def test_remembered_templates_of_real_systems_are_those_that_masking_gives() -> None:
    templates = Templates()
    texts = [text for path in sorted(CORPUS.glob("*.txt")) for _, text in samples_of(path)]
    for text in texts + texts:
        assert templates.of(text) == template_of(text)
