"""The page's own files: styles, scripts and the icon, read once, served by exact name.

    /static/{name} --dict lookup--> octets + ETag        anything else: 404

There is no path to trick: a name that was not in the package when the daemon started has no entry.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _StaticFile:
    octets: bytes
    content_type: str
    etag: str


def static_routes() -> list[BaseRoute]:
    """The route under /static/, with every file in memory."""
    files = dict(_read_files(resources.files("muttd.web") / "static"))

    async def serve_file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("no such file\n", status_code=404)
        headers = {
            "ETag": found.etag,
            # Asked for anew each time, answered with 304: after an upgrade no browser may run
            # yesterday's half of the modules with today's other half.
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        if _matches(request.headers.get("if-none-match", ""), found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.octets, media_type=found.content_type, headers=headers)

    return [Route("/static/{name}", serve_file)]


def _read_files(directory: Traversable) -> list[tuple[str, _StaticFile]]:
    files = []
    for entry in directory.iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if entry.is_file() and suffix in _CONTENT_TYPES:
            octets = entry.read_bytes()
            etag = f'"{hashlib.sha256(octets).hexdigest()[:32]}"'
            files.append((entry.name, _StaticFile(octets, _CONTENT_TYPES[suffix], etag)))
    return files


def _matches(if_none_match: str, etag: str) -> bool:
    # RFC 9110, 13.1.2: weak comparison, so a W/ that a proxy put there does not count.
    given = (part.strip().removeprefix("W/") for part in if_none_match.split(","))
    return if_none_match.strip() == "*" or etag in given
