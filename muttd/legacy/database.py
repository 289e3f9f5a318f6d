"""The predecessor's tables, read from its PostgreSQL while it runs: one read-only transaction.

The one file here that knows psycopg.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from muttd.errors import InvalidInput, StoreRefused, StoreUnavailable
from muttd.legacy.tables import HOSTS, RULES, TEAMS, Row, Tables

# Somebody waits before a terminal.
_CONNECT_TIMEOUT_S = 10


def read_tables(url: str) -> Tables:
    """Read every table that is there.

    Args:
        url: A connection string of libpq. Its password comes from PGPASSWORD, PGPASSFILE or
            ~/.pgpass: everybody on a machine can read the arguments of a command.

    Raises:
        InvalidInput: The URL has a password in it, is none, or leads to a database without
            alert_rules.
        StoreUnavailable, StoreRefused: The database is away, or does not let us in.
    """
    _check(url)
    try:
        with psycopg.connect(
            url, connect_timeout=_CONNECT_TIMEOUT_S, row_factory=dict_row
        ) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return Tables(
                rules=_rows(connection, RULES, order="id"),
                hosts=_rows(connection, HOSTS, order="hostname"),
                teams=_rows(connection, TEAMS, order="hostname"),
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn) as exc:
        raise StoreRefused(str(exc).strip()) from exc
    except psycopg.errors.UndefinedTable as exc:
        raise InvalidInput([("database", f"is not the predecessor's: {_first_line(exc)}")]) from exc
    except psycopg.OperationalError as exc:
        raise StoreUnavailable(_first_line(exc)) from exc


def _check(url: str) -> None:
    try:
        has_password = "password" in conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        raise InvalidInput([("URL", "is no connection string of PostgreSQL")]) from exc
    if has_password or urlsplit(url).password:
        raise InvalidInput(
            [("URL", "has a password in it, which everybody on this machine can read: PGPASSFILE")]
        )


def _rows(
    connection: psycopg.Connection[dict[str, object]], table: str, *, order: str
) -> list[Row]:
    columns = {
        str(row["column_name"])
        for row in connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = ANY (current_schemas(false)) AND table_name = %s",
            (table,),
        )
    }
    if table == RULES and "rule" in columns:
        raise InvalidInput([("database", "is muttd's own, and not the predecessor's")])
    query = sql.SQL("SELECT * FROM {} ORDER BY {}").format(
        sql.Identifier(table), sql.Identifier(order)
    )
    return connection.execute(query).fetchall()


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0]
