"""A small stand-in for the API, on a real socket: it keeps rules and checks keys."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "an-admin-key"


class FakeApi:
    """What the commands call, in memory.

    Attributes:
        url: Where it listens.
        rules: As GET /api/v2/rules shows them.
        status: What GET /api/v2/status answers.
        answers: (method, path) -> (status, body) that come instead of the usual answer.
        calls: (method, path, params, body) of every request with the right key.
        reasons: change_reason of every change.
        refused_name: A rule of this name gets a 400.
        max_page_items: Less than a client asks for, to make it turn pages.
    """

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {}
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.reasons: list[str | None] = []
        self.calls: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []
        self.max_page_items = 2
        self.refused_name: str | None = None
        api = self

        class Exchange(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                params = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if self.headers["X-API-KEY"] != KEY:
                    status, answer = 401, {"error": "unauthorized", "message": "unknown API key"}
                else:
                    status, answer = api.answer(
                        self.command, parts.path, params, json.loads(body or b"{}")
                    )
                octets = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_: object) -> None:
                """Nothing: the test's output is the command's."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeApi:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self, method: str, path: str, params: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        """What one request gets."""
        self.calls.append((method, path, params, body))
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/api/v2/status":
            return 200, self.status
        if method == "GET":
            return 200, self._page(params)
        self.reasons.append(body.pop("change_reason", None))
        if body.get("name") == self.refused_name:
            detail = {"field": "prod_handling", "message": "no such handling"}
            return 400, {"error": "invalid", "message": "wrong", "details": [detail]}
        if method == "POST":
            self.rules.append(a_rule(**body, id=len(self.rules) + 1))
            return 201, self.rules[-1]
        [rule] = [rule for rule in self.rules if path == f"/api/v2/rules/{rule['id']}"]
        rule.update(body, revision=rule["revision"] + 1)
        return 200, rule

    def _page(self, params: dict[str, str]) -> dict[str, Any]:
        found = [rule for rule in self.rules if params.get("team", "") in rule["team_assignment"]]
        if params.get("is_active") == "true":
            found = [rule for rule in found if rule["is_active"]]
        limit = min(int(params["limit"]), self.max_page_items)
        page = int(params["page"])
        return {
            "rules": found[(page - 1) * limit : page * limit],
            "pagination": {
                "page": page,
                "limit": limit,
                "total": len(found),
                "pages": -(-len(found) // limit),
            },
        }


def a_rule(**fields: Any) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "id": 1,
        "revision": 1,
        "created_at": "2026-03-01T12:00:00.000000Z",
        "updated_at": "2026-03-01T12:00:00.000000Z",
        "name": "link down",
        "match_string": "LINK-3-UPDOWN",
        "match_type": "contains",
        "trap_oid": None,
        "syslog_severity": None,
        "severity_op": "eq",
        "host_pattern": None,
        "priority": 100,
        "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
        "is_active": True,
        "repeat_interval_s": None,
        "clear_match": None,
        "destination": None,
        "reason": None,
        **fields,
    }
