"""The OpenAPI document: valid, whole, and of what the routes really do."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route
from web_site import Site

from muttd.web.openapi import openapi_document
from muttd.web.pages import page_routes
from muttd.web.resource import Resource


@pytest.fixture
async def document(site: Site) -> dict[str, Any]:
    return openapi_document(site.routes)


def operations_of(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


async def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


async def test_anybody_may_read_it(site: Site) -> None:
    response = await site.call("GET", "/api/openapi.json", role=None)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == openapi_document(site.routes)


async def test_every_route_that_is_no_page_is_declared(site: Site) -> None:
    undeclared = {
        route.path
        for route in site.routes
        if isinstance(route, Route) and not isinstance(route.endpoint, Resource)
    }
    # What people open in a browser is not called by programs: no part of the API.
    assert undeclared == {
        route.path
        for route in page_routes(site.services, site.sessions)
        if isinstance(route, Route)
    }
    assert all(isinstance(route, Route) for route in site.routes)


async def test_every_operation_is_told_apart_and_described(document: dict[str, Any]) -> None:
    operations = operations_of(document)
    ids = [operation["operationId"] for _, operation in operations]
    assert len(ids) == len(set(ids))
    for name, operation in operations:
        sentences = [operation["summary"], *(p["description"] for p in operation["parameters"])]
        assert all(text[0].isupper() and text.endswith(".") for text in sentences), name


async def test_whatever_stands_in_braces_is_declared(document: dict[str, Any]) -> None:
    for name, operation in operations_of(document):
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == {part[1:-1] for part in name.split("/") if part.startswith("{")}, name


async def test_every_role_of_an_operation_is_told(document: dict[str, Any]) -> None:
    for name, operation in operations_of(document):
        is_open = operation["security"] == []
        assert is_open == ("x-roles" not in operation), name
        assert is_open == ("401" not in operation["responses"]), name
