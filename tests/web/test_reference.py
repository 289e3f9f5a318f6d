"""The reference for a person says of every call who may and what it takes."""

from __future__ import annotations

from muttd.web.app import api_routes
from muttd.web.openapi import openapi_document
from muttd.web.reference import render_reference

DOCUMENT = openapi_document(api_routes())


def test_every_call_is_in_the_reference_once() -> None:
    text = render_reference(DOCUMENT)
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            assert text.count(f"### `{method.upper()} {path}`\n") == 1
            assert operation["summary"] in text


def test_a_call_tells_who_may_and_what_it_takes() -> None:
    text = render_reference(DOCUMENT)
    _, _, part = text.partition("### `POST /api/v2/keys`\n")
    part = part.partition("\n### ")[0]
    assert "For: admin." in part
    assert "- body `name` (required): Who uses it: the actor in the audit." in part
    _, _, part = text.partition("### `GET /api/v2/alerts`\n")
    assert "- `page`, `limit`, `cursor`: as every list." in part.partition("\n### ")[0]
