"""The set of expressions: it may propose too much and must not miss."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from muttd.rules.regex_set import RegexSet


def keys_of(regex_set: RegexSet, text: str) -> set[int]:
    found: set[int] = set()
    regex_set.add_keys_of(text.encode(), found)
    return found


def test_expressions_that_may_match_are_proposed() -> None:
    regex_set = RegexSet({1: r"fan \d", 3: r"^link", 5: r"(?:a|b)c$"})
    assert regex_set.left_out == ()
    assert regex_set.is_anchored
    assert keys_of(regex_set, "FAN 2") == {1}
    assert keys_of(regex_set, "x\nLink bc\n") == {3, 5}
    assert keys_of(regex_set, "unlink") == set()


def test_what_the_engines_read_differently_is_left_out() -> None:
    odd = [
        r"\S",
        r"\Bx",
        r"\pL",
        r"\x41",
        r"\Qa\E",
        "(?-i)a",
        "(?P<n>a)",
        "[[:alpha:]]",
        "é",
        r"[\S]",
    ]
    regex_set = RegexSet(dict(enumerate(odd)))
    assert regex_set.left_out == tuple(range(len(odd)))
    assert not regex_set
    assert keys_of(regex_set, "a") == set()


def test_one_expression_beyond_the_engine_does_not_cost_the_others() -> None:
    beyond = r"[a-f]{500}.{500}x"
    regex_set = RegexSet({1: "fan", 5: beyond, 7: "psu"})
    assert regex_set.left_out == (5,)
    assert keys_of(regex_set, "fan psu") == {1, 7}


def test_letters_that_fold_onto_ascii_have_everything_proposed() -> None:
    regex_set = RegexSet({1: r"^\w$", 3: "never"})
    assert keys_of(regex_set, "\u017f") == {1, 3}
    assert keys_of(regex_set, "\u212a") == {1, 3}


def test_two_threads_may_search_at_once() -> None:
    regex_set = RegexSet({n: rf"<{n}>\d" for n in range(50)})
    texts = [f"<{n % 50}>7 " * 50 for n in range(400)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: keys_of(regex_set, text), texts))
    assert found == [{n % 50} for n in range(400)]
