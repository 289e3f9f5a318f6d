"""docs/backup.md, run: what its commands save they give back."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from guide_text import GuideShell, blocks, owned_directory
from running_daemon import RunningDaemon, a_rule, eventually
from servers.postgres_server import SUPERUSER, PostgresServer, find_postgres, needs_postgres
from servers.redis_server import RedisSetup, needs_redis, redis_server

pytestmark = pytest.mark.chaos

PAGE = "backup.md"


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


@needs_postgres
def test_postgres_goes_back_to_the_moment_before_the_mistake_under_a_running_daemon(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    bin_dir = find_postgres()
    with owned_directory() as (directory, prefix):
        server = PostgresServer(directory)
        shell = GuideShell(
            places={
                "/usr/lib/postgresql/15/bin": str(bin_dir),
                "/var/lib/postgresql/15/main": str(server.data),
                "/srv/backup": str(directory / "backup"),
            },
            services={
                "restart postgresql": partial(restart, server),
                "stop postgresql": server.stop,
                "start postgresql": server.start,
            },
            prefix=prefix,
        )
        subprocess.run([*prefix, "mkdir", "-p", directory / "backup" / "wal"], check=True)
        server.initdb()
        server.start()
        try:
            switch_archiving_on(server, shell)
            server.execute("CREATE DATABASE mutt")
            daemon = start_daemon(MUTTD_DATABASE_URL=server.url("mutt"))
            rule = daemon.post("/api/v2/rules", a_rule())
            eventually(lambda: active_rules(daemon), lambda count: count == 1)
            walk_back_in_time(server, located(shell, server), daemon, rule["id"])
        finally:
            server.kill()


def switch_archiving_on(server: PostgresServer, shell: GuideShell) -> None:
    [archiving] = blocks(PAGE, "PostgreSQL: base backup and WAL", "ini")
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(shell.translated(archiving))
    shell.run(blocks(PAGE, "PostgreSQL: base backup and WAL")[0])


def active_rules(daemon: RunningDaemon) -> int:
    count: int = daemon.get("/api/v2/status")["rules"]["active"]
    return count


def audited(server: PostgresServer) -> set[str]:
    rows = server.execute("SELECT message FROM event_audit_log", database="mutt")
    return {str(message).removeprefix("LINK-3-UPDOWN ") for (message,) in rows}


def walk_back_in_time(
    server: PostgresServer, shell: GuideShell, daemon: RunningDaemon, rule_id: int
) -> None:
    def ingest(text: str) -> None:
        daemon.post("/ingest", {"message": f"LINK-3-UPDOWN {text}", "hostname": "h"})

    _, base, clean_up = blocks(PAGE, "PostgreSQL: base backup and WAL")
    stop, swap, start, look, go = blocks(PAGE, "PostgreSQL: back to a moment")
    ingest("before the backup")
    daemon.wait_idle()
    assert "successfully verified" in shell.run(base)
    ingest("after the backup")
    daemon.wait_idle()
    [(moment, _)] = server.execute("SELECT (now() + interval '1 ms')::text, pg_sleep(0.1)")
    server.execute("DELETE FROM event_audit_log", database="mutt")
    with daemon.client() as client:
        assert client.delete(f"/api/v2/rules/{rule_id}").status_code == 204
    assert audited(server) == set()

    shell.run(stop)
    shell.run(swap.replace("2027-03-01 14:30:00+00", str(moment)))
    shell.run(start)
    # Paused at the moment: readable, in recovery, nothing replayed beyond it.
    assert re.search(r"^ t +\| ", shell.run(look), flags=re.MULTILINE)
    assert audited(server) == {"before the backup", "after the backup"}
    ingest("while it takes no writes")
    shell.run(go)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: active_rules(daemon), lambda count: count == 1)
    eventually(lambda: daemon.events(q="while it takes no writes"))
    ingest("from now on")
    eventually(lambda: "from now on" in audited(server))

    archive = server.directory / "backup" / "wal"
    oldest = min(archive.iterdir())
    shell.run(base)
    shell.run(clean_up)
    assert not oldest.exists()
    assert list(archive.iterdir())
    # It comes back writable after a restart, with its target gone.
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
