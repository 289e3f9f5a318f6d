"""Debian trees from the package mirror: what images and guests are made of where none is pulled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
# Debian 12 has Compose 1, which does not read today's files; Debian 13 has Compose 2.
COMPOSE_RELEASE = "trixie"
# How this machine reaches a package index: its authorities and its settings for pip.
PIP_FILES = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip")


def checked(argv: list[str], **options: str | Path) -> str:
    """Run a command; its output. It must succeed."""
    cwd = options.pop("cwd", None)
    environ = os.environ | {name: str(value) for name, value in options.items()}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, env=environ)
    assert done.returncode == 0, f"{argv}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def make_tree(target: Path, *packages: str) -> None:
    """A small Debian with these packages; a minute or two."""
    include = f"--include={','.join(packages)}"
    checked(["debootstrap", "--variant=minbase", include, RELEASE, str(target), MIRROR])
    for archive in (target / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()


def pip_files() -> list[str]:
    """Those of PIP_FILES that are here."""
    return [name for name in PIP_FILES if Path(name).exists()]


def fetch_compose(directory: Path) -> Path:
    """Docker Compose 2, unpacked there from Debian's package; the program."""
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    sources = directory / "sources.list"
    sources.write_text(f"deb [signed-by={keys}] {MIRROR} {COMPOSE_RELEASE} main\n")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": directory / "lists",
        "Dir::Cache": directory / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    checked(["apt-get", *options, "update", "-qq"])
    checked(["apt-get", *options, "download", "-qq", "docker-compose"], cwd=directory)
    [package] = directory.glob("docker-compose_*.deb")
    checked(["dpkg-deb", "-x", str(package), str(directory / "compose")])
    return directory / "compose/usr/libexec/docker/cli-plugins/docker-compose"
