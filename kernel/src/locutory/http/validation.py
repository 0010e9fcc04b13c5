"""Bodies and queries as the models that a route names: read before its endpoint, and what is
wrong with them as a sentence."""

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
"""Makes the answer for a body or a query that a model refuses."""

_WORDS = {
    "missing": "{where} is required",
    "string_type": "{where} must be a string",
    "string_too_short": "{where} must not be empty",
    "string_too_long": "{where} must not be longer than {max_length} characters",
    "bool_type": "{where} must be true or false",
    "int_type": "{where} must be a whole number",
    "list_type": "{where} must be a list",
    "dict_type": "{where} must be an object",
    "model_type": "{where} must be an object",
    "literal_error": "{where} must be {expected}",
}


class NoBody(BaseModel):
    """As the ``body`` of a route: its endpoint reads none."""


class Once:
    """For the field of a query, ``Annotated[str, Once()]``: a repeated key counts as none."""


def _is_true(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() == "true"


QueryFlag = Annotated[bool, BeforeValidator(_is_true)]
"""A switch in a query: on only for 'true', in any case; everything else is off."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
"""A whole number in JSON, which may be written as 5.0."""


def max_entries(count: int) -> BeforeValidator:
    """The size of a dictionary in a body, looked at before what is in it: by itself pydantic looks
    afterwards, and makes an error of each of a million wrong entries. (Lists have ``max_length``,
    or ``fail_fast``.)"""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > count:
            details = {"field_type": "Dictionary", "max_length": count, "actual_length": len(value)}
            raise PydanticKnownError("too_long", details)
        return value

    return BeforeValidator(check)


def wording(error: ValidationError, texts: Mapping[str, str] | None = None) -> str:
    """The first thing that is wrong, as a sentence.

    ``texts`` says it in the words of a contract, by member, or by member and kind of error:
    ``"tag"``, ``"tag.string_too_long"``. A text holds for the members inside of its own too,
    ``""`` for all that no other text is for; numbers of items are left out. The text of a
    `ValueError` that a validator of a plugin raises is the sentence itself.
    """
    first = _first(error)
    text = _stated(first, texts or {})
    if text is not None:
        return text
    where, kind = ".".join(str(part) for part in first["loc"]), first["type"]
    if not where:
        return "The request body must be a JSON object" if kind == "model_type" else first["msg"]
    words = _WORDS.get(kind, "{where}: {message}")
    return words.format(**{**first.get("ctx", {}), "where": where, "message": first["msg"]})


def _first(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_input=False)[0]


def _stated(first: ErrorDetails, texts: Mapping[str, str]) -> str | None:
    """What the plugin says about an error."""
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
    """A renderer: 400 ``{member: sentence}`` with the sentence of `wording`. Without a member
    ``{message, code, status}``, which is also the answer where ``message`` is the member and
    nothing is said in ``texts``."""

    def render(error: ValidationError) -> HTTPError:
        text = wording(error, texts)
        is_plain = member == "message" and _stated(_first(error), texts or {}) is None
        if member is None or is_plain:
            return BadRequest(text, code)
        return HTTPError(400, {member: text})

    return render


_wrong_body, _wrong_query = refusal(), refusal(code="INVALID_QUERY")


def read(route: "Route", request: "Request") -> None:
    """Put body and query, as the models of the route, where `Request.valid` finds them; raises
    what the route's ``invalid`` makes of a problem."""
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
    """What a body that is no object or list at all would get."""
    try:
        if route.body is not None and route.body is not NoBody:
            route.body.model_validate(0)
    except ValidationError as error:
        return (route.invalid or _wrong_body)(error)
    return None


def read_query(model: type[M], query: Mapping[str, str | list[str]]) -> M:
    """A query as a model. Of a repeated key the first counts, unless its field takes several,
    or says `Once`."""
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
    """The names of the fields that take several values, and of those that stand once."""
    lists, once = set(), set()
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if any(get_origin(kind) is list for kind in kinds):
            lists.add(field.alias or name)
        if any(isinstance(item, Once) for item in field.metadata):
            once.add(field.alias or name)
    return frozenset(lists), frozenset(once)
