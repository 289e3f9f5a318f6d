"""The connection URI of libpq, taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from muttd.store.postgres_options import PostgresOptions

SECRET = "h3mlig"


def test_each_host_is_a_server_of_its_own() -> None:
    options = PostgresOptions(url="postgresql://mutt@db-1:5433,db-2/events?sslmode=require")
    assert [server.name for server in options.servers()] == ["db-1:5433", "db-2:5432"]
    first, second = (server.parameters for server in options.servers())
    assert (first["host"], first["port"], first["dbname"]) == ("db-1", "5433", "events")
    assert (second["host"], second["port"]) == ("db-2", "5432")
    assert (second["user"], second["sslmode"]) == ("mutt", "require")


def test_of_several_hosts_the_one_that_takes_writes_is_wanted() -> None:
    several = PostgresOptions(url="postgresql://db-1,db-2/events").servers()
    assert {server.parameters["target_session_attrs"] for server in several} == {"read-write"}
    [single] = PostgresOptions(url="postgresql://db-1/events").servers()
    assert "target_session_attrs" not in single.parameters
    chosen = PostgresOptions(url="postgresql://a,b/e?target_session_attrs=any").servers()
    assert {server.parameters["target_session_attrs"] for server in chosen} == {"any"}


def test_one_port_is_for_all_hosts_and_addresses_go_with_theirs() -> None:
    [first, second] = PostgresOptions(
        url="postgresql:///e?host=a,b&port=6432&hostaddr=192.0.2.1,192.0.2.2"
    ).servers()
    assert (first.name, second.name) == ("a:6432", "b:6432")
    assert (first.parameters["hostaddr"], second.parameters["hostaddr"]) == (
        "192.0.2.1",
        "192.0.2.2",
    )


def test_a_url_without_a_host_is_the_local_socket() -> None:
    [server] = PostgresOptions(url="postgresql:///events").servers()
    assert server.name == "local:5432"
    assert "host" not in server.parameters


def test_files_are_used_unless_the_url_names_its_own() -> None:
    options = PostgresOptions(
        url="postgresql://db/e?sslmode=verify-full&sslcert=/own.crt",
        ca=Path("/ca.crt"),
        cert=Path("/daemon.crt"),
        key=Path("/daemon.key"),
    )
    [server] = options.servers()
    assert server.parameters["sslrootcert"] == "/ca.crt"
    assert server.parameters["sslcert"] == "/own.crt"
    assert server.parameters["sslkey"] == "/daemon.key"


def test_without_a_ca_those_of_the_machine_are_trusted() -> None:
    [server] = PostgresOptions(url="postgresql://db/e?sslmode=verify-full").servers()
    assert (
        server.parameters["sslrootcert"] == "system"
        or Path(server.parameters["sslrootcert"]).is_file()
    )
    [plain] = PostgresOptions(url="postgresql://db/e").servers()
    assert "sslrootcert" not in plain.parameters


def test_passwords_are_tried_in_order_and_the_one_in_the_url_last() -> None:
    url = "postgresql://mutt:third@db/e"
    assert PostgresOptions(url=url, passwords=("first", "second")).all_passwords() == [
        "first",
        "second",
        "third",
    ]
    assert PostgresOptions(url="postgresql://mutt@db/e").all_passwords() == [None]


def test_nothing_shows_the_url_or_a_password() -> None:
    options = PostgresOptions(url=f"postgresql://mutt:{SECRET}@db/e", passwords=(SECRET,))
    assert SECRET not in repr(options)
    assert SECRET not in repr(options.servers())
    assert all("password" not in server.parameters for server in options.servers())


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://mutt:{SECRET}@db/e?no_such_parameter=1",
        f"postgresql://mutt:{SECRET}@[::1/e",
        f"postgresql://mutt:{SECRET}@a,b,c/e?port=1,2",
    ],
)
def test_a_url_that_libpq_does_not_take_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        PostgresOptions(url=url)
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
