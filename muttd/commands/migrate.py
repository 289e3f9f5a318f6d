"""muttd migrate: bring the schema in PostgreSQL up to date, and say what was done.

    0     done, or nothing to do      69    PostgreSQL or Vault does not answer; nothing is changed
    78    the settings are wrong, the schema is newer than this program, or we may not change it

The store in the state directory needs none of this: it is brought up to date when it is opened.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial

import trio

from muttd.commands.outcome import EX_CONFIG, EX_OK, EX_UNAVAILABLE, CommandFailed
from muttd.errors import SecretsError, StoreRefused, StoreUnavailable
from muttd.settings import load


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command."""
    migrate = commands.add_parser("migrate", help="bring the schema in PostgreSQL up to date")
    migrate.set_defaults(command=migrate_store)


def migrate_store(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Apply what is pending."""
    settings = load(environ)
    # Here and not above: no other command has to wait for these parts to be imported.
    from muttd.store.postgres import migrate_postgres
    from muttd.wiring_backends import database_options
    from muttd.wiring_secrets import load_once

    try:
        options = database_options(load_once(settings, environ))
    except SecretsError as exc:
        raise CommandFailed(str(exc), EX_UNAVAILABLE) from exc
    if options is None:
        sys.stdout.write(
            "MUTTD_DATABASE_URL is not set: the store in the state directory is brought up to"
            " date by muttd run.\n"
        )
        return EX_OK
    try:
        applied = trio.run(partial(migrate_postgres, options))
    except StoreUnavailable as exc:
        raise CommandFailed(str(exc), EX_UNAVAILABLE) from exc
    except StoreRefused as exc:
        raise CommandFailed(str(exc), EX_CONFIG) from exc
    for migration in applied:
        sys.stdout.write(f"{migration} applied\n")
    sys.stdout.write("The schema is up to date.\n")
    return EX_OK
