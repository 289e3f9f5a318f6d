"""muttd run, check-config, print-config: the commands that read every setting."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from muttd import logs
from muttd.commands.outcome import EX_OK
from muttd.settings import load
from muttd.settings_text import render_config, render_env_file


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    run = commands.add_parser("run", help="run the daemon (what muttd alone does, too)")
    run.set_defaults(command=run_daemon)

    check = commands.add_parser("check-config", help="name every mistake in the settings")
    check.set_defaults(command=check_config)

    show = commands.add_parser(
        "print-config", help="show every setting and where it came from; secrets redacted"
    )
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for a machine")
    form.add_argument(
        "--env-file", action="store_true", help="write a fresh mutt.env with every default instead"
    )
    show.set_defaults(command=print_config)


def run_daemon(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run until SIGTERM."""
    settings = load(environ)
    logs.configure(settings.log_level, settings.log_format, environ, path=settings.log_file)
    # Here and not above: no other command has to wait for the daemon's parts to be imported.
    from muttd import daemon

    return daemon.run(settings)


def check_config(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Say that the settings are right, or everything that is not."""
    settings = load(environ)
    # No other command has to wait for what reads these files to be imported.
    from muttd.wiring_reload import read_files
    from muttd.wiring_secrets import vault_options

    for warning in read_files(settings).warnings:
        sys.stderr.write(f"{warning}\n")
    vault_options(settings, environ)
    sys.stdout.write("The settings are right.\n")
    return EX_OK


def print_config(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show what is in force."""
    if args.env_file:
        sys.stdout.write(render_env_file())
    else:
        sys.stdout.write(render_config(load(environ), as_json=args.json))
    return EX_OK
