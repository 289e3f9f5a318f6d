"""How a command ends: exit codes from sysexits.h, and the error that carries one."""

from __future__ import annotations

import os

from muttd.errors import MuttdError

EX_OK = os.EX_OK
EX_USAGE = os.EX_USAGE  # 64: the command line
EX_DATAERR = os.EX_DATAERR  # 65: a file of the user, or what the server said about it
EX_NOINPUT = os.EX_NOINPUT  # 66: a file that cannot be read
EX_UNAVAILABLE = os.EX_UNAVAILABLE  # 69: nobody answers
EX_SOFTWARE = os.EX_SOFTWARE  # 70: a bug
EX_NOPERM = os.EX_NOPERM  # 77: no key, or one that may not
EX_CONFIG = os.EX_CONFIG  # 78: settings


class CommandFailed(MuttdError):
    """A foreseen end of a command: one line on stderr and an exit code.

    Args:
        what: What went wrong and, if anything can be done, the cure.
        exit_code: From sysexits.h.
    """

    def __init__(self, what: str, exit_code: int) -> None:
        super().__init__(what)
        self.exit_code = exit_code
