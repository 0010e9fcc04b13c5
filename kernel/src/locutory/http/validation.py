"""Validation of bodies and queries with the models of a route, before its endpoint is called, and
wording of the errors."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticKnownError

from locutory.errors import BadRequest, HTTPError

if TYPE_CHECKING:
    from locutory.http.request import Request
    from locutory.http.routing import Route

M = TypeVar("M", bound=BaseModel)
Invalid = Callable[[ValidationError], HTTPError]
"""Makes the error response for a body or a query that a model refuses."""

_WORDS = {
    "missing": "{where} is required",
    "string_type": "{where} must be a string",
    "string_too_short": "{where} must not be empty",
    "string_too_long": "{where} must not be longer than {max_length} characters",
    "bool_type": "{where} must be true or false",
    "int_type": "{where} must be a whole number",
    "int_parsing": "{where} must be a whole number",
    "greater_than_equal": "{where} must be at least {ge}",
    "less_than_equal": "{where} must be at most {le}",
    "list_type": "{where} must be a list",
    "dict_type": "{where} must be an object",
    "model_type": "{where} must be an object",
    "literal_error": "{where} must be {expected}",
}


class NoBody(BaseModel):
    """The ``body`` of a route whose endpoint reads no body."""


class Once:
    """Marks the field of a query, ``Annotated[str, Once()]``: when its key is repeated, it counts
    as absent."""


def _is_true(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() == "true"


QueryFlag = Annotated[bool, BeforeValidator(_is_true)]
"""A boolean query parameter: ``True`` only for 'true', in any case."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
"""A whole number in JSON, which may be written as 5.0."""


def max_entries(count: int) -> BeforeValidator:
    """A validator for the maximum number of entries of a dictionary in a body. It runs before the
    entries are validated: pydantic's own check runs afterwards, and would make an error of each of
    a million wrong entries. (Lists have ``max_length``, or ``fail_fast``.)"""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > count:
            details = {"field_type": "Dictionary", "max_length": count, "actual_length": len(value)}
            raise PydanticKnownError("too_long", details)
        return value

    return BeforeValidator(check)


def wording(error: ValidationError, texts: Mapping[str, str] | None = None) -> str:
    """The first error as a sentence.

    ``texts`` are the sentences of a contract, by member, or by member and type of error: ``"tag"``,
    ``"tag.string_too_long"``. A text also applies to the members inside of its own, ``""`` to
    everything without another text; indexes of items are left out. The text of a `ValueError` that
    a plugin's validator raises is the sentence itself.
    """
    first = _first(error)
    text = _stated(first, texts or {})
    return _plain(first) if text is None else text


def _plain(first: ErrorDetails) -> str:
    """An error as a sentence, in words of our own."""
    where, kind = ".".join(str(part) for part in first["loc"]), first["type"]
    if not where:
        return "The request body must be a JSON object" if kind == "model_type" else first["msg"]
    words = _WORDS.get(kind, "{where}: {message}")
    return words.format(**{**first.get("ctx", {}), "where": where, "message": first["msg"]})


def _first(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_input=False)[0]


def _stated(first: ErrorDetails, texts: Mapping[str, str]) -> str | None:
    """The sentence of the plugin for an error: that of a `ValueError`, else the most specific one
    of ``texts``; ``None`` when there is none."""
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    names = [part for part in first["loc"] if isinstance(part, str)]
    text = texts.get(".".join([*names, first["type"]]))
    while text is None:
        text = texts.get(".".join(names))
        if not names:
            break
        names.pop()
    return text


def refusal(
    member: str | None = None,
    texts: Mapping[str, str] | None = None,
    *,
    code: str = "INVALID_BODY",
) -> Invalid:
    """A function that makes the response 400 ``{member: sentence}`` with the sentence of `wording`.
    The response is ``{message, code, status}`` without a member, and also where ``member`` is
    ``message`` and ``texts`` has no sentence for the error."""

    def render(error: ValidationError) -> HTTPError:
        first = _first(error)
        stated = _stated(first, texts or {})
        text = _plain(first) if stated is None else stated
        if member is None or (member == "message" and stated is None):
            return BadRequest(text, code)
        return HTTPError(400, {member: text})

    return render


_wrong_body, _wrong_query = refusal(), refusal(code="INVALID_QUERY")


def read(route: "Route", request: "Request") -> None:
    """Validate the body and the query with the models of the route, and store them for
    `Request.valid`. Raises the error that the route's ``invalid`` makes."""
    default = _wrong_body
    try:
        if route.body is not None and route.body is not NoBody:
            # Strict: JSON has types of its own, and "1" is no number.
            request.keep(route.body.model_validate(request.payload, strict=True))
        default = _wrong_query
        if route.query is not None:
            request.keep(read_query(route.query, request.query))
    except ValidationError as error:
        raise (route.invalid or default)(error) from None


def refused(route: "Route") -> HTTPError | None:
    """The error response for a body that is neither an object nor a list; ``None`` when the route
    has no model of a body, or its model accepts that."""
    try:
        if route.body is not None and route.body is not NoBody:
            route.body.model_validate(0)
    except ValidationError as error:
        return (route.invalid or _wrong_body)(error)
    return None


def read_query(model: type[M], query: Mapping[str, str | list[str]]) -> M:
    """The query as an instance of a model. The first value of a repeated key counts, unless its
    field is a list, or is marked with `Once`. Raises `ValidationError`."""
    lists, once = _several(model)
    given: dict[str, Any] = {}
    for name, value in query.items():
        if name in lists:
            given[name] = value if isinstance(value, list) else [value]
        elif isinstance(value, str):
            given[name] = value
        elif name not in once:
            given[name] = value[0]
    return model.model_validate(given)


@cache
def _several(model: type[BaseModel]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the fields that are lists, and of those marked with `Once`."""
    lists, once = set(), set()
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if any(get_origin(kind) is list for kind in kinds):
            lists.add(field.alias or name)
        if any(isinstance(item, Once) for item in field.metadata):
            once.add(field.alias or name)
    return frozenset(lists), frozenset(once)
