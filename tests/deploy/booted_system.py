"""A Debian system that really boots: systemd as PID 1, over an overlay of this machine.

    mount namespace of our own > tmpfs > overlay of / > systemd-nspawn -b, without a network

What is written there goes away with it, and this machine sees none of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running_daemon import eventually

ROOT = Path(__file__).parent.parent.parent

IS_REQUIRED = "nspawn" in os.environ.get("MUTTD_TEST_REQUIRE", "")
CAN_BOOT = shutil.which("systemd-nspawn") is not None and os.geteuid() == 0
WHY_NOT = "root and systemd-nspawn are needed (Debian: apt-get install systemd-container)"

# The shell keeps the mount namespace alive: it ends when its standard input does.
_MOUNTS = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/system"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/system"
mount -t proc proc "$1/system/proc"
mount --rbind /dev "$1/system/dev"
echo mounted
read -r _
"""


class BootedSystem:
    """A system to run commands in.

    Args:
        keeper: The process whose mount namespace has the overlay.
        tree: Where the system's root is, seen from there.
    """

    def __init__(self, keeper: subprocess.Popen[str], tree: Path) -> None:
        self._keeper = keeper
        self._tree = tree
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init: int | None = None

    def prepare(self, *command: str, cwd: str = "/") -> str:
        """Run a command in the tree before it is booted; it may use the network."""
        inside = f'cd {cwd} && exec "$@"'
        argv = [*self._enter_tree(), "chroot", str(self._tree), "sh", "-c", inside, "sh", *command]
        return _checked(argv)

    def put(self, source: str, target: str) -> None:
        """Copy the files of a repository, those that git knows or would know, into the tree."""
        script = (
            f'mkdir -p "{self._tree}{target}" && cd "{source}" && '
            "git ls-files -z --cached --others --exclude-standard --deduplicate | "
            f'tar -c --null --ignore-failed-read -T - | tar -x -C "{self._tree}{target}"'
        )
        _checked([*self._enter_tree(), "sh", "-c", script])

    def share(self, source: Path, target: str) -> None:
        """Show a directory of this machine in the tree, until it is booted."""
        script = f'mkdir -p "{self._tree}{target}" && mount --bind "$1" "{self._tree}{target}"'
        _checked([*self._enter_tree(), "sh", "-c", script, "sh", str(source)])

    def boot(self) -> None:
        """Start systemd and wait until it is up."""
        # Debian's snmptrapd comes with a socket on port 162, which would be there before us.
        mask = f"{self._tree}/etc/systemd/system/snmptrapd.socket"
        _checked([*self._enter_tree(), "ln", "-sf", "/dev/null", mask])
        _checked([*self._enter_tree(), "umount", "-R", f"{self._tree}/dev", f"{self._tree}/proc"])
        self._nspawn = subprocess.Popen(
            [
                *self._enter_tree(),
                *("systemd-nspawn", "-D", str(self._tree), "-b", "--register=no", "--keep-unit"),
                *("--private-network", "--console=pipe", "systemd.unit=basic.target"),
            ],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._init = eventually(self._find_init, lambda pid: pid is not None)
        eventually(lambda: self.try_run("systemctl", "is-active", "basic.target").returncode == 0)
        self.run("ip", "link", "set", "lo", "up")

    def _find_init(self) -> int | None:
        assert self._nspawn is not None
        for process in (self._nspawn.pid, *_children(self._nspawn.pid)):
            for child in _children(process):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
        return None

    def run(self, *command: str) -> str:
        """Run a command in the booted system; its output. It must succeed."""
        return _checked([*self._enter_system(), *command])

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The same, and it may fail."""
        return _completed([*self._enter_system(), *command])

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the booted system."""
        return subprocess.Popen(
            [*self._enter_system(), *command], stdout=subprocess.PIPE, text=True, env=_plain()
        )

    def property_of(self, unit: str, name: str) -> str:
        """What `systemctl show` says."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def journal(self, unit: str) -> str:
        """The unit's log."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def close(self) -> None:
        """Switch it off."""
        if self._init is not None:
            self.try_run("systemctl", "poweroff", "--force", "--force")
        if self._nspawn is not None:
            self._nspawn.kill()
            self._nspawn.wait()

    def _enter_tree(self) -> list[str]:
        return ["nsenter", "-t", str(self._keeper.pid), "-m"]

    def _enter_system(self) -> list[str]:
        assert self._init is not None
        return ["nsenter", "-t", str(self._init), "-a"]


@contextmanager
def system_tree() -> Iterator[BootedSystem]:
    """A tree like this machine's, to be prepared and booted."""
    with tempfile.TemporaryDirectory() as directory:
        keeper = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _MOUNTS, "sh", directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "mounted\n"
        system = BootedSystem(keeper, Path(directory) / "system")
        try:
            yield system
        finally:
            system.close()
            keeper.stdin.close()
            keeper.wait()
            keeper.stdout.close()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _plain() -> dict[str, str]:
    """This machine's settings for pip and the like, and nothing of the test's own environment."""
    ours = ("MUTTD_", "PYTEST", "COV", "VIRTUAL_ENV", "PYTHON")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {"PATH": path}


def _completed(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, env=_plain(), check=False)


def _checked(argv: list[str]) -> str:
    done = _completed(argv)
    if done.returncode:
        sys.stderr.write(done.stderr)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout
