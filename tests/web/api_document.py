"""The OpenAPI document of an application, and whether an answer is what it says."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import msgspec


class ApiDocument:
    """The document, asked about answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[tuple[str, int, int], jsonschema_rs.Draft202012Validator] = {}
        self._paths = {
            re.compile(re.sub(r"{[a-z_]+}", ".+", path)): operations
            # What says most comes first: /rules/test before /rules/{rule_id}.
            for path, operations in sorted(
                document["paths"].items(), key=lambda each: -len(re.sub("{.*?}", "", each[0]))
            )
        }

    def complaint(self, response: httpx.Response) -> str | None:
        """What is wrong with an answer by the document; None: nothing."""
        method = response.request.method.lower()
        path = response.request.url.raw_path.decode().partition("?")[0]
        path = path.replace("/api/v1/", "/api/v2/")
        found = [ops for each, ops in self._paths.items() if each.fullmatch(path) and method in ops]
        if not found:
            return f"{method} {path} is not in the document"
        described = found[0][method]["responses"].get(str(response.status_code))
        if described is None:
            return f"{method} {path} may not answer {response.status_code}"
        media_type = response.headers.get("content-type", "").partition(";")[0]
        content = described.get("content", {})
        if not response.content:
            return None if not content else f"{method} {path} answers without a body"
        if media_type not in content:
            return f"{method} {path} may not answer {media_type}"
        if media_type != "application/json":
            return None
        key = (method, id(found[0]), response.status_code)
        if key not in self._validators:
            schema = content[media_type]["schema"] | {"components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema)
        faults = list(self._validators[key].iter_errors(response.json()))
        return f"{method} {path}: {faults[0].message} {faults[0].instance_path}" if faults else None


@cache
def document_of(octets: bytes) -> ApiDocument:
    """The same one for the same octets: a validator takes longer to make than to ask."""
    return ApiDocument(msgspec.json.decode(octets))
