"""Ways to run what a stranger wrote, or to believe whoever answers: none is in the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "muttd").rglob("*.py"))

# By the name that is called.
BANNED_CALLS = {
    "eval": "runs a text",
    "exec": "runs a text",
    "compile": "makes a program of a text",
    "__import__": "imports by a text",
    "os.system": "asks a shell",
    "os.popen": "asks a shell",
    "subprocess.getoutput": "asks a shell",
    "subprocess.getstatusoutput": "asks a shell",
    "tempfile.mktemp": "names a file that somebody else may make first",
    "yaml.load": "makes any object; safe_load does not",
    "yaml.load_all": "makes any object; safe_load_all does not",
    "yaml.unsafe_load": "makes any object",
    "yaml.full_load": "makes objects",
    "ssl._create_unverified_context": "believes whoever answers",
}
BANNED_IMPORTS = {"pickle", "cPickle", "marshal", "shelve", "dill", "jsonpickle", "telnetlib"}
# (keyword or attribute, value)
BANNED_VALUES = {
    ("shell", True): "asks a shell",
    ("verify", False): "believes whoever answers",
    ("check_hostname", False): "believes a certificate of anybody",
    ("ssl_check_hostname", False): "believes a certificate of anybody",
    ("autoescape", False): "lets the text of a log be markup",
}
# Module -> what it may all the same, and why.
ALLOWED = {
    "muttd/tls_files.py": {"CERT_NONE"},  # a listener that asks its peers for no certificate
    # It trusts the daemon's own certificate, that one alone, whatever names are in it.
    "muttd/commands/healthcheck.py": {"check_hostname=False"},
    # It writes JSON, which is read again before it is sent; nothing of it is markup.
    "muttd/workers/bounded_jinja.py": {"autoescape=False"},
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def shortcuts(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(what, why not) of each that is in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in BANNED_CALLS:
            name = dotted(node.func)
            yield name, BANNED_CALLS[name]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [module or ""] + [alias.name for alias in node.names]
            yield from ((name, "makes any object") for name in names if name in BANNED_IMPORTS)
        elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            yield from banned_value(node.arg or "", node.value.value)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                yield from banned_value(dotted(target).rpartition(".")[2], node.value.value)
        elif isinstance(node, ast.Attribute) and node.attr == "CERT_NONE":
            yield "CERT_NONE", "believes whoever answers"


def banned_value(name: str, value: object) -> Iterator[tuple[str, str]]:
    for (banned, what), why in BANNED_VALUES.items():
        # Not ==: 0 is False, and no switch.
        if name == banned and value is what:
            yield f"{name}={value}", why


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_a_text_or_believes_whoever_answers(path: Path) -> None:
    allowed = ALLOWED.get(str(path.relative_to(ROOT)), set())
    found = [each for each in shortcuts(ast.parse(path.read_text())) if each[0] not in allowed]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "import pickle",
        "from marshal import loads",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(line, shell=True)",
        "httpx.get(url, verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
    ],
)
def test_each_of_them_would_be_found(line: str) -> None:
    assert list(shortcuts(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["client.eval(script, 1)", "yaml.safe_load(text)", "re.compile(x)", "f(verify=ca)"]
)
def test_what_only_looks_like_one_is_not(line: str) -> None:
    assert not list(shortcuts(ast.parse(line)))
