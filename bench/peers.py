"""rsyslogd and snmptrapd, set up to do what the daemon does as far as they can.

rsyslogd   imudp or imptcp --> conditions --> omhiredis (a list) and ompgsql (rows)
snmptrapd  --> a file
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from servers.postgres_server import PostgresServer
from servers.redis_server import RedisServer
from wire_load import ENGINE, MATCHED, PAGED, TRAP_USER

from muttd.rules.model import MatchType, Rule

_TABLE = """
    CREATE TABLE events (
        received_at timestamptz NOT NULL, hostname text NOT NULL, severity smallint NOT NULL,
        tag text, rule text, message text NOT NULL
    );
    CREATE INDEX ON events (received_at);
    CREATE INDEX ON events (hostname, received_at);
"""
_HEAD = """\
global(workDirectory="{directory}" maxMessageSize="8k")
main_queue(queue.type="LinkedList" queue.size="5000000" queue.dequeueBatchSize="1024")
module(load="imudp" batchSize="256")
module(load="imptcp")
module(load="omhiredis")
module(load="ompgsql")
template(name="row" type="list" option.stdsql="on") {{
  constant(value="INSERT INTO events VALUES ('")
  property(name="timegenerated" dateFormat="rfc3339")
  constant(value="','") property(name="hostname")
  constant(value="',") property(name="syslogseverity")
  constant(value=",'") property(name="syslogtag")
  constant(value="','") property(name="$.rule")
  constant(value="','") property(name="msg") constant(value="')")
}}
input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="8m")
input(type="imptcp" address="127.0.0.1" port="{port}")
"""
_REDIS = """\
action(type="omhiredis" server="127.0.0.1" serverport="{port}" mode="queue" key="events"
  template="RSYSLOG_ForwardFormat")
"""
_POSTGRES = """\
ruleset(name="rows") {{
  action(type="ompgsql" server="127.0.0.1" port="{port}" user="{user}" pass="" db="{name}"
    template="row")
}}
{conditions}
set $.rule = "";
call rows
"""
_SNMPTRAPD = """\
serverRecvBuf 8388608
authCommunity log public
createUser -e 0x{engine} {user}
authUser log trapuser
"""
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that was started.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        pids: Its processes and those of its servers, by name.
        done: How many events have got to the end.
    """

    port: int
    pids: dict[str, int]
    done: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What rsyslogd is to do.

    Attributes:
        rules: As conditions, tried one after the other.
        redis, postgres: Where messages go.
        database: The URL of an empty one; None: no rows.
    """

    rules: Sequence[Rule]
    redis: RedisServer
    postgres: PostgresServer | None = None
    database: str | None = None


def conditions(rules: Sequence[Rule]) -> str:
    """What the rules ask, in RainerScript; the first that holds decides."""
    asked = [_condition(rule) for rule in rules]
    if asked:
        asked += [f'$msg contains "{MATCHED}"', f'$msg contains "{PAGED}"']
    return "".join(
        f'if {condition} then {{ set $.rule = "{number}"; call rows stop }}\n'
        for number, condition in enumerate(asked)
    )


def _condition(rule: Rule) -> str:
    text = rule.match_string or rule.trap_oid or ""
    if rule.match_type is not MatchType.REGEX:
        return f'$msg contains_i "{text}"'
    # POSIX has no \\d; what is left of the others glibc knows.
    posix = re.sub(r"\\d", "[0-9]", text).replace("\\", "\\\\").replace("$", "\\$")
    return f're_match_i($msg, "{posix}")'


@contextmanager
def rsyslogd(directory: Path, work: Work) -> Iterator[Peer]:
    """Start it, and wait until it listens."""
    port = _free_udp_port()
    config = _HEAD.format(directory=directory, port=port)
    config += _REDIS.format(port=work.redis.port)
    pids = {"redis": work.redis.pid}
    if work.postgres is not None and work.database is not None:
        with psycopg.connect(work.database) as connection:
            connection.execute(_TABLE)
        user, name = re.fullmatch(r".*//(\w+)@.*/(\w+)", work.database).groups()
        values = {"port": work.postgres.port, "user": user, "name": name}
        config += _POSTGRES.format(conditions=conditions(work.rules), **values)
        pids["postgres"] = work.postgres.pid
    path = directory / "rsyslog.conf"
    path.write_text(config)

    def done() -> int:
        if work.database is None:
            with work.redis.client() as client:
                return int(client.llen("events"))
        with psycopg.connect(work.database) as connection:
            return connection.execute("SELECT count(*) FROM events").fetchone()[0]

    # It starts with what is left of a wrong file, and says so only here.
    checked = subprocess.run(["rsyslogd", "-N1", "-f", path], capture_output=True, text=True)
    if checked.returncode != 0:
        raise SystemExit(checked.stderr)
    command = ["rsyslogd", "-n", "-i", directory / "pid", "-f", path]
    with _running(command, directory / "log", port) as pid:
        yield Peer(port, {"rsyslogd": pid, **pids}, done)


@contextmanager
def snmptrapd(directory: Path) -> Iterator[Peer]:
    """Start it, and wait until it listens."""
    port = _free_udp_port()
    user = TRAP_USER.removeprefix("createUser ").strip()
    path, traps = directory / "snmptrapd.conf", directory / "traps"
    path.write_text(_SNMPTRAPD.format(engine=ENGINE.hex(), user=user))
    os.environ["SNMP_PERSISTENT_DIR"] = str(directory)
    command = ["snmptrapd", "-f", "-n", "-C", "-c", path, "-Lf", traps, f"udp:127.0.0.1:{port}"]

    def done() -> int:
        return traps.read_bytes().count(b"seq=")

    with _running(command, directory / "log", port) as pid:
        yield Peer(port, {"snmptrapd": pid}, done)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str | Path], log: Path, port: int) -> Iterator[int]:
    if shutil.which(str(command[0])) is None:
        raise SystemExit(
            f"{command[0]} is not here: script/apt rsyslog rsyslog-hiredis rsyslog-pgsql snmptrapd"
        )
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + _START_S
        # Its local address, as proc(5) writes it.
        while f":{port:04X} 00000000:0000" not in Path("/proc/net/udp").read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not start: {log.read_text()}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()
