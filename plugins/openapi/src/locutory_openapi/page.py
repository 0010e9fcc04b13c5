"""Every operation of an OpenAPI document as a page without scripts."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from starlette.responses import Response

from locutory import Answer

Operation = tuple[str, str, Mapping[str, Any]]


class Page:
    """An OpenAPI document for people."""

    described = Answer("The page", {"text/html": None})

    def __init__(self, described: Mapping[str, Any]) -> None:
        style = files("locutory_openapi").joinpath("style.css").read_text("utf-8")
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        self._html = "".join(_page(described, style)).encode()

    def respond(self) -> Response:
        """The page."""
        return Response(self._html, headers=self._headers, media_type="text/html")


def _page(described: Mapping[str, Any], style: str) -> Iterator[str]:
    operations: list[Operation] = sorted(
        (
            (method.upper(), path, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        ),
        key=lambda each: (each[2]["x-plugin"], each[1], each[0]),
    )
    groups = {
        name: list(found) for name, found in groupby(operations, lambda each: each[2]["x-plugin"])
    }
    schemas = described["components"]["schemas"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta name="robots" content="noindex"><title>API · Locutory</title><style>{style}'
    yield "</style></head><body><main><h1>API of this server</h1>"
    yield f"<p>{escape(described['info']['description'])}</p>"
    yield '<p><a href="openapi.json">The same as OpenAPI, for programs</a></p><nav>'
    yield from (f'<a href="#{escape(name)}">{escape(name)}</a>' for name in groups)
    yield "</nav>"
    for name, found in groups.items():
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2>'
        for operation in found:
            yield from _operation(operation, schemas)
    yield "</main></body></html>"


def _operation(found: Operation, schemas: Mapping[str, Any]) -> Iterator[str]:
    method, path, operation = found
    yield f"<details><summary><b>{method}</b><code>{escape(path)}</code> "
    yield f"<span>{escape(operation['summary'])}</span></summary>"
    schemes = [name for scheme in operation.get("security", ()) for name in scheme]
    asks = {"session": "a session", "apiKey": "an API key"}
    yield f"<p>Needs {asks.get(schemes[0], schemes[0]) if schemes else 'no sign-in'}.</p>"
    yield _table(
        "Parameters",
        [
            (each["name"], f"{each['in']}, {_kind(each['schema'])}", _words(each["schema"]))
            for each in operation.get("parameters", ())
        ],
    )
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(body["schema"], schemas)
        needed = schema.get("required", ())
        rows = [
            (name, _kind(inner) + (", required" if name in needed else ""), _words(inner))
            for name, inner in schema.get("properties", {}).items()
        ]
        yield _table(f"Body ({media})", rows)
    rows = [
        (status, answer["description"], ", ".join(answer.get("content", ())))
        for status, answer in sorted(operation["responses"].items())
    ]
    yield _table("Answers", rows) + "</details>"


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = schemas.get(name, schema)
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """The type of a value in a word or two."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    return str(schema.get("type", "any"))


def _words(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _table(title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><th scope=row><code>{escape(name)}</code></th><td>{escape(kind)}</td>"
        f"<td>{escape(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<table><caption>{escape(title)}</caption>{body}</table>"
