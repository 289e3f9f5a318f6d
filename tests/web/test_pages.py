"""Who gets which page, how one signs in, and what a page may load."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import urlencode

import httpx
import pytest
from prometheus_client import CollectorRegistry
from web_site import KEYS, Site

from muttd.web.app import create_app
from muttd.web.auth import Role
from muttd.web.guesses import GUESSES_PER_WINDOW
from muttd.web.pages import MAX_FORM_OCTETS, local_path

PAGES = ["/live", "/alerts", "/rules", "/rules/new", "/rules/7", "/hosts", "/audit", "/system"]
ORIGIN = {"Origin": "http://mutt.example", "Content-Type": "application/x-www-form-urlencoded"}


async def form_of(site: Site, path: str = "/sign-in") -> tuple[dict[str, str], str]:
    """Open the sign-in page; a browser's headers afterwards, and the form's token."""
    response = await site.call("GET", path, role=None)
    found = re.search(r'name="form_token" value="([^"]+)"', response.text)
    assert found is not None
    cookie = response.headers["set-cookie"].partition(";")[0]
    return {"Cookie": cookie, **ORIGIN}, found[1]


async def send_form(
    site: Site, api_key: str, wanted: str = "/rules?q=a", **headers: str
) -> httpx.Response:
    given, token = await form_of(site)
    body = urlencode({"api_key": api_key, "form_token": token, "next": wanted})
    return await site.call("POST", "/sign-in", role=None, headers=given | headers, content=body)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_without_a_session_leads_to_the_sign_in_page(site: Site, path: str) -> None:
    response = await site.call("GET", path + "?q=a%20b", role=None)
    assert response.status_code == 303
    wanted = path.replace("/", "%2F") + "%3Fq%3Da%2520b"
    assert response.headers["location"] == f"/sign-in?next={wanted}"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_carries_its_csrf_token_and_may_load_nothing_from_elsewhere(
    site: Site, path: str
) -> None:
    headers, csrf_token = await site.sign_in(Role.VIEWER)
    response = await site.call("GET", path, role=None, headers=headers)
    assert response.status_code == 200
    assert f'<meta name="csrf-token" content="{csrf_token}">' in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-store"
    # What the policy would refuse is not there: no script, style or handler within the page.
    assert re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", response.text) is None
    assert re.search(r'(?:src|href)="(?:https?:)?//', response.text) is None


async def test_every_page_in_the_navigation_exists(site: Site) -> None:
    headers, _ = await site.sign_in(Role.VIEWER)
    page = await site.call("GET", "/live", role=None, headers=headers)
    links = re.findall(r'href="(/[^"]*)"', page.text.partition("</nav>")[0])
    assert {"/live", "/alerts", "/rules", "/hosts", "/audit", "/system"} <= set(links)
    for link in links:
        assert (await site.call("GET", link, role=None, headers=headers)).status_code == 200


async def test_the_root_leads_to_the_live_page(site: Site) -> None:
    response = await site.call("GET", "/", role=None)
    assert (response.status_code, response.headers["location"]) == (303, "/live")


@pytest.mark.parametrize(("role", "may_change"), [(Role.VIEWER, False), (Role.OPERATOR, True)])
async def test_only_who_may_change_rules_is_offered_to(
    site: Site, role: Role, may_change: bool
) -> None:
    headers, _ = await site.sign_in(role)
    rules = await site.call("GET", "/rules", role=None, headers=headers)
    assert ("New rule" in rules.text) is may_change
    rule = await site.call("GET", "/rules/7", role=None, headers=headers)
    assert ('id="save"' in rule.text) is may_change
    assert ('id="delete"' in rule.text) is may_change
    assert ("<fieldset disabled" in rule.text or " disabled>" in rule.text) is not may_change


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
async def test_a_key_gives_a_session_and_the_page_that_was_wanted(site: Site, role: Role) -> None:
    response = await send_form(site, f" {KEYS[role]} ")
    assert (response.status_code, response.headers["location"]) == (303, "/rules?q=a")
    cookie, *_ = response.headers.get_list("set-cookie")
    assert re.fullmatch(r"muttd_session=\S{20,}; Path=/; HttpOnly; SameSite=Strict", cookie)
    page = await site.call("GET", "/rules", role=None, headers={"Cookie": cookie.partition(";")[0]})
    assert f'data-role="{role.name.lower()}"' in page.text


async def test_cookies_are_secure_when_the_page_is(site: Site) -> None:
    services = dataclasses.replace(site.services, secure_cookies=True, registry=CollectorRegistry())
    secure = dataclasses.replace(site, app=create_app(services, site.sessions))
    response = await send_form(secure, KEYS[Role.ADMIN])
    cookies = response.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("Secure" in cookie.split("; ") for cookie in cookies)


async def test_a_new_session_takes_the_place_of_the_old_one(site: Site) -> None:
    old, _ = await site.sign_in(Role.VIEWER)
    given, token = await form_of(site)
    body = urlencode({"api_key": KEYS[Role.ADMIN], "form_token": token})
    cookies = f"{given['Cookie']}; {old['Cookie']}"
    await site.call(
        "POST", "/sign-in", role=None, headers=given | {"Cookie": cookies}, content=body
    )
    assert await site.sessions.principal(old["Cookie"]) is None


async def test_who_is_signed_in_already_is_led_on(site: Site) -> None:
    headers, _ = await site.sign_in(Role.VIEWER)
    response = await site.call("GET", "/sign-in?next=/audit", role=None, headers=headers)
    assert (response.status_code, response.headers["location"]) == (303, "/audit")


@pytest.mark.parametrize(
    ("api_key", "why"),
    [
        ("no such key", "This key is not known."),
        ("", "This key is not known."),
        (KEYS[Role.INGEST], "may only send events"),
    ],
)
async def test_a_key_that_opens_nothing_is_refused_with_the_reason(
    site: Site, api_key: str, why: str
) -> None:
    response = await send_form(site, api_key)
    assert response.status_code == 403
    assert why in response.text
    assert "muttd_session" not in response.headers["set-cookie"]
    # What was typed is a secret of somebody, even if not of ours.
    assert not api_key or api_key not in response.text


async def test_who_guesses_too_often_waits(site: Site) -> None:
    for n in range(GUESSES_PER_WINDOW):
        assert (await send_form(site, f"guess {n}")).status_code == 403
    response = await send_form(site, KEYS[Role.ADMIN])
    assert response.status_code == 429
    assert response.headers["retry-after"] == "61"
    assert "Too many wrong keys" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Cookie": "muttd_form=" + "A" * 43},
        {"Cookie": ""},
    ],
    ids=["origin", "sec-fetch-site", "other cookie", "no cookie"],
)
async def test_a_form_that_is_not_ours_signs_nobody_in(site: Site, headers: dict[str, str]) -> None:
    response = await send_form(site, KEYS[Role.ADMIN], **headers)
    assert response.status_code == 403
    assert "muttd_session" not in response.headers["set-cookie"]


async def test_a_form_that_is_too_long_is_refused_before_its_end(site: Site) -> None:
    endless = {"type": "http.request", "body": b"x" * MAX_FORM_OCTETS, "more_body": True}
    received = [endless, endless, endless]
    start, *_ = await site.octets("POST", "/sign-in", headers=ORIGIN, received=received)
    assert start["status"] == 413
    assert len(received) == 1


async def test_a_form_of_too_many_fields_is_refused(site: Site) -> None:
    many = "&".join(f"a{n}=1" for n in range(100))
    response = await site.call("POST", "/sign-in", role=None, headers=ORIGIN, content=many)
    assert response.status_code == 413


async def test_octets_that_are_no_form_are_no_error_of_ours(site: Site) -> None:
    response = await site.call(
        "POST", "/sign-in", role=None, headers=ORIGIN, content=b"\xff=%ff&next=%00&&=&api_key"
    )
    assert response.status_code == 403


async def test_signing_out_ends_the_session(site: Site) -> None:
    headers, csrf_token = await site.sign_in(Role.VIEWER)
    body = urlencode({"csrf_token": csrf_token})
    response = await site.call(
        "POST", "/sign-out", role=None, headers=headers | ORIGIN, content=body
    )
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert await site.sessions.principal(headers["Cookie"]) is None


async def test_signing_out_twice_is_signing_out(site: Site) -> None:
    response = await site.call("POST", "/sign-out", role=None, headers=ORIGIN, content=b"")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("forged", [{"Origin": "http://evil.example"}, {}])
async def test_another_site_cannot_sign_anybody_out(site: Site, forged: dict[str, str]) -> None:
    headers, csrf_token = await site.sign_in(Role.VIEWER)
    body = urlencode({"csrf_token": csrf_token if forged else "guessed"})
    response = await site.call(
        "POST", "/sign-out", role=None, headers=headers | ORIGIN | forged, content=body
    )
    assert response.headers["location"] == "/live"
    assert await site.sessions.principal(headers["Cookie"]) is not None
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "forged", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_another_site_cannot_take_the_cookie_away_that_its_form_does_not_carry(
    site: Site, forged: dict[str, str]
) -> None:
    headers = ORIGIN | forged
    response = await site.call("POST", "/sign-out", role=None, headers=headers, content=b"")
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "wanted", ["/live", "/rules?q=%2F%2Fx&page=2", "/live?event=01a2", "/rules/7"]
)
def test_a_path_of_ours_is_a_place_to_go(wanted: str) -> None:
    assert local_path(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "live",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/live\r\nSet-Cookie: a=b",
        "/ünicode",
        "/sign-in?next=/sign-in",
        "/sign-out",
    ],
)
def test_what_might_lead_elsewhere_leads_to_the_live_page(wanted: str) -> None:
    assert local_path(wanted) == "/live"


async def test_what_the_address_says_is_escaped(site: Site) -> None:
    response = await site.call("GET", '/sign-in?next=/"><script>alert(1)</script>', role=None)
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text
