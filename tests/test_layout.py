"""The shape of the tree: who may import whom, how large things may grow, what they are called.

protocol -> errors          rules -> nouns          queue, store -> nouns
listeners -> protocol, nouns          workers -> all but listeners and web
web -> queue, store, rules, nouns     only commands, daemon and wiring see settings
"""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "muttd"

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6

# What every part may talk about.
NOUNS = {"errors", "event", "event_ids", "arrivals", "decision", "sink", "pulse"}
# A part -> what it may import of muttd, besides itself and __version__. A module outside any
# package is a part of its own.
MAY_IMPORT = {
    "protocol": {"errors"},
    "mibs": {"protocol"},
    "rules": NOUNS,
    "dynamic": {"errors", "settings_table"},
    "queue": NOUNS | {"migrations", "sqlite_file", "backoff"},
    "store": NOUNS | {"migrations", "sqlite_file", "backoff", "rules.model"},
    "listeners": NOUNS | {"protocol", "accounts", "sources", "rush"},
    "workers": NOUNS
    | {"mibs", "queue", "store", "rules", "protocol", "accounts", "backoff", "dynamic"}
    | {"rush", "heap"},
    "web": NOUNS
    | {"api_keys", "queue", "store", "rules", "mibs", "protocol.mib", "accounts", "dynamic"},
    "legacy": NOUNS | {"rules", "settings_values"},
    "commands": NOUNS
    | {"protocol", "legacy", "rules", "settings", "settings_text", "settings_values", "logs"},
    "errors": set(),
    "event": {"errors"},
    "decision": {"errors", "event"},
    "event_ids": set(),
    "arrivals": {"errors", "event", "event_ids", "protocol", "settings_values"},
    "sink": {"arrivals", "event"},
    "accounts": {"errors"},
    "backoff": set(),
    "pulse": set(),
    "rush": set(),
    "heap": set(),
    "notify": set(),
    "api_keys": {"event", "store.access"},
    "state_dir": {"errors"},
    "snmp_users": {"errors", "protocol"},
    "destinations": {"errors", "settings_values"},
    "tls_files": {"errors"},
    "sources": {"errors", "settings_values"},
    "migrations": {"errors"},
    "sqlite_file": {"errors", "migrations"},
    "logs": {"errors", "event", "settings_values"},
    "settings_values": set(),
    "settings_table": {"settings_values", "secrets.files"},
    "settings_backends": {"settings_table", "settings_values"},
    "clear_links": {"destinations", "errors", "protocol.usm_users", "settings"},
    "settings_secrets": {"settings_table", "settings_values"},
    "secrets": {"errors", "backoff"},
    "settings_listeners": {"settings_table", "settings_values"},
    "settings": {
        "dynamic",
        "errors",
        "settings_backends",
        "settings_listeners",
        "settings_secrets",
        "settings_table",
        "settings_values",
    },
    "settings_text": {"dynamic", "settings", "settings_table", "settings_values"},
    "cli": {"commands", "errors"},
    "__main__": {"cli"},
}
# They put the parts together, and nothing else does.
WIRING = {
    "daemon",
    "wiring",
    "wiring_backends",
    "wiring_destinations",
    "wiring_intake",
    "wiring_reload",
    "wiring_secrets",
    "wiring_snmp",
    "wiring_tls",
    "wiring_web",
}
# The commands that need the parts together: one starts the daemon or checks the files that it would
# read, one asks where its store is.
MAY_IMPORT_WIRING = {
    "commands.run": {"daemon", "wiring_reload", "wiring_secrets"},
    "commands.migrate": {"wiring_backends", "wiring_secrets", "store.postgres"},
    "commands.keys_in_store": {"api_keys", "store.access", "wiring_backends", "wiring_secrets"},
    "commands.client": {"wiring_secrets"},
}

BANNED_NAMES = {"utils", "helpers", "common", "misc", "base", "manager", "handler", "processor"}

# No test imports them, nor anything but the daemon that is built on them: what tests them instead.
_WHOLE = "acceptance/ and chaos/ run the daemon with it, on real sockets"
TESTED_BY = {
    "__main__": "commands/test_run.py starts it",
    "daemon": _WHOLE,
    "wiring": _WHOLE,
    "wiring_backends": _WHOLE,
    "wiring_destinations": _WHOLE,
    "wiring_intake": _WHOLE,
    "wiring_reload": _WHOLE,
    "wiring_secrets": _WHOLE,
    "wiring_snmp": _WHOLE,
    "wiring_tls": _WHOLE,
    "wiring_web": _WHOLE,
    "notify": _WHOLE,
    "state_dir": _WHOLE,
    "listeners.bind": _WHOLE,
    "listeners.udp": _WHOLE,
    "listeners.snmp_trap": _WHOLE,
    "listeners.syslog_tcp": _WHOLE,
    "listeners.syslog_udp": _WHOLE,
    "workers.kernel_drops": _WHOLE,
    "workers.retention": _WHOLE,
    "workers.status": _WHOLE,
    "workers.status_destinations": _WHOLE,
    "workers.webhook": _WHOLE,
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def sources() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def name_of(path: Path) -> str:
    """muttd/queue/contract.py is queue.contract."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """What a module imports of muttd, as name_of would say it; also inside functions."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import hides where it points"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (ROOT / whole.replace(".", "/")).with_suffix(".py").exists()
                found.add(whole if is_module else node.module)
    return {name.removeprefix("muttd.") for name in found if name.startswith("muttd.")}


def is_allowed(imported: str, part: str) -> bool:
    allowed = MAY_IMPORT[part]
    return imported.split(".")[0] in {part, *allowed} or imported in allowed


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    name = name_of(path)
    part = name.split(".")[0]
    if part in WIRING:
        return
    wrong = {imported for imported in imports_of(path) if not is_allowed(imported, part)}
    wrong -= MAY_IMPORT_WIRING.get(name, set())
    assert not wrong, f"{name} may not import {', '.join(sorted(wrong))}"


def test_every_part_has_its_arrows() -> None:
    parts = {name_of(path).split(".")[0] for path in modules()}
    assert parts == set(MAY_IMPORT) | WIRING


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_fits_on_a_few_screens_and_a_function_on_one(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES
    for function in functions_of(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{function.name} has {lines} lines"


def test_a_script_of_a_page_and_a_module_of_tests_fit_on_a_few_screens() -> None:
    for directory, kind in (("muttd/web/static", "*.js"), ("tests", "*.py"), ("bench", "*.py")):
        for path in (ROOT / directory).rglob(kind):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES, path


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_call_fits_in_a_line(path: Path) -> None:
    for function in functions_of(path):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        counted = [each.arg for each in named if each.arg not in ("self", "cls")]
        assert len(counted) <= MAX_PARAMETERS, f"{function.name} takes {len(counted)} parameters"


def test_no_module_has_a_name_that_means_nothing() -> None:
    for path in sources():
        words = set(path.stem.split("_")) | set(path.relative_to(ROOT).parent.parts)
        assert not words & BANNED_NAMES, path


def test_every_module_says_what_it_is() -> None:
    for path in modules():
        assert ast.get_docstring(tree_of(path)), path


def test_every_module_is_reached_by_a_test() -> None:
    """By a test that imports it, or imports what is built on it; the daemon itself is too large."""
    reached: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        reached |= imports_of(path)
    imports = {name_of(path): imports_of(path) for path in modules()}
    waiting = reached - WIRING
    while waiting:
        below = imports.get(waiting.pop(), set()) - reached
        reached |= below
        waiting |= below
    assert set(imports) - reached | WIRING <= set(TESTED_BY) <= set(imports)


def test_no_expression_repeats_a_group_possessively() -> None:
    """Python 3.11.2 of Debian 12 takes (ab)*+ for matched where it failed half-way: (?>(ab)*)."""
    possessive = re.compile(r"[)](?:[*+?]|[{][0-9,]+[}])[+]")
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not possessive.search(node.value), f"{name_of(path)}:{node.lineno}"


def test_no_tool_is_configured_in_two_places() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert set(configured) == {"ruff", "mypy", "pytest", "coverage"}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert all(section.split(".")[0] in ("metadata", "options") for section in setup.sections())
    rivals = [".flake8", ".coveragerc", ".ruff.toml", "ruff.toml", "mypy.ini", ".mypy.ini"]
    rivals += ["pytest.ini", ".pytest.ini", "tox.ini", "setup.py", "requirements.txt"]
    assert [name for name in rivals if (ROOT / name).exists()] == []


def tracked_files() -> list[Path]:
    """Every file that belongs to the project."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


# Written so that this file does not find itself.
UNWANTED = re.compile(
    r"(?<![\w.])/(?:wo[r]k|ro[o]t|opt/py[p]i)/|\bTO[D]O\b|\bFIX[M]E\b|\bX[X]X\b|print[(]\"debu[g]"
)


def test_no_file_names_a_machine_or_leaves_a_note_for_later() -> None:
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = UNWANTED.search(text)
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
