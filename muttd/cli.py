"""argv -> a command -> an exit code.

Every command is a function (arguments, environment) -> exit code in commands/. A foreseen fault is
one line on stderr and a code from sysexits.h; only a bug shows a traceback, and exits 70.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import NoReturn

from muttd import __version__
from muttd.commands import (
    config,
    dlq,
    healthcheck,
    import_legacy,
    keys,
    migrate,
    rules,
    run,
    send,
    status,
    tail,
)
from muttd.commands.outcome import EX_CONFIG, EX_SOFTWARE, EX_USAGE, CommandFailed
from muttd.errors import ConfigError

# What a shell reports of a process that ended by SIGINT or SIGPIPE: 128 + its number.
_INTERRUPTED = 130
_PIPE_CLOSED = 141


class _Parser(argparse.ArgumentParser):
    """argparse, with the exit code of sysexits.h for a wrong command line."""

    def error(self, message: str) -> NoReturn:
        """One line, the usage, exit 64."""
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"muttd: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="muttd",
        description="Syslog, SNMP notifications and HTTP events, from the wire to the page.",
    )
    parser.add_argument("--version", action="version", version=f"muttd {__version__}")
    parser.set_defaults(command=run.run_daemon)
    commands = parser.add_subparsers(metavar="COMMAND")
    parts = (run, migrate, rules, config, dlq, keys, send, tail, status, healthcheck, import_legacy)
    for part in parts:
        part.add_to(commands)
    return parser


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = build_parser().parse_args(argv)
    try:
        code: int = args.command(args, os.environ if environ is None else environ)
        # Here, where a reader that has gone away is still foreseen, and not at interpreter exit.
        sys.stdout.flush()
    except ConfigError as exc:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in exc.mistakes))
        return EX_CONFIG
    except CommandFailed as exc:
        sys.stderr.write(f"muttd: {exc}\n")
        return exc.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `muttd tail | head`: python would complain about stdout once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except Exception:  # the last line: whatever comes here is a bug, and says so by its exit code
        traceback.print_exc()
        return EX_SOFTWARE
    return code
