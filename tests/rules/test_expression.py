"""Operators' expressions: what is refused, where, and in which words."""

from __future__ import annotations

import pytest

from muttd.rules.expression import BadExpression, check_expression, compiled

LINEAR = "because matching time must stay linear"


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("a(b", "at position 1: missing )"),
        ("(a)(b[(]", "at position 3: missing )"),
        (r"\((", "at position 2: missing )"),
        (r"\Q(\E(", "at position 5: missing )"),
        ("ab)", "at position 2: unexpected )"),
        ("(a)[)]b)", "at position 7: unexpected )"),
        ("ab[cd", "at position 2: missing ] '[cd'"),
        ("a**", "at position 1: bad repetition operator '**'"),
        ("[**]a**", "at position 5: bad repetition operator '**'"),
        ("*a", "at position 0: no argument for repetition operator '*'"),
        ("a{2000}", "at position 1: invalid repetition size '{2000}'"),
        ("a{3,2}", "at position 1: invalid repetition size '{3,2}'"),
        ("x[z-a]", "at position 2: invalid character class range 'z-a'"),
        ("x[[:foo:]]", "at position 2: invalid character class range '[:foo:]'"),
        (r"\pX", r"at position 0: invalid character class range"),
        (r"[]a\8]", r"at position 3: backreferences are not supported, " + LINEAR),
        (r"[^]a\8]", r"at position 4: backreferences are not supported, " + LINEAR),
        ("é(", "at position 1: missing )"),
        ("ab\\", "at position 2: trailing \\"),
        (r"\y", r"at position 0: invalid escape sequence"),
        ("a(?=b)", "at position 1: lookahead is not supported, " + LINEAR),
        ("a(?!b)", "at position 1: negative lookahead is not supported, " + LINEAR),
        ("(?<=a)b", "at position 0: lookbehind is not supported, " + LINEAR),
        ("(?<!a)b", "at position 0: negative lookbehind is not supported, " + LINEAR),
        (r"(a)\\\1", "at position 5: backreferences are not supported, " + LINEAR),
        ("(?P<n>a)(?P=n)", "at position 8: backreferences are not supported, " + LINEAR),
        (r"(a)\k<1>", "at position 3: backreferences are not supported, " + LINEAR),
        ("a++", "at position 1: possessive repetition is not supported and not needed"),
        ("(?>a)", "at position 0: atomic groups are not supported"),
        ("(?#note)a", "at position 0: comments are not supported"),
        ("(?x)a", "at position 0: the verbose flag x is not supported"),
        (r"a\Z", r"at position 1: \Z is not supported; write \z"),
        (r"a\h", r"at position 1: \h is not supported"),
        (r"a\R", r"at position 1: \R is not supported"),
        ("a.{0,1000}b", "too large: it compiles to"),
        ("((a{100}){100}){100}", "invalid repetition size"),
    ],
)
def test_what_re2_refuses_is_refused_with_the_place_and_the_reason(
    pattern: str, complaint: str
) -> None:
    with pytest.raises(BadExpression) as refused:
        check_expression(pattern)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    "pattern", ["", "a*", "^", "$", "^$", "(foo)?", "a|", ".*", r"\A\z", "x{0}"]
)
def test_what_matches_the_empty_text_would_match_everything_and_is_refused(pattern: str) -> None:
    with pytest.raises(BadExpression, match="would match every event"):
        check_expression(pattern)


@pytest.mark.parametrize(
    "pattern", ["a", r"(?-i)LINK", r"^\S+ (up|down)$", r".+", r"é{1,3}", r"\Qa*\E"]
)
def test_what_matches_something_is_taken(pattern: str) -> None:
    check_expression(pattern)


def test_a_refusal_that_names_no_place_is_passed_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A program beyond RE2's own memory limit, which is about the whole expression."""
    with pytest.raises(BadExpression, match=r"^pattern too large"):
        compiled("((((a{10}){10}){10}b){1}" + "[a-zé-ü]{1,900}" * 500 + ")")
    assert capfd.readouterr().err == ""


def test_the_same_expression_is_compiled_once() -> None:
    assert compiled("once only") is compiled("once only")
