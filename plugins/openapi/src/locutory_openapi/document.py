"""OpenAPI 3.1 of every route, from the route data itself."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from locutory import (
    Answer,
    ApiKey,
    Can,
    Capability,
    NoBody,
    OptionalUser,
    Public,
    Route,
    Routes,
    __version__,
    refused,
)

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_JSON = "application/json"
_ABOUT = """HTTP API of this server: the routes of its enabled plugins, by plugin.

Sign in with `POST /api/auth/login` and send its `token` as bearer; programs use a key of
`POST /api/api-keys` where `apiKey` is asked for. Examples of answers show their members, not every
value. `x-contract` names the paragraph of the contract with LibreChat's clients that an operation
follows; this document can be read without it."""
_ERROR = {
    "type": "object",
    "description": "An error. Some routes say `error` in place of `message`.",
    "properties": {
        "message": {"type": "string", "description": "What is wrong, for people"},
        "code": {"type": "string", "description": "What is wrong, for programs"},
        "status": {"type": "integer", "description": "The status of the answer"},
    },
    "additionalProperties": True,
}
_ANY_ERROR = {
    "description": "An error",
    "content": {_JSON: {"schema": {"$ref": _REF.format(model="Error")}}},
}


def document(table: Routes) -> dict[str, Any]:
    """The OpenAPI document of a server's routes."""
    routes = table.all()
    models: dict[type[BaseModel], None] = {}
    for _, route in routes:
        for model in (
            route.body or route.body_schema,
            route.query,
            *_contents(route),
        ):
            if _is_model(model) and model is not NoBody:
                models[model] = None
    names, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF
    )
    references = {model: schema for (model, _), schema in names.items()}
    paths: dict[str, dict[str, Any]] = {}
    shapes: dict[str, str] = {}
    for owner, route in routes:
        # Paths that differ only in the names of parameters count as one in OpenAPI.
        shape = _PARAMETER.sub("{}", route.path).lower()
        path = shapes.setdefault(shape, _PARAMETER.sub(r"{\1}", route.path))
        for method in route.methods:
            paths.setdefault(path, {})[method.lower()] = _operation(
                owner, route, method, path, references
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Locutory",
            "version": __version__,
            "description": _ABOUT,
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **definitions.get("$defs", {})},
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(
    owner: str, route: Route, method: str, path: str, references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", route.path).strip("_")
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{name}",
        "summary": route.summary,
        "tags": [owner],
        "x-plugin": owner,
        "responses": {
            str(status): _response(status, content, references)
            for status, content in (route.responses or {200: "Success"}).items()
        },
    }
    for status, content in _implied(route):
        operation["responses"].setdefault(str(status), _response(status, content, references))
    operation["responses"].setdefault("default", _ANY_ERROR)
    if route.contract:
        operation["x-contract"] = route.contract
    parameters = [
        {"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}
        for parameter in _PARAMETER.findall(path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema(ref_template=_REF)
        required = schema.get("required", [])
        parameters += [
            {"name": field, "in": "query", "required": field in required, "schema": inner}
            for field, inner in schema.get("properties", {}).items()
        ]
    if parameters:
        operation["parameters"] = parameters
    body = route.body or route.body_schema
    if isinstance(body, Mapping):
        operation["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {route.body_type: {"schema": dict(body)}},
        }
    elif body is not None and body is not NoBody:
        operation["requestBody"] = {
            "required": any(field.is_required() for field in body.model_fields.values()),
            "content": {route.body_type: {"schema": references[body]}},
        }
    if not isinstance(route.access, Public | OptionalUser):
        scheme = "apiKey" if isinstance(route.access, ApiKey) else "session"
        operation["security"] = [{scheme: []}]
    return operation


def _implied(route: Route) -> Iterator[tuple[int, Any]]:
    """Answers of the kernel itself, which no route declares."""
    if not isinstance(route.access, Public | OptionalUser):
        yield 401, "Not signed in"
    if isinstance(route.access, Can | Capability | ApiKey):
        yield 403, {"message": "Forbidden: Insufficient permissions"}
    wrong = refused(route)
    if wrong is not None:
        yield wrong.status, wrong.body
    for limit in route.limits[:1]:
        yield 429, limit.body
    if route.failure is not None:
        yield 500, route.failure
    if route.fallback:
        yield 200, "Only while a plugin that serves this is on"


def _contents(route: Route) -> Iterator[Any]:
    """Models and examples of a route's answers."""
    for content in route.responses.values():
        yield from content.content.values() if isinstance(content, Answer) else (content,)


def _is_model(content: Any) -> bool:
    return isinstance(content, type) and issubclass(content, BaseModel)


def _response(
    status: int, content: Any, references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    """A response: its text, and the schema or example of its body."""
    if isinstance(content, str):
        return {"description": content or HTTPStatus(status).phrase}
    if isinstance(content, Answer):
        bodies = {kind: _body(each, references) for kind, each in content.content.items()}
        return {"description": content.text, **({"content": bodies} if bodies else {})}
    text = HTTPStatus(status).phrase
    if _is_model(content):
        text = (content.__doc__ or text).partition("\n\n")[0].replace("\n    ", " ").strip()
    elif status >= 400:
        text = _message(content) or text
    return {"description": text, "content": {_JSON: _body(content, references)}}


def _message(content: Any) -> str:
    """The message in the example of an error; "" when it has none."""
    found = content
    for name in ("error", "message"):
        if isinstance(found, Mapping):
            found = found.get(name, found)
    return found if isinstance(found, str) else ""


def _body(content: Any, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    if content is None:
        return {}
    if _is_model(content):
        return {"schema": references[content]}
    return {"schema": _shape(content), "example": content}


def _shape(example: Any) -> dict[str, Any]:
    """The schema of values like an example."""
    if isinstance(example, Mapping):
        members = {str(name): _shape(value) for name, value in example.items()}
        return {"type": "object", "properties": members}
    if isinstance(example, list | tuple):
        return {"type": "array", "items": _shape(example[0]) if example else {}}
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(example, kind):
            return {"type": name}
    return {}
