"""Every block of commands in README.md and docs/ is run by a test, or it is said why it cannot be.

What the guides' tests ask blocks() for is read from their source: one that unpacks what it gets
has them all, and fails when there is one more; blocks(...)[0] has the first alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide_text import DOCS, ROOT, blocks, every_command_block, sections

Block = tuple[str, str, int]

# Run by the tests of what they belong to, the compose stack --nightly: page, section, number ->
# file::test.
RUN_ELSEWHERE: dict[Block, str] = {
    ("containers.md", "A stack to try things out", 0): "deploy/test_compose.py::"
    "test_an_event_into_the_stack_comes_out_as_an_alert",
    ("install.md", "The firewall", 0): "deploy/test_firewalld.py::"
    "test_a_firewall_with_the_service_lets_the_ports_through_and_no_other",
    ("install.md", "", 0): "deploy/test_systemd.py::"
    "test_files_have_the_owners_and_modes_of_the_layout",
    ("install.md", "", 1): "deploy/test_systemd.py::"
    "test_with_the_socket_unit_a_restart_under_load_loses_no_datagram",
    ("install.md", "Packages", 0): "deploy/test_packages.py::"
    "test_the_deb_is_installed_upgraded_removed_and_purged",
    ("install.md", "Upgrade, uninstall", 0): "deploy/test_systemd.py::"
    "test_uninstalling_keeps_settings_and_data_until_they_are_purged",
}

# Where they can be run is not here. Each is checked as far as test_docs.py goes: it is a command.
NOT_HERE: dict[Block, str] = {
    ("README.md", "Work on it", 0): "it is what runs this test",
    ("containers.md", "One container", 0): "needs a base image, and a container engine",
    ("containers.md", "Kubernetes and OpenShift", 0): "needs a cluster",
    (
        "install.md",
        "SELinux",
        0,
    ): "needs an SELinux kernel; the guest of test_selinux_guest.py has one",
    ("operations.md", "Keys and sessions", 1): "needs systemd as process 1 and an installed muttd",
    ("operations.md", "UDP without losses", 0): "sets a value of the kernel that all tests share",
    ("security.md", "What it is made of", 0): "script/test runs it as a stage beside the tests",
    ("vault.md", "Set up Vault", 0): "needs a Vault, of which only a stand-in can be had here",
}


def constants_of(tree: ast.Module) -> dict[str, str]:
    """Texts that a module gives names to."""
    found: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        [target] = node.targets
        pairs = (
            zip(target.elts, node.value.elts, strict=True)
            if (isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple))
            else [(target, node.value)]
        )
        for name, value in pairs:
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                found[name.id] = str(value.value)
    return found


def run_by_guides() -> Iterator[Block]:
    """What the tests beside this one take from the pages."""
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = constants_of(tree)
        indexed = {
            id(node.value): node.slice.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "blocks"):
                continue
            words = [
                str(each.value) if isinstance(each, ast.Constant) else names[ast.unparse(each)]
                for each in node.args
            ]
            if len(words) > 2 and words[2] != "sh":
                continue
            count = len(blocks(words[0], words[1]))
            for number in [indexed[id(node)]] if id(node) in indexed else range(count):
                assert isinstance(number, int)
                yield words[0], words[1], number


def test_every_block_is_run_or_it_is_said_why_not() -> None:
    there = list(every_command_block())
    by_guides = set(run_by_guides())
    assert len(by_guides) > len(NOT_HERE)
    homes = [by_guides, set(RUN_ELSEWHERE), set(NOT_HERE)]
    for block in there:
        assert sum(block in home for home in homes) == 1, (
            f"{block}: run it in a test of tests/guides, or say why it cannot be"
        )
    gone = set().union(*homes) - set(there)
    assert not gone, "no such block any more"


@pytest.mark.parametrize("test", sorted(set(RUN_ELSEWHERE.values())))
def test_the_tests_that_are_named_exist(test: str) -> None:
    file, _, name = test.partition("::")
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert f"\ndef {name}(" in text


def test_no_command_hides_outside_the_blocks_that_are_run() -> None:
    """In a fence without a language, or indented by four blanks, nobody would look at it."""
    command = re.compile(
        r"^(?: {4})?(?:sudo )?(?:muttd|curl|psql|systemctl|script/\w+) ", re.MULTILINE
    )
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for section, text in sections(path).items():
            rest = re.sub(r"^```sh\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
            for fence in re.findall(r"^```\n(.*?)^```", rest, flags=re.DOTALL | re.MULTILINE):
                assert not command.search(fence), f"{path.name}, {section}: say sh"
            indented = "\n".join(re.findall(r"^ {4}\S.*", rest, flags=re.MULTILINE))
            assert not command.search(indented), f"{path.name}, {section}: make it a block of sh"
