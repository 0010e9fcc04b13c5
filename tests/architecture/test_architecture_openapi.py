"""The OpenAPI document of all bundled plugins describes every request and every answer."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError
from tests.architecture.generator import generator

from locutory import HTTPError, NoBody
from locutory.http.validation import refused
from locutory.run.kernel import Kernel
from locutory_openapi.document import document


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    built: Kernel = generator().build_kernel()
    return built


@pytest.fixture(scope="module")
def described(kernel: Kernel) -> dict[str, Any]:
    return document(kernel.routes)


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_valid(described: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(described).validate()


def test_every_operation_can_succeed(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        assert any(status[0] in "23" for status in operation["responses"]), name


def test_answers_say_what_they_are(described: dict[str, Any]) -> None:
    """No error is called a success, and examples come with the schema of their shape."""
    good = {status.phrase for status in HTTPStatus if status < 300} | {"Success"}
    for name, operation in operations(described):
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if status == "default" or status[0] in "45":
                assert answer["description"] not in good, (name, status)
            for content in answer.get("content", {}).values():
                assert "schema" in content or "example" not in content, (name, status)


def test_every_body_is_described_or_declared_absent(kernel: Kernel) -> None:
    """Also those of answers that stand in for a plugin that is off."""
    for owner, route in kernel.routes._all:
        if {"POST", "PUT", "PATCH"} & set(route.methods):
            assert (route.body or route.body_schema) is not None, (owner, route.path)


def test_a_body_that_is_read_says_its_refusal(kernel: Kernel, described: dict[str, Any]) -> None:
    """Its model takes no number, and the answer for that is in the document."""
    answers = {each["operationId"]: each["responses"] for _name, each in operations(described)}
    for _owner, route in kernel.routes.all():
        if route.body is None or route.body is NoBody:
            continue
        refusal = refused(route)
        assert refusal is not None, route.path
        assert 400 <= refusal.status < 500, route.path
        name = re.sub(r"\W+", "_", route.path).strip("_")
        for method in route.methods:
            assert str(refusal.status) in answers[f"{method.lower()}_{name}"], route.path


def errors_of(model: type[BaseModel], body: Any) -> int:
    try:
        model.model_validate(body, strict=True)
    except ValidationError as error:
        return error.error_count()
    except HTTPError:  # a validator that knows the answer itself
        return 1
    return 0


def test_a_wrong_body_makes_few_errors(kernel: Kernel) -> None:
    """A million of them would hold everybody up, and only the first is told."""
    many: list[Any] = [[{}] * 20_000, {str(number) + "x" * 500: {} for number in range(20_000)}]
    for _owner, route in kernel.routes.all():
        if route.body is None or route.body is NoBody:
            continue
        for name, field in route.body.model_fields.items():
            for value in many:
                count = errors_of(route.body, {field.alias or name: value})
                assert count < 500, (route.path, name)


DESCRIBED = {
    "/api/agents/chat",
    "/api/agents/chat/abort",
    "/api/agents/chat/resume",
    "/api/agents/chat/steer",
    "/api/agents/chat/steer/arm",
    "/api/agents/chat/steer/cancel",
    "/api/agents/chat/steer/deliver",
    "/api/agents/chat/{endpoint}",
    "/api/agents/v1/chat/completions",
    "/api/agents/v1/responses",
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/resetPassword",
    "/api/convos/import",
    "/api/roles/{role_name}/{permission_type}",
    "/oauth/apple/callback",
    "/oauth/saml/callback",
}
"""Paths whose endpoint reads the body itself, because the contract answers wrong ones in ways
that no model has; a comment at the route says how."""


def test_a_body_that_is_only_described_is_an_exception(kernel: Kernel) -> None:
    found = {route.path for _owner, route in kernel.routes.all() if route.body_schema is not None}
    assert found == DESCRIBED


def test_bodies_name_their_members(kernel: Kernel, described: dict[str, Any]) -> None:
    for owner, route in kernel.routes.all():
        body = route.body or route.body_schema
        if body is None or body is NoBody:
            continue
        names = body["properties"] if isinstance(body, Mapping) else body.model_fields
        assert "" not in names, (owner, route.path)
        assert names, (owner, route.path)
    schemas = described["components"]["schemas"]
    for name, wanted in (
        ("CompletionRequest", {"model", "messages", "stream"}),
        ("ResponseRequest", {"model", "input", "stream", "previous_response_id"}),
    ):
        assert wanted <= schemas[name]["properties"].keys()
    for path in ("chat/completions", "responses"):
        operation = described["paths"][f"/api/agents/v1/{path}"]["post"]
        assert set(operation["responses"]["200"]["content"]) == {
            "application/json",
            "text/event-stream",
        }
        assert operation["requestBody"]["required"] is True


def test_protected_operations_name_their_refusals(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        if "security" in operation:
            assert "401" in operation["responses"], name
