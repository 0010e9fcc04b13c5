"""OpenAPI 3.1 of every route, from the route data itself."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from locutory.access import ApiKey, OptionalUser, Public
from locutory.responses import JSON, encode
from locutory.routing import Route

if TYPE_CHECKING:
    from locutory.kernel import Kernel
    from locutory.request import Request

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


def document(kernel: "Kernel") -> dict[str, Any]:
    """The OpenAPI document of a kernel."""
    routes = kernel.routes.all()
    models: dict[type[BaseModel], None] = {}
    for _, route in routes:
        for model in (route.body, route.query, *route.responses.values()):
            if isinstance(model, type) and issubclass(model, BaseModel):
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
            "version": "0.1.0",
            "description": "HTTP API of this server: the routes of its enabled plugins.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
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
            str(status): _response(content, references)
            for status, content in (route.responses or {200: "Success"}).items()
        },
    }
    operation["responses"].setdefault("default", {"description": "Any other answer"})
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
    if route.body is not None:
        operation["requestBody"] = {
            "content": {"application/json": {"schema": references[route.body]}}
        }
    if not isinstance(route.access, Public | OptionalUser):
        scheme = "apiKey" if isinstance(route.access, ApiKey) else "session"
        operation["security"] = [{scheme: []}]
        operation["responses"].setdefault("401", {"description": "Not signed in"})
    return operation


def _response(content: Any, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(content, str):
        return {"description": content}
    if isinstance(content, type) and content in references:
        schema = references[content]
        return {
            "description": content.__name__,
            "content": {"application/json": {"schema": schema}},
        }
    return {"description": "Success", "content": {"application/json": {"example": content}}}


def openapi_route(kernel: "Kernel") -> Route:
    """The route that serves the document, built on first use."""
    built: list[bytes] = []

    async def serve(_request: "Request") -> JSON:
        if not built:
            built.append(encode(document(kernel)))
        return JSON(built[0])

    return Route(
        path="/api/openapi.json",
        endpoint=serve,
        access=Public("the description of the API holds nothing private"),
        summary="OpenAPI description of every route of this server",
        responses={200: "OpenAPI 3.1 document"},
    )
