"""docs/backup.md, run: what its commands save they give back."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from guide_text import GuideShell, blocks, owned_directory
from running_daemon import RunningDaemon
from servers.postgres_server import SUPERUSER, PostgresServer, find_postgres, needs_postgres
from servers.redis_server import RedisSetup, needs_redis, redis_server

pytestmark = pytest.mark.chaos

PAGE = "backup.md"


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


@needs_postgres
def test_postgres_goes_back_to_the_moment_before_the_mistake() -> None:
    bin_dir = find_postgres()
    with owned_directory() as (directory, prefix):
        server = PostgresServer(directory)
        backup = directory / "backup"
        shell = GuideShell(
            places={
                "/usr/lib/postgresql/15/bin": str(bin_dir),
                "/var/lib/postgresql/15/main": str(server.data),
                "/srv/backup": str(backup),
            },
            services={
                "restart postgresql": partial(restart, server),
                "stop postgresql": server.stop,
                "start postgresql": server.start,
            },
            prefix=prefix,
        )
        subprocess.run([*prefix, "mkdir", "-p", backup / "wal"], check=True)
        server.initdb()
        server.start()
        try:
            walk_back_in_time(server, shell)
        finally:
            server.kill()


def walk_back_in_time(server: PostgresServer, shell: GuideShell) -> None:
    def add(count: int, text: str) -> None:
        server.execute(
            f"INSERT INTO event_audit_log SELECT now(), '{text}' FROM generate_series(1, {count})",
            database="mutt",
        )

    def stored() -> dict[object, object]:
        rows = server.execute(
            "SELECT message, count(*) FROM event_audit_log GROUP BY message", database="mutt"
        )
        return {row[0]: row[1] for row in rows}

    [archiving] = blocks(PAGE, "PostgreSQL: base backup and WAL", "ini")
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(shell.translated(archiving))
    switch_on, base, clean_up = blocks(PAGE, "PostgreSQL: base backup and WAL")
    shell.run(switch_on)
    server.execute("CREATE DATABASE mutt")
    server.execute(
        "CREATE TABLE event_audit_log (received_at timestamptz, message text)", database="mutt"
    )
    shell = located(shell, server)
    add(100, "before the backup")
    assert "successfully verified" in shell.run(base)
    add(100, "after the backup")
    [(moment,)] = server.execute("SELECT (now() + interval '1 ms')::text")
    server.execute("SELECT pg_sleep(0.1)")
    server.execute("DELETE FROM event_audit_log", database="mutt")
    add(1, "after the mistake")
    assert stored() == {"after the mistake": 1}

    stop, swap, start, look, go = blocks(PAGE, "PostgreSQL: back to a moment")
    shell.run(stop)
    shell.run(swap.replace("2027-03-01 14:30:00+00", str(moment)))
    shell.run(start)
    # Paused at the moment: readable, in recovery, nothing replayed beyond it.
    assert re.search(r"^ t +\| ", shell.run(look), flags=re.MULTILINE)
    assert stored() == {"before the backup": 100, "after the backup": 100}
    shell.run(go)
    add(1, "from now on")
    assert stored()["from now on"] == 1
    shell.run(base)
    archive = server.directory / "backup" / "wal"
    before = len(list(archive.iterdir()))
    shell.run(clean_up)
    assert 0 < len(list(archive.iterdir())) < before
    # What the page says about both: it comes back writable after a restart, with its target gone.
    restart(server)
    assert server.execute("SELECT pg_is_in_recovery()") == [(False,)]


def located(shell: GuideShell, server: PostgresServer) -> GuideShell:
    """The shell of a person at that server."""
    environ = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": SUPERUSER}
    return GuideShell(
        places=shell.places, services=shell.services, prefix=shell.prefix, environ=environ
    )


@needs_redis
def test_redis_gives_back_what_its_append_only_file_had(tmp_path: Path) -> None:
    setup = RedisSetup(settings={"appendonly": "yes"})
    with redis_server(setup) as server, server.client() as client:
        shell = GuideShell(
            places={
                "/var/lib/redis": str(server.directory),
                "/srv/backup": str(tmp_path / "backup"),
                "-h 127.0.0.1 -p 6379": f"-h 127.0.0.1 -p {server.port}",
            },
            services={"stop redis-server": server.stop, "start redis-server": server.start},
        )
        aof, rdb, restore = blocks(PAGE, "Redis: copies of AOF and RDB")
        client.xadd("{mutt}:ingest", {"payload": "kept"})
        shell.run(aof)
        shell.run(rdb)
        assert list((tmp_path / "backup" / "redis").glob("dump-*.rdb"))
        client.delete("{mutt}:ingest")
        client.close()
        said = shell.run(restore)
        assert "AOF" in said
        assert client.xlen("{mutt}:ingest") == 1
        assert client.config_get("auto-aof-rewrite-percentage") == {
            "auto-aof-rewrite-percentage": "100"
        }


def test_an_embedded_daemon_is_copied_while_it_runs_and_restored(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    daemons = [start_daemon(state)]
    shell = GuideShell(
        places={"/var/lib/mutt": str(state), "/srv/backup": str(tmp_path / "backup")},
        services={
            "stop muttd": lambda: daemons[-1].terminate(),
            "start muttd": lambda: daemons.append(start_daemon(state)),
        },
    )
    save, restore = blocks(PAGE, "Embedded: SQLite")
    key = daemons[-1].key()
    daemons[-1].post("/ingest", {"message": "kept", "hostname": "h"})
    daemons[-1].wait_idle()
    assert "ok" in shell.run(save)
    daemons[-1].post("/ingest", {"message": "after the copy", "hostname": "h"})
    daemons[-1].wait_idle()
    shell.run(restore)
    assert len(daemons) == 2
    assert daemons[-1].key() == key
    assert [event["message"] for event in daemons[-1].events()] == ["kept"]
