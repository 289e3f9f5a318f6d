"""Random rules, events, expressions and texts, for tests that compare two ways to decide."""

from __future__ import annotations

import random

import re2
from hypothesis import strategies as st
from rule_samples import a_rule, an_event

from muttd.event import Event
from muttd.rules.model import MatchType, Rule, SeverityOp

WORDS = (
    "link",
    "down",
    "LINK-3",
    "fan",
    "error",
    "Gi0/1",
    "Gi0/2",
    "s\u017fk\u212a",
    "ß",
    "sshd",
    "a",
    "12",
)


PATTERNS = (
    r"link",
    r"^link",
    r"down$",
    r"(link|fan) down",
    r"(?:link|fan|error)+ .*down",
    r"gi0/\d",
    r"\bfan\b",
    r"fa?n",
    r"er{2}or|ERR",
    r"[a-f]+\d",
    r"\d{2,}",
    r"(?-i)LINK",
    r"\S+ \S+ \S+",
    r"l.nk",
    r"(down )?fan",
    r"\x64own",
    r"\Qgi0/1\E",
    r"[^a-z ]+$",
    r"ss+h",
    r"k\W",
    r"\Alink|\Adown",
    r"s{1,3}k",
    r"link{0}d?",
    r"(?s:fan.*error)",
    r"\pN\pN",
    r"(?m)^fan",
)


HOSTS = ("sw1", "SW2.lab", "fw1", "10.1.2.3", "2001:db8::5")


HOST_PATTERNS = ("sw1", "sw*", "*.lab", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "f?1", "*")


OIDS = ("1.3.6", "1.3.6.1.4.1.9", "1.3.6.1.4.1.99", "1.3.6.1.4.1.9.2", "2.1")


def some_rule(number: int, source: random.Random) -> Rule:
    fields: dict[str, object] = {"priority": source.randrange(5)}
    kind = source.randrange(5)
    if kind < 2:
        text = source.choice(WORDS) + source.choice(("", " " + source.choice(WORDS)))
        fields |= {"match_string": text}
    elif kind == 2:
        fields |= {"match_type": MatchType.REGEX, "match_string": source.choice(PATTERNS)}
    elif kind == 3:
        fields |= {"match_type": MatchType.OID_PREFIX, "trap_oid": source.choice(OIDS)}
    if source.random() < 0.2:
        fields |= {"trap_oid": source.choice(OIDS)}
    if source.random() < 0.6 or kind == 4:
        fields |= {
            "syslog_severity": source.randrange(8),
            "severity_op": source.choice(list(SeverityOp)),
        }
    if source.random() < 0.4:
        fields |= {"host_pattern": source.choice(HOST_PATTERNS)}
    return a_rule(number, is_active=source.random() < 0.9, **fields)


def some_event(source: random.Random) -> Event:
    maybe = [None, *WORDS]
    return an_event(
        " ".join(source.choices(WORDS, k=source.randint(1, 6))),
        hostname=source.choice(HOSTS),
        source_ip=source.choice(("10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1")),
        severity=source.randrange(8),
        app_name=source.choice(maybe),
        procid=source.choice((None, "12")),
        msgid=source.choice((None, None, "link", "fan12")),
        trap_oid=source.choice((None, None, *OIDS, "1.3.6.1.4.1.9.2.7")),
    )


PLAIN_ATOMS = ["a", "b", "ab", "k", "s", "é", "A", "0", " ", ".", "^", "$", "{", "}"]


ESCAPE_ATOMS = [r"\d", r"\w", r"\s", r"\S", r"\b", r"\.", r"\x61", r"\Qab\E", r"\pL"]


OTHER_ATOMS = ["[ab]", "[^a]", "[^]a]", r"[\d-]", r"[^\w]", "(?i)", "(?-i)"]


ATOMS = st.sampled_from([*PLAIN_ATOMS, *ESCAPE_ATOMS, *OTHER_ATOMS])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"({'|'.join(branches)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{0}", "+?"])).map(
            "".join
        ),
        inner.map(lambda one: f"(?:{one})"),
        inner.map(lambda one: f"(?P<n>{one})"),
    )


EXPRESSIONS = st.recursive(ATOMS, _grown, max_leaves=8)


TEXTS = st.text(alphabet="abkAKsS\u212a\u017fé0 .{}\n", max_size=12)


def is_usable(pattern: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        return bool(re2.compile(pattern, options).programsize < 500)
    except re2.error:
        return False
