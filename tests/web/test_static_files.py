"""Styles and scripts: whole, cacheable, by exact name only."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from web_site import Site

STATIC = resources.files("muttd.web") / "static"
NAMES = sorted(entry.name for entry in STATIC.iterdir())


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_served_whole_and_not_again_when_unchanged(site: Site, name: str) -> None:
    response = await site.call("GET", f"/static/{name}", role=None)
    assert response.status_code == 200
    assert response.content == (STATIC / name).read_bytes()
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    etag = response.headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = await site.call(
            "GET", f"/static/{name}", role=None, headers={"If-None-Match": known}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag


async def test_scripts_and_styles_have_their_types(site: Site) -> None:
    types = {
        name: (await site.call("GET", f"/static/{name}", role=None)).headers["content-type"]
        for name in ("app.css", "live.js", "icon.svg")
    }
    assert types == {
        "app.css": "text/css; charset=utf-8",
        "live.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/nothing.js",
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
        "/static/app.css%00.js",
        "/static/APP.CSS",
    ],
)
async def test_no_other_name_leads_anywhere(site: Site, path: str) -> None:
    response = await site.call("GET", path, role=None)
    assert response.status_code == 404
    assert b"import" not in response.content


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_scripts_import_only_what_is_there(name: str) -> None:
    imported = re.findall(r'^import .* from "\./([^"]+)";$', (STATIC / name).read_text(), re.M)
    assert set(imported) <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_scripts_never_parse_text_as_html_or_code(name: str) -> None:
    text = (STATIC / name).read_text()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert re.search(forbidden, text) is None
