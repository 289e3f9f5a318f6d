"""The books of a load: what was sent, what was acknowledged, and what is stored, by number.

    sent = audited + history + refused + dropped (reported) + cut off with a killed daemon
    acknowledged and not stored = 0,   stored twice = 0

Read from PostgreSQL itself, not through the daemons that are judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cluster_load import ALERT_EVERY, KINDS, SEQUENCE, Fleet, Ledger, Load
from cluster_stack import DATABASE, Cluster
from running_daemon import RunningDaemon, ScriptedWebhook, eventually

# A datagram or a TCP octet that the sender gave away so shortly before SIGKILL may have been in a
# buffer of the kernel or of the daemon: nobody is left who could report it. It stays there as long
# as an append may take before it is given up: MUTTD_REDIS_TIMEOUT_S and MUTTD_REDIS_WAIT_S.
CUT_OFF_S = 3.0
LISTENERS = {"udp": "syslog_udp", "tcp": "syslog_tcp", "trap": "snmp", "inform": "snmp"}
# Whose sender is told yes or no, and repeats what nobody answered.
ANSWERED = ("inform", "http")


@dataclass(frozen=True, slots=True)
class Account:
    """One kind: sent = stored + refused + unanswered + reported + cut_off + lost.

    Attributes:
        refused: Not stored; the sender was told no.
        unanswered: Not stored; the sender was told nothing and expects an answer.
        reported: Not stored; counted by the daemon that dropped it.
        cut_off: Not stored; given to a daemon within CUT_OFF_S of its SIGKILL.
        lost: Not stored, and nobody said so.
        lost_at: Of each that is lost or reported: its number, and how many seconds before the last
            one it was sent.
        lost_acknowledged: Numbers not stored though the sender was told yes.
        doubled: Numbers stored more than once.
    """

    kind: str
    sent: int
    acknowledged: int
    stored: int
    refused: int
    unanswered: int
    reported: int
    cut_off: int
    lost: int
    lost_at: list[tuple[int, float]]
    lost_acknowledged: Sequence[int]
    doubled: Sequence[int]


TABLES = ("event_audit_log", "event_history")


def sequences_since(cluster: Cluster, seconds: float) -> set[str]:
    """What was received in the last seconds and is stored."""
    return {
        match[0]
        for table in TABLES
        for (message,) in cluster.servers.writable.execute(
            f"SELECT message FROM {table} WHERE received_at > now() - interval '{seconds} s'",
            database=DATABASE,
        )
        if (match := SEQUENCE.search(str(message)))
    }


def stored_numbers(cluster: Cluster) -> dict[str, Counter[int]]:
    """How often each number is in event_audit_log or event_history."""
    found: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
    for table in TABLES:
        rows = cluster.servers.writable.execute(f"SELECT message FROM {table}", database=DATABASE)
        for (message,) in rows:
            if match := SEQUENCE.search(str(message)):
                found[match[1]][int(match[2])] += 1
    return found


def doubled_event_ids(cluster: Cluster) -> list[tuple[object, ...]]:
    """event_ids that have more than one row, in whatever partition."""
    return cluster.servers.writable.execute(
        "SELECT event_id, count(*) FROM (SELECT event_id FROM event_audit_log"
        " UNION ALL SELECT event_id FROM event_history) AS both_tables"
        " GROUP BY event_id HAVING count(*) > 1",
        database=DATABASE,
    )


def accounts_of(load: Load, fleet: Fleet, cluster: Cluster) -> list[Account]:
    """The books of every kind, once everything has settled."""
    stored = stored_numbers(cluster)
    dropped = _dropped([daemon for name in fleet.names if (daemon := fleet.daemon(name))])
    return [_account(load.ledgers[kind], stored[kind], fleet.killed_at, dropped) for kind in KINDS]


def _account(
    ledger: Ledger, stored: Counter[int], killed_at: Mapping[str, float], dropped: Counter[str]
) -> Account:
    missing = [number for number in range(len(ledger.sent)) if not stored[number]]
    refused = [number for number in missing if number in ledger.refused]
    left = [number for number in missing if number not in ledger.refused]
    unanswered: list[int] = []
    cut_off: list[int] = []
    if ledger.kind in ANSWERED:
        unanswered = [number for number in left if number not in ledger.acknowledged]
    else:
        cut_off = [number for number in left if _is_cut_off(*ledger.sent[number], killed_at)]
    silent = len(left) - len(unanswered) - len(cut_off)
    reported = min(silent, dropped[LISTENERS.get(ledger.kind, "http")])
    return Account(
        kind=ledger.kind,
        sent=len(ledger.sent),
        acknowledged=len(ledger.acknowledged),
        stored=len(ledger.sent) - len(missing),
        refused=len(refused),
        unanswered=len(unanswered),
        reported=reported,
        cut_off=len(cut_off),
        lost=silent - reported,
        lost_at=[
            (number, round(ledger.sent[-1][0] - ledger.sent[number][0], 2))
            for number in left
            if number not in unanswered and number not in cut_off
        ],
        lost_acknowledged=[number for number in missing if number in ledger.acknowledged],
        doubled=[number for number, count in stored.items() if count > 1],
    )


def _is_cut_off(sent_at: float, daemon: str, killed_at: Mapping[str, float]) -> bool:
    return daemon in killed_at and sent_at > killed_at[daemon] - CUT_OFF_S


def _dropped(daemons: Sequence[RunningDaemon]) -> Counter[str]:
    """What the daemons say that they lost, by listener."""
    dropped: Counter[str] = Counter()
    for daemon in daemons:
        for row in daemon.get("/api/v2/status")["listeners"]:
            dropped[row["name"]] += row["dropped"] + row["refused"] + row["kernel_dropped"]
    return dropped


def wait_settled(fleet: Fleet, *, within_s: float = 60.0) -> None:
    """Wait until nothing is on its way: no buffer, no spool, no stream holds anything."""
    for name in fleet.names:
        daemon = fleet.daemon(name)
        assert daemon is not None
        eventually(partial(_waiting, daemon), lambda count: count == 0, within_s=within_s)


def _waiting(daemon: RunningDaemon) -> int | None:
    status = daemon.get("/api/v2/status")
    spool = status.get("spool") or {}
    counts: list[Any] = [
        status["intake"]["waiting_events"],
        spool.get("events", 0),
        status["queue"]["ingest"]["items"],
        status["queue"]["alert"]["items"],
    ]
    # A queue that does not answer is not empty.
    return None if None in counts else sum(counts)


def table_of(accounts: Sequence[Account]) -> str:
    """For a person: one line a kind."""
    columns = ["sent", "acknowledged", "stored", "refused", "unanswered", "reported", "cut_off"]
    columns.append("lost")
    lines = [f"{'':8}" + "".join(f"{name:>14}" for name in columns)]
    lines += [
        f"{each.kind:8}" + "".join(f"{getattr(each, name):>14}" for name in columns)
        for each in accounts
    ]
    return "\n".join(lines)


def assert_nothing_is_lost(load: Load, fleet: Fleet, cluster: Cluster) -> list[Account]:
    """Both equations of the module's text; what it found, for whoever prints it."""
    accounts = accounts_of(load, fleet, cluster)
    table = table_of(accounts)
    for account in accounts:
        assert account.lost_acknowledged == [], f"{account.kind}\n{table}"
        assert account.doubled == [], f"{account.kind}\n{table}"
        # Each with the seconds from its sending to the last one's: which fault it fell into.
        assert account.lost == 0, f"{account.kind} {account.lost_at}\n{table}"
        assert account.stored > 0, f"{account.kind}\n{table}"
    assert doubled_event_ids(cluster) == []
    return accounts


def assert_alerts_had_one_effect(load: Load, webhook: ScriptedWebhook) -> int:
    """Every acknowledged event that raises an alert had it delivered, under one external_id.

    Returns how many calls were repetitions; a receiver knows them by their external_id.
    """
    ids: dict[str, set[str]] = {}
    for call in webhook.accepted:
        if match := SEQUENCE.search(call.body["description"]):
            ids.setdefault(match[0], set()).add(call.body["external_id"])
    wanted = {
        f"seq={kind}-{number}"
        for kind, ledger in load.ledgers.items()
        for number in ledger.acknowledged
        if number % ALERT_EVERY == 0
    }
    assert wanted - set(ids) == set()
    assert [text for text, each in ids.items() if len(each) > 1] == []
    return len(webhook.accepted) - len(ids)


def assert_nothing_is_dead(fleet: Fleet) -> None:
    """No event and no alert was given up on."""
    for name in fleet.names:
        daemon = fleet.daemon(name)
        assert daemon is not None
        status = daemon.get("/api/v2/status")
        assert status["pipeline"]["buried"] == 0
        assert status["forwarder"]["dead"] == 0
        assert not any("Traceback" in line for line in daemon.log), daemon.log
