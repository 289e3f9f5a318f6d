"""Every attack of test_web_attacks.py, made where its defence is missing: there it must be noticed.

A test that passes whatever the daemon does proves nothing. Defences that look at different attacks
are taken out of one daemon together; where two stand behind each other, each has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import test_web_attacks as attacks
from running_daemon import RunningDaemon
from weakened import Edit, weakened

pytestmark = pytest.mark.acceptance

Attack = Callable[[RunningDaemon], None]


@dataclass(frozen=True, slots=True)
class Defence:
    """What is taken out, and the attacks that are to succeed without it."""

    edits: tuple[Edit, ...]
    attacks: tuple[Attack, ...]


_SAME_ORIGIN = "not is_same_origin(headers) or not is_ours"

FIRST = {
    "the size of a body": Defence(
        (
            Edit("listeners/http_exchange.py", "int(value) > limit:", "int(value) > limit << 9:"),
            Edit(
                "listeners/http_exchange.py",
                "self._body_cost_octets > limit:",
                "self._body_cost_octets > limit << 9:",
            ),
            Edit("web/api/ingest.py", "len(body) > max_octets:", "len(body) > max_octets << 9:"),
        ),
        (attacks.test_a_hundred_mebibytes_are_refused_before_they_are_read,),
    ),
    "the deadline of a request": Defence(
        (
            Edit(
                "listeners/http_connection.py",
                "self._read_deadline = deadline\n",
                "self._read_deadline = deadline = math.inf\n",
            ),
        ),
        tuple(
            partial(attacks.test_what_drips_is_cut_off_however_steadily, begun=begun)
            for begun in (b"X-Drip: ", b"Content-Length: 9000\r\n\r\n[")
        ),
    ),
    "static files by exact name": Defence(
        (
            Edit(
                "web/static_files.py",
                '"/static/{name}", serve_file',
                '"/static/{name:path}", serve_file',
            ),
            Edit(
                "web/static_files.py",
                'found = files.get(request.path_params["name"])',
                'at = resources.files("muttd.web") / "static" / request.path_params["name"]\n'
                '        found = _StaticFile(at.read_bytes(), "", "") if at.is_file() else None',
            ),
        ),
        tuple(
            partial(attacks.test_no_path_leads_out_of_what_is_served, path=path)
            for path in ("/static/../templates/base.html", "/static/..%2ftemplates%2fbase.html")
        ),
    ),
    "what a correlation id may be": Defence(
        (Edit("web/envelope.py", 'r"[\\x20-\\x7e]{1,128}"', 'r"(?s:.*)"'),),
        tuple(
            partial(attacks.test_no_correlation_id_comes_back_that_is_more_than_a_word, given=given)
            for given in (b"a\xffb", b"a\tb", b"a" * 129)
        ),
    ),
    "what a template escapes": Defence(
        (Edit("web/pages.py", "autoescape=True", "autoescape=False"),),
        (attacks.test_an_address_does_not_become_markup_of_the_sign_in_page,),
    ),
    "the token of a session": Defence(
        (Edit("web/resource.py", _SAME_ORIGIN, "not is_same_origin(headers)"),),
        (attacks.test_another_sites_form_changes_nothing_with_our_cookie,),
    ),
    "the origin of a websocket": Defence(
        (Edit("web/live.py", "if not is_same_origin(headers):", "if False:"),),
        (attacks.test_another_sites_page_opens_no_websocket_with_our_cookie,),
    ),
    "the count of guesses": Defence(
        (Edit("web/guesses.py", "len(wrong) >= GUESSES_PER_WINDOW:", "False:"),),
        # It starts a daemon of its own elsewhere.
        (lambda daemon: attacks.test_who_guesses_keys_is_told_to_wait(lambda: daemon),),
    ),
}
SECOND = {
    "the size of what is inflated": Defence(
        (
            Edit("web/api/ingest.py", "room_octets + 1 - len(out))", "0)"),
            Edit("web/api/ingest.py", "len(body) > max_octets:", "len(body) > max_octets << 9:"),
        ),
        (attacks.test_a_gzip_bomb_is_refused_before_it_is_large,),
    ),
    "the origin of a change": Defence(
        (Edit("web/resource.py", _SAME_ORIGIN, "not is_ours"),),
        (attacks.test_another_sites_form_changes_nothing_even_with_our_token,),
    ),
    "where signing in leads to": Defence(
        (
            Edit(
                "web/pages.py",
                'wanted = local_path(request.query_params.get("next", ""))',
                'wanted = request.query_params.get("next", "")',
            ),
        ),
        tuple(
            partial(attacks.test_signing_in_leads_to_a_page_of_ours_alone, wanted=wanted)
            for wanted in ("//evil.example/", "https://evil.example/", "/live\r\nSet-Cookie: x=1")
        ),
    ),
}


@pytest.fixture(scope="module", params=[FIRST, SECOND], ids=["first", "second"])
def undefended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningDaemon, dict[str, Defence]]]:
    """A daemon without these defences."""
    directory = tmp_path_factory.mktemp("undefended")
    defences: dict[str, Defence] = request.param
    edits = [edit for defence in defences.values() for edit in defence.edits]
    environ = {"MUTTD_HTTP_REQUEST_TIMEOUT_S": "1"} | weakened(directory, edits)
    daemon = RunningDaemon(directory / "state", environ)
    try:
        yield daemon.wait_ready(), defences
    finally:
        daemon.kill()


def test_each_attack_is_noticed_where_its_defence_is_missing(
    undefended: tuple[RunningDaemon, dict[str, Defence]], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, defences = undefended
    # Long after the deadline that this daemon would have, and no longer.
    monkeypatch.setattr(attacks, "PATIENCE_S", 2.5)
    unnoticed = []
    for name, defence in defences.items():
        for number, attack in enumerate(defence.attacks):
            try:
                attack(daemon)
            except AssertionError:
                continue
            unnoticed.append(f"{name}, {number}")
    assert unnoticed == []
