"""The packages: built, installed, upgraded, removed and purged on a system of their own each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from booted_system import CAN_BOOT, IS_REQUIRED, ROOT, WHY_NOT, BootedSystem, system_tree

CAN_BUILD = all(shutil.which(tool) for tool in ("rpmbuild", "dpkg-deb"))

pytestmark = [
    pytest.mark.acceptance,
    # Two environments are made and packed.
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (CAN_BOOT and CAN_BUILD) and not IS_REQUIRED,
        reason=f"{WHY_NOT}, and rpmbuild and dpkg-deb (apt-get install rpm)",
    ),
]

LAYOUT = """\
/opt/mutt mutt:mutt 755
/opt/mutt/venv/bin/muttd mutt:mutt 755
/etc/mutt mutt:mutt 750
/etc/mutt/mutt.env mutt:mutt 600
/etc/mutt/certs mutt:mutt 750
/etc/mutt/secrets mutt:mutt 700
/var/log/mutt mutt:mutt 750
/var/lib/mutt mutt:mutt 700
/usr/lib/systemd/system/muttd.service root:root 644
/usr/lib/firewalld/services/muttd.xml root:root 644
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with both, built once."""
    dist = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [ROOT / "script" / "package"],
        env=os.environ | {"DIST": str(dist)},
        check=True,
        capture_output=True,
    )
    return dist


@pytest.fixture
def tree(packages: Path) -> Iterator[BootedSystem]:
    """A system that has the packages in /packages, and nothing of muttd."""
    with system_tree() as tree:
        tree.share(packages, "/packages")
        yield tree


def layout_of(tree: BootedSystem) -> str:
    names = [line.split()[0] for line in LAYOUT.splitlines()]
    return tree.prepare("stat", "-c", "%n %U:%G %a", *names)


def remains(tree: BootedSystem) -> list[str]:
    """Which of these are there."""
    where = ("/opt/mutt/venv", "/etc/mutt/mutt.env", "/var/lib/mutt/store.db", "/usr/bin/muttd")
    told = tree.prepare(
        "sh", "-c", 'for each; do [ ! -e "$each" ] || echo "$each"; done', "sh", *where
    )
    return told.split()


def edit_settings(tree: BootedSystem) -> None:
    tree.prepare("touch", "/var/lib/mutt/store.db")
    tree.prepare("sh", "-c", "echo MUTTD_LOG_LEVEL=debug >>/etc/mutt/mutt.env")


def assert_edited(tree: BootedSystem) -> None:
    assert tree.prepare("tail", "-n", "1", "/etc/mutt/mutt.env") == "MUTTD_LOG_LEVEL=debug\n"


@pytest.mark.parametrize(
    "command",
    [
        "dpkg -i /packages/*.deb",
        "rpm -i --nodeps /packages/*.rpm",
        "cd /usr/src/muttd && script/install",
    ],
    ids=["deb", "rpm", "script"],
)
def test_nothing_is_installed_over_the_predecessor(tree: BootedSystem, command: str) -> None:
    tree.put(str(ROOT), "/usr/src/muttd")
    tree.prepare(
        "sh",
        "-ec",
        "mkdir -p /opt/mutt/services /opt/mutt/venv; touch /opt/mutt/services/ingestor_service.py",
    )
    told = tree.prepare("sh", "-c", f"({command}) 2>&1 && echo installed; ls -A /opt/mutt/venv")
    assert "the predecessor is in /opt/mutt" in told
    assert "installed" not in told.splitlines()
    # Its Python is as it was: nothing was unpacked into it.
    assert "bin" not in told.splitlines()
    assert remains(tree) == ["/opt/mutt/venv"]


def test_the_deb_is_installed_upgraded_removed_and_purged(tree: BootedSystem) -> None:
    tree.prepare("sh", "-c", "dpkg -i /packages/*.deb")
    assert layout_of(tree) == LAYOUT
    assert tree.prepare("muttd", "--version").startswith("muttd ")
    edit_settings(tree)
    # The next version, which brings other defaults.
    tree.prepare(
        "sh",
        "-ec",
        "dpkg-deb -R /packages/*.deb /next; sed -i 's/^Version: .*/&.1/' /next/DEBIAN/control;"
        " dpkg-deb --root-owner-group -Znone -b /next /next.deb; dpkg --force-confold -i /next.deb",
    )
    assert_edited(tree)
    assert layout_of(tree) == LAYOUT
    tree.prepare("dpkg", "-r", "muttd")
    assert remains(tree) == ["/etc/mutt/mutt.env", "/var/lib/mutt/store.db"]
    tree.prepare("dpkg", "-P", "muttd")
    assert remains(tree) == []


def test_the_rpm_is_installed_upgraded_and_removed(tree: BootedSystem) -> None:
    # Debian's rpm knows none of Debian's packages, so it cannot check what is required.
    tree.prepare("sh", "-c", "rpm -i --nodeps /packages/*.rpm")
    assert layout_of(tree) == LAYOUT
    assert tree.prepare("muttd", "--version").startswith("muttd ")
    edit_settings(tree)
    tree.prepare("sh", "-c", "rpm -U --replacepkgs --nodeps /packages/*.rpm")
    assert_edited(tree)
    assert layout_of(tree) == LAYOUT
    tree.prepare("rpm", "-e", "muttd")
    assert "/opt/mutt/venv" not in remains(tree)
    # What the administrator wrote is kept beside its place.
    tree.prepare("test", "-e", "/etc/mutt/mutt.env.rpmsave")
