"""The ledger of the embedded queue, in the queue's file: one transaction with the ack.

    ledger         (kind, key) -> value (MessagePack), place in the order of its kind
    ledger_sizes   kind -> how many keys, how many evicted

Line by line what redis_ledger_scripts does; tests/conformance/test_ledger.py holds both to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from muttd.queue.ledger import (
    KEPT_US,
    KINDS,
    MOST,
    MOST_EARLY_OF_ONE,
    MOST_OPEN_OF_ONE,
    SLOTS,
    Claim,
    Counted,
    Due,
    Fallen,
    LedgerStats,
    Said,
    Sighting,
    SilentHost,
    Verdict,
    Watch,
)

_DUE_AT_ONCE = 100
_WATCH = "watch"

Value = list[Any]

_decoder = msgspec.msgpack.Decoder(list)
_encode = msgspec.msgpack.encode


class Books:
    """The tables, inside one transaction. close() before it ends.

    Args:
        connection: Of the transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._grown: dict[str, int] = {}

    def get(self, kind: str, key: str) -> Value | None:
        """The value under a key."""
        row = self._connection.execute(
            "SELECT value FROM ledger WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else _decoder.decode(row[0])

    def place(self, kind: str, key: str) -> int | None:
        """A key's place in the order."""
        row = self._connection.execute(
            "SELECT place FROM ledger WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else int(row[0])

    def put(self, kind: str, key: str, value: Value, place: int) -> None:
        """Set a key."""
        octets = _encode(value)
        changed = self._connection.execute(
            "UPDATE ledger SET value = ?, place = ? WHERE kind = ? AND key = ?",
            (octets, place, kind, key),
        ).rowcount
        if not changed:
            self._connection.execute(
                "INSERT INTO ledger (kind, key, place, value) VALUES (?, ?, ?, ?)",
                (kind, key, place, octets),
            )
            self._grown[kind] = self._grown.get(kind, 0) + 1

    def drop(self, kind: str, key: str) -> bool:
        """Forget a key; whether it was there."""
        gone = self._connection.execute(
            "DELETE FROM ledger WHERE kind = ? AND key = ?", (kind, key)
        ).rowcount
        if gone:
            self._grown[kind] = self._grown.get(kind, 0) - 1
        return bool(gone)

    def first(self, kind: str, at_most: int, count: int) -> list[tuple[str, Value, int]]:
        """Keys up to a place, in order."""
        rows = self._connection.execute(
            "SELECT key, value, place FROM ledger WHERE kind = ? AND place <= ?"
            " ORDER BY place, key LIMIT ?",
            (kind, at_most, count),
        )
        return [(key, _decoder.decode(value), place) for key, value, place in rows.fetchall()]

    def page(self, kind: str, after: str, count: int) -> list[tuple[str, Value]]:
        """Keys after one, by key."""
        rows = self._connection.execute(
            "SELECT key, value FROM ledger WHERE kind = ? AND key > ? ORDER BY key LIMIT ?",
            (kind, after, count),
        )
        return [(key, _decoder.decode(value)) for key, value in rows.fetchall()]

    def expire(self, kind: str, at_most: int) -> None:
        """Forget keys up to a place, which is no eviction."""
        gone = self._connection.execute(
            "DELETE FROM ledger WHERE kind = ? AND place <= ?", (kind, at_most)
        ).rowcount
        self._grown[kind] = self._grown.get(kind, 0) - gone

    def is_full(self, kind: str) -> bool:
        """Whether another key would be one too many."""
        return self._held(kind) + self._grown.get(kind, 0) >= MOST[kind]

    def stats(self) -> LedgerStats:
        """How much there is, before this transaction."""
        rows = self._connection.execute("SELECT kind, held, evicted FROM ledger_sizes").fetchall()
        return LedgerStats(
            {kind: held for kind, held, _ in rows if kind in KINDS},
            {kind: evicted for kind, _, evicted in rows if kind in KINDS},
        )

    def close(self) -> None:
        """Evict what is too much, and write down how much there is."""
        for kind, grown in self._grown.items():
            surplus = self._held(kind) + grown - MOST.get(kind, 1)
            if surplus > 0:
                self._connection.execute(
                    "DELETE FROM ledger WHERE kind = ?1 AND key IN (SELECT key FROM ledger"
                    " WHERE kind = ?1 ORDER BY place, key LIMIT ?2)",
                    (kind, surplus),
                )
            evicted = max(0, surplus)
            self._connection.execute(
                "UPDATE ledger_sizes SET held = held + ?, evicted = evicted + ? WHERE kind = ?",
                (grown - evicted, evicted, kind),
            )

    def _held(self, kind: str) -> int:
        row = self._connection.execute(
            "SELECT held FROM ledger_sizes WHERE kind = ?", (kind,)
        ).fetchone()
        return int(row[0])


def count(connection: sqlite3.Connection, counted: Counted) -> None:
    """Count what an ack counts."""
    books = Books(connection)
    for sighting in counted.sightings:
        _count_group(books, sighting, counted.threshold, counted.window_us)
    for host, source_ip, at_us in counted.hosts:
        place = books.place("seen", host)
        if (place is None and not books.is_full("seen")) or (place is not None and at_us > place):
            books.put("seen", host, [source_ip], at_us)
    for alert_id in counted.judged:
        books.drop("judged", alert_id)
    books.close()


def _count_group(books: Books, sighting: Sighting, threshold: int, window_us: int) -> None:
    # A group: when it last became due, what it is about, its newest event, then slot and count.
    state = books.get("groups", sighting.key) or [0, sighting.about, 0]
    slot_us = max(1, window_us // SLOTS)
    counts = dict(zip(state[3::2], state[4::2], strict=True))
    for at_us, number in zip(sighting.times[::2], sighting.times[1::2], strict=True):
        slot = at_us - at_us % slot_us
        counts[slot] = counts.get(slot, 0) + number
        state[2] = max(state[2], at_us)
    _weigh_group(books, sighting.key, [*state[:3], counts], (state[2], threshold, window_us))


def _weigh_group(
    books: Books, key: str, state: Value, limits: tuple[int, int, int], *, is_look: bool = False
) -> bool:
    """Keep a group's counts within the window; whether it became due."""
    now_us, threshold, window_us = limits
    slot_us = max(1, window_us // SLOTS)
    due_at_us, about, newest_us, counts = state
    counts = {slot: n for slot, n in counts.items() if slot + slot_us > now_us - window_us}
    total = sum(counts.values())
    is_due: bool = total >= threshold and now_us >= due_at_us + window_us
    if is_due:
        due_at_us = now_us
        due: Value = ["unhandled", now_us, total, window_us, about]
        books.put("due", f"unhandled:{key}:{now_us}", due, now_us)
    elif is_look:
        # A look at all of them changes only those that it finds.
        return False
    flat = [part for pair in counts.items() for part in pair]
    # Who is near the threshold outlives a crowd of newcomers by up to a window.
    place = newest_us + window_us * min(total, threshold) // threshold
    books.put("groups", key, [due_at_us, about, newest_us, *flat], place)
    return is_due


def recount(books: Books, after: str, limits: tuple[int, int, int]) -> tuple[str, int]:
    """Weigh one page of the groups; (where the next begins or "", how many became due)."""
    page = books.page("groups", after, 500)
    became = 0
    for key, state in page:
        counts = dict(zip(state[3::2], state[4::2], strict=True))
        became += _weigh_group(books, key, [*state[:3], counts], limits, is_look=True)
    return (page[-1][0] if len(page) == 500 else ""), became


def judge(books: Books, claims: Sequence[Claim]) -> list[Verdict]:
    """Judge claims in this order."""
    verdicts = []
    for claim in claims:
        known = books.get("judged", claim.alert_id)
        if known is None:
            known = _cleared(books, claim) if claim.is_clear else _raised(books, claim)
            books.put("judged", claim.alert_id, known, claim.at_us)
        verdicts.append(msgspec.convert(known, Verdict))
    return verdicts


def _raised(books: Books, claim: Claim) -> Value:
    held_back = 0
    if claim.interval_us:
        # Which alert stands for the signature, since when, how many it held back.
        state = books.get("repeats", claim.repeat_key)
        if state is not None and claim.at_us < state[1] + claim.interval_us:
            until_us = state[1] + claim.interval_us
            books.put("repeats", claim.repeat_key, [state[0], state[1], state[2] + 1], until_us)
            if claim.pair:
                _hold_reopened(books, claim, until_us)
            return [Said.HOLD.value, 0, state[0], []]
        held_back = 0 if state is None else state[2]
        state = [claim.alert_id, claim.at_us, 0]
        books.put("repeats", claim.repeat_key, state, claim.at_us + claim.interval_us)
        books.drop("later", claim.repeat_key)
    ended = _open(books, claim) if claim.pair else []
    return [Said.SEND.value, held_back, "", ended]


def _hold_reopened(books: Books, claim: Claim, until_us: int) -> None:
    """A problem that is held back, and whose receiver thinks it is over, is raised later."""
    problems = books.get("open", claim.pair) or []
    for problem in problems:
        if problem[0] == claim.signature and (not problem[3] or _is_due(problem)):
            return
    _keep_problem(books, claim, problems, claim.repeat_key)
    later: Value = [claim.alert_id, claim.alert, claim.pair, claim.signature, claim.interval_us]
    books.put("later", claim.repeat_key, later, until_us)


def _open(books: Books, claim: Claim) -> list[str]:
    """Note a problem; the clears that came before it, in which case it is none."""
    early = books.get("early", claim.pair) or []
    ended = [e for e in early if e[0] > claim.at_us and _is_same_thing(e[1], claim.names)]
    if ended:
        rest = [e for e in early if e not in ended]
        if rest:
            books.put("early", claim.pair, rest, max(e[0] for e in rest))
        else:
            books.drop("early", claim.pair)
        return [ended[0][2]]
    _keep_problem(books, claim, books.get("open", claim.pair) or [], "")
    return []


def _keep_problem(books: Books, claim: Claim, problems: Value, waits: str) -> None:
    # A problem: signature, what it is about, when, and where it waits in `later` if it does; or as
    # what it was put into the outbox.
    others = [problem for problem in problems if problem[0] != claim.signature]
    kept = [*others[1 - MOST_OPEN_OF_ONE :], [claim.signature, claim.names, claim.at_us, waits]]
    books.put("open", claim.pair, kept, claim.at_us)


def _cleared(books: Books, claim: Claim) -> Value:
    ended, kept, is_known = [], [], False
    for problem in books.get("open", claim.pair) or []:
        if problem[2] > claim.at_us or not _is_same_thing(problem[1], claim.names):
            kept.append(problem)
            continue
        is_known = True
        if problem[3] and not _is_due(problem):
            books.drop("later", problem[3])
        elif not problem[3] or not books.drop("due", problem[3]):
            # Not in the outbox any more, where its clear would overtake it.
            ended.append(problem[0])
    if not is_known:
        early = books.get("early", claim.pair) or []
        early = [*early[1 - MOST_EARLY_OF_ONE :], [claim.at_us, claim.names, claim.alert]]
        books.put("early", claim.pair, early, claim.at_us)
    elif kept:
        books.put("open", claim.pair, kept, claim.at_us)
    else:
        books.drop("open", claim.pair)
    return [Said.CLEAR.value, 0, "", ended]


def _is_due(problem: Value) -> bool:
    return str(problem[3]).startswith("alert:")


def _is_same_thing(names: list[str], others: list[str]) -> bool:
    """Whether one of them names nothing that the other does not."""
    return set(names) <= set(others) or set(others) <= set(names)


def due(books: Books, now_us: int, window_us: int) -> tuple[list[Due], LedgerStats]:
    """The outbox; raises what was held back until now, and forgets what is of no use."""
    for key, (alert_id, alert, pair, signature, interval_us), place in books.first(
        "later", now_us, _DUE_AT_ONCE
    ):
        books.drop("later", key)
        state = books.get("repeats", key) or [alert_id, place, 1]
        books.put("repeats", key, [alert_id, place, 0], place + interval_us)
        books.put("due", f"alert:{alert_id}", ["alert", place, state[2] - 1, 0, alert], place)
        problems = books.get("open", pair) or []
        for problem in problems:
            if problem[0] == signature:
                problem[3] = f"alert:{alert_id}"
        books.put("open", pair, problems, place)
    for kind, kept_us in (*KEPT_US.items(), ("groups", window_us)):
        books.expire(kind, now_us - kept_us)
    found = [Due(due_id, *value) for due_id, value, _ in books.first("due", 2**62, _DUE_AT_ONCE)]
    return found, books.stats()


def watch(
    books: Books, watcher: str, times: tuple[int, int, int], adopt: Sequence[str]
) -> Watch | None:
    """Look for silence, unless another one does."""
    now_us, gap_us, quiet_before_us = times
    # Since when, until when, by whom.
    since_us, until_us, last_watcher = books.get(_WATCH, "") or [now_us, now_us, watcher]
    if now_us - until_us > gap_us:
        since_us = now_us
    elif last_watcher != watcher and now_us - until_us <= gap_us // 2:
        return None
    books.put(_WATCH, "", [since_us, max(now_us, until_us), watcher], 0)
    for host in adopt:
        if books.place("seen", host) is None and books.get("silent", host) is None:
            books.put("seen", host, [""], now_us)
    quiet = [
        (host, value[0], place)
        for host, value, place in books.first("seen", quiet_before_us, MOST["seen"])
    ]
    silent = [
        SilentHost(host, value[1], books.place("seen", host))
        for host, value, _ in books.first("silent", 2**62, MOST["silent"])
    ]
    return Watch(since_us, quiet, silent)


def fall_silent(books: Books, fallen: Sequence[Fallen]) -> None:
    """Report hosts silent."""
    for each in fallen:
        if books.place("seen", each.host) != each.last_us or books.get("silent", each.host):
            continue
        books.drop("seen", each.host)
        due_id = f"silent:{each.host}:{each.last_us}"
        value: Value = [due_id, each.about]
        books.put("silent", each.host, value, each.at_us)
        said: Value = ["silent", each.at_us, 0, each.expect_every_us, each.about]
        books.put("due", due_id, said, each.at_us)


def end_silence(books: Books, hosts: Sequence[str], now_us: int, forget: Sequence[str]) -> None:
    """Say that hosts are back."""
    for host in hosts:
        state = books.get("silent", host)
        if state is not None:
            books.drop("silent", host)
            said: Value = ["back", now_us, 0, 0, state[1]]
            books.put("due", f"{state[0]}:back", said, now_us)
    for host in forget:
        books.drop("seen", host)
