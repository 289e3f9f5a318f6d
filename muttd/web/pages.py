"""The browser side: sign-in, and the shell of every page.

    GET /live --session?--> shell (jinja2) --> /static/*.js --> /api/v2/*, /api/v2/live
                 | no
                 +--> 303 /sign-in?next=/live --POST api_key--> session cookie, 303 /live

A shell carries no data off the wire: what devices sent is fetched by the scripts and set as text.
The one exception is what the person typed or what the address names, and jinja2 escapes it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

import muttd
from muttd.errors import StoreUnavailable
from muttd.web.auth import (
    KeysNotRead,
    Role,
    cookie_header,
    expired_session_cookie,
    is_same_origin,
    session_cookie,
)
from muttd.web.guesses import TooManyGuesses
from muttd.web.services import Services
from muttd.web.sessions import Sessions
from muttd.web.static_files import static_routes

# A key has some 40 characters and a wanted page some 200; this is room for both, many times.
MAX_FORM_OCTETS = 16_384

# Double submit for the one form that has no session yet; the session has its own token.
_FORM_COOKIE = "muttd_form"
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a browser sends "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Signed out means signed out: nothing to find with the back button.
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Shell:
    """One page behind the sign-in: its path, its template and its name in the navigation."""

    path: str
    template: str
    section: str


_SHELLS = (
    _Shell("/live", "live.html", "live"),
    _Shell("/alerts", "alerts.html", "alerts"),
    _Shell("/dead-letters", "dead_letters.html", "dead-letters"),
    _Shell("/rules", "rules.html", "rules"),
    _Shell("/rules/new", "rule.html", "rules"),
    _Shell("/rules/{rule_id:int}", "rule.html", "rules"),
    _Shell("/hosts", "hosts.html", "hosts"),
    _Shell("/audit", "audit.html", "audit"),
    _Shell("/audit/changes", "audit_changes.html", "audit"),
    _Shell("/config", "config.html", "config"),
    _Shell("/system", "system.html", "system"),
    _Shell("/system/mibs", "mibs.html", "system"),
    _Shell("/system/keys", "keys.html", "system"),
)

Endpoint = Callable[[Request], Awaitable[Response]]


def page_routes(services: Services, sessions: Sessions) -> list[BaseRoute]:
    """Every route of the browser side.

    Args:
        services: What the web side may use; of it the keys and whether TLS is on.
        sessions: The signed-in browsers, shared with the API.
    """
    pages = _Pages(services, sessions)
    return [
        Route("/", pages.root),
        Route("/sign-in", pages.sign_in_form),
        Route("/sign-in", pages.sign_in, methods=["POST"]),
        Route("/sign-out", pages.sign_out, methods=["POST"]),
        *(Route(shell.path, pages.endpoint(shell)) for shell in _SHELLS),
        *static_routes(),
    ]


class _Pages:
    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._keys = services.keys
        self._secure = services.secure_cookies
        self._sessions = sessions
        self._access_changed = services.access_changed
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(str(resources.files("muttd.web") / "templates")),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["version"] = muttd.__version__

    async def root(self, request: Request) -> Response:
        return RedirectResponse("/live", status_code=303, headers=_HEADERS)

    def endpoint(self, shell: _Shell) -> Endpoint:
        async def show(request: Request) -> Response:
            cookies = cookie_header(request.headers.raw)
            principal = await self._sessions.principal(cookies)
            csrf_token = await self._sessions.csrf_token(cookies)
            if principal is None or csrf_token is None:
                wanted = request.url.path + ("?" + request.url.query if request.url.query else "")
                target = "/sign-in?next=" + quote(wanted, safe="")
                return RedirectResponse(target, status_code=303, headers=_HEADERS)
            return self._render(
                shell.template,
                section=shell.section,
                principal=principal,
                role=principal.role.name.lower(),
                may_change=principal.role >= Role.OPERATOR,
                csrf_token=csrf_token,
                rule_id=request.path_params.get("rule_id"),
            )

        return show

    async def sign_in_form(self, request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        if await self._sessions.principal(cookie_header(request.headers.raw)) is not None:
            return RedirectResponse(wanted, status_code=303, headers=_HEADERS)
        return self._form(request, wanted)

    async def sign_in(self, request: Request) -> Response:
        form = await _read_form(request)
        if form is None:
            return self._form(request, "/live", error="The form was too long.", status=413)
        wanted = local_path(form.get("next", ""))
        if not is_same_origin(request.headers.raw) or not _is_our_form(request, form):
            why = "This form was open for too long or came from elsewhere. Try again."
            return self._form(request, wanted, error=why, status=403)
        peer = request.client.host if request.client else None
        try:
            principal = self._keys.check(form.get("api_key", "").strip(), peer=peer)
        except TooManyGuesses as exc:
            wait_s = str(int(exc.retry_after_s) + 1)
            why = f"Too many wrong keys from your address. Try again in {wait_s} seconds."
            response = self._form(request, wanted, error=why, status=429)
            response.headers["Retry-After"] = wait_s
            return response
        except StoreUnavailable as exc:
            why = str(exc) if isinstance(exc, KeysNotRead) else "The store does not answer."
            return self._form(request, wanted, error=why, status=503)
        if principal is None:
            return self._form(request, wanted, error="This key is not known.", status=403)
        if principal.role < Role.VIEWER:
            why = "This key may only send events. Sign in with a viewer, operator or admin key."
            return self._form(request, wanted, error=why, status=403)
        # A session that was there before ends: one browser, one session, always a fresh token.
        await self._sessions.close(cookie_header(request.headers.raw))
        token, _ = await self._sessions.open(principal)
        response = RedirectResponse(wanted, status_code=303, headers=_HEADERS)
        response.headers.append("Set-Cookie", session_cookie(token, secure=self._secure))
        response.headers.append("Set-Cookie", self._form_cookie("") + "; Max-Age=0")
        return response

    async def sign_out(self, request: Request) -> Response:
        cookies = cookie_header(request.headers.raw)
        form = await _read_form(request) or {}
        if not is_same_origin(request.headers.raw):
            # Its browser sent no cookie along, and would take one that has expired nevertheless.
            return RedirectResponse("/live", status_code=303, headers=_HEADERS)
        if await self._sessions.check_csrf(cookies, form.get("csrf_token", "")):
            await self._sessions.close(cookies)
            await self._access_changed()
        elif await self._sessions.principal(cookies) is not None:
            # Someone else's page asked. Nothing happens, and the person stays where he was.
            return RedirectResponse("/live", status_code=303, headers=_HEADERS)
        response = RedirectResponse("/sign-in", status_code=303, headers=_HEADERS)
        response.headers.append("Set-Cookie", expired_session_cookie(secure=self._secure))
        return response

    def _form(
        self, request: Request, wanted: str, *, error: str | None = None, status: int = 200
    ) -> Response:
        form_token = request.cookies.get(_FORM_COOKIE, "")
        if not _FORM_TOKEN.fullmatch(form_token):
            form_token = secrets.token_urlsafe(32)
        response = self._render(
            "sign_in.html", status=status, wanted=wanted, error=error, form_token=form_token
        )
        response.headers.append("Set-Cookie", self._form_cookie(form_token))
        return response

    def _form_cookie(self, token: str) -> str:
        attributes = "Path=/sign-in; HttpOnly; SameSite=Strict" + "; Secure" * self._secure
        return f"{_FORM_COOKIE}={token}; {attributes}"

    def _render(self, template: str, *, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - jinja2 takes anything
        page = self._templates.get_template(template).render(**values)
        return HTMLResponse(page, status_code=status, headers=_HEADERS)


def local_path(wanted: str) -> str:
    r"""The page to go to after sign-in; /live for anything that is not a path of ours.

    "//evil.example" and "/\evil.example" lead a browser away; so may control characters.
    """
    if not wanted.startswith("/") or wanted.startswith(("//", "/sign-in", "/sign-out")):
        return "/live"
    if "\\" in wanted or not wanted.isascii() or not wanted.isprintable():
        return "/live"
    parts = urlsplit(wanted)
    return "/live" if parts.scheme or parts.netloc else wanted


async def _read_form(request: Request) -> dict[str, str] | None:
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_FORM_OCTETS:
                return None
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=9)
    except ValueError:  # more fields than any form of ours has
        return None
    return {name: values[0] for name, values in fields.items()}


def _is_our_form(request: Request, form: dict[str, str]) -> bool:
    cookie = request.cookies.get(_FORM_COOKIE, "")
    return bool(cookie) and hmac.compare_digest(
        cookie.encode(), form.get("form_token", "").encode()
    )
