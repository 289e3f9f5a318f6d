"""muttd import-legacy: what the predecessor left behind becomes settings, rules, hosts and teams.

    --env FILE                      its environment    -> --write-env FILE, secrets in --secrets-dir
    --from-database URL             its tables, live   \
    --from-dump FILE                from pg_dump        > -> a running daemon, over the REST API
    --rules, --hosts, --teams FILE  from CSV or JSON   /
    --dry-run                       the report alone; nothing is written

Every name and every row is in the report: mapped, left out with the reason, or to be mended by a
person; the last make the exit code 65. What is there already is left, so it can be run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from muttd.commands import legacy_apply, legacy_files
from muttd.commands.client import add_client_options, open_client
from muttd.commands.outcome import (
    EX_DATAERR,
    EX_NOINPUT,
    EX_OK,
    EX_UNAVAILABLE,
    EX_USAGE,
    CommandFailed,
)
from muttd.errors import InvalidInput, StoreRefused, StoreUnavailable
from muttd.legacy.env_file import read_env
from muttd.legacy.env_map import EnvPlan, map_environment
from muttd.legacy.findings import Finding, Verdict
from muttd.legacy.rows_map import TablePlan, map_tables
from muttd.legacy.tables import Tables, rows_from_text, tables_from_dump

T = TypeVar("T")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command."""
    parser = commands.add_parser(
        "import-legacy", help="take over settings, rules, hosts and teams of the predecessor"
    )
    parser.add_argument("--env", metavar="FILE", type=Path, help="its env file")
    parser.add_argument("--write-env", metavar="FILE", type=Path, help="where ours is written")
    parser.add_argument(
        "--secrets-dir",
        metavar="DIR",
        type=Path,
        default=Path("/etc/mutt/secrets"),
        help="where secrets are written, one file each (default /etc/mutt/secrets)",
    )
    parser.add_argument(
        "--new-database",
        metavar="NAME",
        default="muttd",
        help="name of our database in PostgreSQL, which must not be theirs (default muttd)",
    )
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument(
        "--from-database", metavar="URL", help="its PostgreSQL; the password by PGPASSFILE"
    )
    sources.add_argument("--from-dump", metavar="FILE", type=Path, help="plain output of pg_dump")
    for table in ("rules", "hosts", "teams"):
        parser.add_argument(f"--{table}", metavar="FILE", type=Path, help="CSV or JSON")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would")
    parser.add_argument("--json", action="store_true", help="the report for a machine")
    add_client_options(parser)
    parser.set_defaults(command=import_legacy)


def import_legacy(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Read everything, map everything, then write: a mistake in the reading changes nothing."""
    env = _env_plan(args)
    tables = _table_plan(args)
    if env is None and tables is None:
        raise CommandFailed("nothing to import: name --env, or where the tables are", EX_USAGE)
    findings: list[Finding] = []
    if env is not None:
        findings += env.findings
        findings += legacy_files.mistakes(env)
    if tables is not None:
        findings += tables.findings
    outcome: dict[str, str] = {}
    if env is not None:
        outcome |= _write(env, args)
    if tables is not None:
        outcome |= _apply(tables, args, environ)
    _report(findings, outcome, as_json=args.json)
    return EX_DATAERR if any(each.verdict is Verdict.MEND for each in findings) else EX_OK


def _env_plan(args: argparse.Namespace) -> EnvPlan | None:
    if args.env is None:
        if args.write_env is not None:
            raise CommandFailed("--write-env needs --env", EX_USAGE)
        return None
    return map_environment(_read(args.env, read_env), database=args.new_database)


def _table_plan(args: argparse.Namespace) -> TablePlan | None:
    files = (args.rules, args.hosts, args.teams)
    if args.from_database is not None or args.from_dump is not None:
        if any(files):
            raise CommandFailed("name a database or a dump, or files, and not both", EX_USAGE)
        if args.from_dump is not None:
            return map_tables(_read(args.from_dump, tables_from_dump))
        return map_tables(_live(args.from_database))
    if not any(files):
        return None
    rules, hosts, teams = (path and _read(path, rows_from_text) for path in files)
    return map_tables(Tables(rules=rules, hosts=hosts, teams=teams))


def _live(url: str) -> Tables:
    # Here and not above: no other command has to wait for psycopg to be imported.
    from muttd.legacy.database import read_tables

    try:
        return read_tables(url)
    except (StoreUnavailable, StoreRefused) as exc:
        raise CommandFailed(f"--from-database: {exc}", EX_UNAVAILABLE) from exc
    except InvalidInput as exc:
        raise CommandFailed(f"--from-database: {exc}", EX_DATAERR) from exc


def _read(path: Path, parse: Callable[[str], T]) -> T:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CommandFailed(f"cannot read {path}: {exc.strerror}", EX_NOINPUT) from exc
    except UnicodeDecodeError as exc:
        raise CommandFailed(f"{path} is not UTF-8 text", EX_DATAERR) from exc
    except InvalidInput as exc:
        raise CommandFailed(f"{path}: {exc}", EX_DATAERR) from exc


def _write(env: EnvPlan, args: argparse.Namespace) -> dict[str, str]:
    if args.write_env is None:
        return {}
    files = legacy_files.planned(env, args.write_env, args.secrets_dir)
    return legacy_files.write(files, dry_run=args.dry_run)


def _apply(
    tables: TablePlan, args: argparse.Namespace, environ: Mapping[str, str]
) -> dict[str, str]:
    try:
        with open_client(args, environ) as client:
            return legacy_apply.apply(client, tables, dry_run=args.dry_run)
    except CommandFailed as exc:
        # Before anything is installed, the report is what is wanted.
        if not args.dry_run:
            raise
        return {"a daemon": f"not compared with what it has: {exc}"}


def _report(findings: Iterable[Finding], outcome: Mapping[str, str], *, as_json: bool) -> None:
    findings = list(findings)
    counts = {verdict.value: 0 for verdict in Verdict}
    for each in findings:
        counts[each.verdict.value] += 1
    if as_json:
        document = {
            "findings": [
                {"verdict": each.verdict.value, "what": each.what, "text": each.text}
                for each in findings
            ],
            "counts": counts,
            "outcome": dict(outcome),
        }
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return
    for each in findings:
        sys.stdout.write(f"{each.verdict.value:<9} {each.what}: {each.text}\n")
    for what, text in outcome.items():
        sys.stdout.write(f"{what}: {text}\n")
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()) + "\n")
