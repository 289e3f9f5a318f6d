"""Documentation under test: what is written is so, and what is generated is up to date."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from muttd.cli import build_parser
from muttd.commands import outcome
from muttd.settings import declared
from muttd.settings_text import render_dynamic_page, render_env_file, render_page
from muttd.web.app import api_routes
from muttd.web.openapi import openapi_document
from muttd.web.reference import render_reference
from muttd.wiring_secrets import names_in_vault

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
# What a newcomer reads in about half an hour.
MAX_READING_LINES = 2000


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/mutt.env", render_env_file()),
        ("docs/settings.md", render_page()),
        ("docs/dynamic.md", render_dynamic_page()),
        ("docs/api.md", render_reference(openapi_document(api_routes()))),
    ],
)
def test_generated_files_are_up_to_date(name: str, text: str) -> None:
    assert text_of(ROOT / name) == text, "run script/generate"


def test_every_secret_that_may_come_from_vault_is_in_its_page() -> None:
    page = text_of(ROOT / "docs" / "vault.md")
    names = {name.removesuffix("_NEXT") for name in names_in_vault()}
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == names


def shell_lines(path: Path) -> Iterator[str]:
    """Commands in the page's sh blocks, continued lines joined."""
    for block in re.findall(r"^```sh\n(.*?)^```", text_of(path), flags=re.DOTALL | re.MULTILINE):
        begun = ""
        for line in block.replace("\\\n", " ").replace("|\n", "| ").splitlines():
            begun += line
            if begun.count("'") % 2:
                # A quoted text goes on in the next line.
                begun += "\n"
                continue
            yield begun
            begun = ""
        assert not begun, f"{path.name}: a quote is never closed"


def words_of(line: str) -> list[str]:
    """The command and its arguments, without settings before it."""
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    return words


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_in_a_page_exists(page: Path) -> None:
    for line in shell_lines(page):
        command, *arguments = words_of(line)
        if command.startswith("script/"):
            assert os.access(ROOT / command, os.X_OK), line
        if command.rpartition("/")[2] == "muttd" and arguments != ["--version"]:
            # An option that does not exist would end this with exit code 64.
            assert callable(build_parser().parse_args(arguments).command), line


def test_the_first_command_of_the_readme_is_script_run() -> None:
    assert next(shell_lines(ROOT / "README.md")) == "script/run"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_can_be_found_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", text_of(ROOT / "README.md")))
    pages = {page_name(path) for path in (ROOT / "docs").glob("*.md")}
    assert pages - linked == set()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_setting_in_a_page_exists(page: Path) -> None:
    known = {name for row in declared() for name in row.names}
    assert set(re.findall(r"\bMUTTD_[A-Z_]*[A-Z]\b", text_of(page))) <= known


def test_the_reading_list_exists_and_takes_about_half_an_hour() -> None:
    names = re.findall(r"`(muttd/[\w/]+\.py)`", text_of(ROOT / "README.md"))
    assert len(names) >= 8
    assert sum(len(text_of(ROOT / name).splitlines()) for name in names) < MAX_READING_LINES


def test_every_command_is_named_in_the_readme() -> None:
    readme = text_of(ROOT / "README.md")
    names = {name for action in build_parser()._actions for name in action.choices or ()}
    assert {"run", "status"} <= names
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []


def test_the_exit_codes_are_those_of_the_commands() -> None:
    table = text_of(ROOT / "docs" / "operations.md")
    written = {int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)}
    assert written == {value for name, value in vars(outcome).items() if name.startswith("EX_")}


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=page_name)
def test_a_decision_record_has_its_six_parts_on_one_page(path: Path) -> None:
    text = text_of(path)
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.findall(r"^## (.*)", text, flags=re.MULTILINE) == [
        *("Objective", "Is", "Is not", "Decision", "What it costs", "What would change our mind")
    ]
    assert len(text.splitlines()) <= 100


def test_the_changelog_has_one_marked_line_a_change() -> None:
    changes = [line for line in text_of(ROOT / "CHANGELOG.md").splitlines() if line[:2] == "- "]
    assert changes
    for line in changes:
        assert re.match(r"- \[(CHANGE|FEATURE|FIX)\] [a-z_]+(, [a-z_]+)*: ", line), line
