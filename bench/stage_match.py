"""What one decision costs: us an event at 10, 1 000 and 10 000 rules, and compile time.

    PYTHONPATH=. .venv/bin/python bench/stage_match.py

Rules: 40 % contains, 30 % regex, 30 % OID prefix. Events: what routers, sshd and kernels send,
and linkDown traps; one in five is matched by the last rule.
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from muttd.decision import Handling
from muttd.event import Event, Transport
from muttd.rules.compile import compile_rules
from muttd.rules.model import MatchType, Rule, RuleBook
from muttd.rules.template import template_of

NOW = datetime(2025, 1, 1, tzinfo=UTC)
EVENTS = 5000
ROUNDS = 5


def word(source: random.Random) -> str:
    return "".join(source.choices(string.ascii_lowercase, k=source.randint(4, 9)))


def expression(source: random.Random) -> str:
    one, two = word(source), word(source)
    return source.choice(
        (
            rf"%{one.upper()}-[0-4]-\w+: {two}",
            rf"{one} failed for (user|host) \S+ port {source.randrange(65000)}",
            rf"^{one}\d+: .*{two}$",
            rf"({one}|{two}) (down|failed|lost)",
            rf"interface [A-Z][a-z]+\d+/\d+.*{one}",
            rf"\b{one}\[\d+\]: error \d{{3}}",
            # Nothing but common words: these share their literals.
            rf"interface \w+{source.randrange(99)}/\d+ is down",
        )
    )


def rule(number: int, source: random.Random) -> Rule:
    kind = source.random()
    if kind < 0.3:
        return a_rule(number, MatchType.REGEX, expression(source), None)
    if kind < 0.6:
        arcs = ".".join(str(source.randrange(50)) for _ in range(3))
        prefix = f"1.3.6.1.4.1.{source.randrange(9999)}.{arcs}"
        return a_rule(number, MatchType.OID_PREFIX, None, prefix)
    return a_rule(number, MatchType.CONTAINS, f"{word(source)} {word(source)}", None)


def a_rule(number: int, match_type: MatchType, text: str | None, trap_oid: str | None) -> Rule:
    return Rule(
        id=number,
        revision=1,
        created_at=NOW,
        updated_at=NOW,
        name=f"rule {number}",
        match_type=match_type,
        match_string=text,
        trap_oid=trap_oid,
        prod_handling=Handling.PAGE_ONLY,
        dev_handling=Handling.LOG_ONLY,
        team_assignment="NETO",
    )


def event(number: int, source: random.Random) -> Event:
    port = f"{source.randrange(4)}/{source.randrange(48)}"
    address = f"10.{source.randrange(9)}.{source.randrange(255)}.{source.randrange(255)}"
    app_name, procid, message, trap_oid = source.choice(
        (
            ("%LINK-3-UPDOWN", None, f"Interface Gi{port}, changed state to down", None),
            (
                "sshd",
                str(source.randrange(30000)),
                f"Failed password for invalid user {word(source)} from {address} port"
                f" {source.randrange(65000)} ssh2",
                None,
            ),
            (
                "kernel",
                None,
                f"[{source.random() * 1e6:.6f}] Out of memory: Killed process"
                f" {source.randrange(30000)} ({word(source)}) total-vm:{source.randrange(10**7)}kB",
                None,
            ),
            ("app", "1", f"{word(source)} {word(source)} {word(source)} error {port}", None),
            (
                None,
                None,
                f"IF-MIB::linkDown ifIndex.3=3 ifDescr.3=Gi{port}",
                f"1.3.6.1.4.1.{source.randrange(9999)}.1.2.3.0.{source.randrange(9)}",
            ),
        )
    )
    return Event(
        event_id=str(number),
        received_at=NOW,
        source_ip=address[:8],
        hostname=f"sw{source.randrange(2000)}.example.net",
        transport=Transport.SYSLOG_UDP,
        severity=source.randrange(8),
        message=message,
        raw=b"",
        app_name=app_name,
        procid=procid,
        trap_oid=trap_oid,
    )


def best_us(work: Callable[[], object], times: int) -> float:
    """CPU time: what else the machine does is not our business."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best / times * 1e6


def main() -> None:
    source = random.Random(1)
    events = [event(number, source) for number in range(EVENTS)]
    costs = {}
    for count in (10, 1000, 10_000):
        rules = [rule(number, source) for number in range(count - 1)]
        rules.append(a_rule(count, MatchType.CONTAINS, "changed state to down", None))
        book = RuleBook(revision=1, rules=tuple(rules))
        start = time.perf_counter()
        compile_rules(book)
        first_s = time.perf_counter() - start
        start = time.perf_counter()
        rule_set = compile_rules(book)
        again_s = time.perf_counter() - start
        costs[count] = us = best_us(partial(rule_set.decide_batch, events), EVENTS)
        print(
            f"{count:6} rules: {us:5.2f} us CPU an event,"
            f" compiled in {first_s:.3f} s, again in {again_s:.3f} s"
        )
    print(f"10000 rules cost {costs[10_000] - costs[10]:.2f} us an event more than 10")
    us = best_us(lambda: [template_of(each.message) for each in events], EVENTS)
    print(f"template_of: {us:5.2f} us a message")


if __name__ == "__main__":
    main()
