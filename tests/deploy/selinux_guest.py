"""A Debian guest with SELinux enforcing from its first process on, and muttd confined in it.

    debootstrap > script/install > our module > labels > a disk image > qemu, which tells by its
    console what came of it (guest/confined.sh)

The processor is emulated, which takes some minutes: a /dev/kvm may be there and not work, where the
machine is a guest itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from debian_tree import checked, make_tree, pip_files

ROOT = Path(__file__).parent.parent.parent
GUEST = Path(__file__).parent / "guest"
MAKEFILE = "/usr/share/selinux/devel/Makefile"

TOOLS = ("qemu-system-x86_64", "debootstrap", "mke2fs", "make")
CAN_RUN = (
    os.geteuid() == 0 and all(shutil.which(tool) for tool in TOOLS) and Path(MAKEFILE).exists()
)
WHY_NOT = f"root, {', '.join(TOOLS)} and the policy's headers are needed (script/test --nightly)"

PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "dbus", "udev", "kmod"),
    *("selinux-policy-default", "policycoreutils", "selinux-utils", "auditd"),
    *("python3", "python3-venv", "ca-certificates", "openssl"),
    *("iproute2", "procps", "bsdutils", "curl", "snmp"),
)
SETTINGS = """
MUTTD_TLS_CERT=/etc/mutt/certs/cert.pem
MUTTD_TLS_KEY=/etc/mutt/certs/key.pem
MUTTD_SYSLOG_TLS=[::]:6514
MUTTD_HTTP_TLS=off
MUTTD_LOG_FILE=/var/log/mutt/muttd.log
"""

# $1 is the tree; the rest are files of this machine that pip needs there. The mounts end with the
# shell's mount namespace.
_INSTALL = """
set -e
tree=$1
shift
for each; do
    [ ! -d "$each" ] || mkdir -p "$tree$each"
    [ -d "$each" ] || touch "$tree$each"
    mount --bind "$each" "$tree$each"
done
mount -t proc proc "$tree/proc"
mount --bind /dev "$tree/dev"
chroot "$tree" sh -ec '
    cd /usr/src/muttd
    script/install
    cd /etc/mutt/certs
    openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=guest -keyout key.pem -out cert.pem
    chown mutt:mutt key.pem cert.pem
    systemctl enable muttd confined auditd
    semodule -n -i /usr/src/muttd.pp
    # What the policy denies without a word is told, too.
    semodule -n -D -B
'
"""
_LABEL = """
set -e
mount -t proc proc "$1/proc"
chroot "$1" setfiles -F -e /proc /etc/selinux/default/contexts/files/file_contexts /
"""


def build_guest(directory: Path) -> None:
    """Make the guest's disk in an empty directory; it needs some three GB."""
    tree = directory / "tree"
    make_tree(tree, *PACKAGES)
    source = tree / "usr/src/muttd"
    source.mkdir(parents=True)
    files = "git ls-files -z --cached --others --exclude-standard --deduplicate"
    copy = f'{files} | tar -c --null --ignore-failed-read -T - | tar -x -C "$1"'
    checked(["sh", "-c", copy, "sh", str(source)], cwd=ROOT)
    policy = directory / "policy"
    shutil.copytree(ROOT / "deploy" / "selinux", policy)
    checked(["make", "-f", MAKEFILE, "muttd.pp"], cwd=policy)
    shutil.copy(policy / "muttd.pp", tree / "usr/src")
    shutil.copy(GUEST / "confined.sh", tree / "usr/local/sbin")
    shutil.copy(GUEST / "confined.service", tree / "etc/systemd/system")
    own_mounts = ["unshare", "-m", "sh", "-c"]
    checked([*own_mounts, _INSTALL, "sh", str(tree), *pip_files()])
    with (tree / "etc/mutt/mutt.env").open("a") as settings:
        settings.write(SETTINGS)
    checked([*own_mounts, _LABEL, "sh", str(tree)])
    disk = str(directory / "disk")
    checked(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), disk, "2500M"])
    for name in ("vmlinuz", "initrd.img"):
        [found] = (tree / "boot").glob(f"{name}-*")
        shutil.copy(found, directory / name)
    shutil.rmtree(tree)


def run_guest(directory: Path, *, within_s: float) -> tuple[dict[str, str], str]:
    """Boot it and wait for its end: what it checked, and its whole console."""
    kernel = "root=/dev/vda rw console=ttyS0 security=selinux selinux=1 enforcing=1 quiet"
    done = subprocess.run(
        [
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"),
            *("-m", "1536", "-smp", "2", "-nographic", "-no-reboot", "-nic", "none"),
            *("-drive", f"file={directory / 'disk'},format=raw,if=virtio,cache=unsafe"),
            *("-kernel", str(directory / "vmlinuz"), "-initrd", str(directory / "initrd.img")),
            *("-append", f"{kernel} audit_backlog_limit=8192"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=within_s,
        check=False,
    )
    console = done.stdout.decode(errors="replace").replace("\r", "")
    return dict(re.findall(r"CHECK (\S+) ?(.*)$", console, re.MULTILINE)), console
