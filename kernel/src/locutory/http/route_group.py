"""Groups of routes with a common prefix and common options."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from pydantic import BaseModel

from locutory.access import Access
from locutory.errors import Problem, StartupError
from locutory.http.limiting import Limit
from locutory.http.routing import Endpoint, Gate, Route
from locutory.http.validation import Invalid


class Options(TypedDict, total=False):
    """The arguments of `Route` that a `RouteGroup` passes on."""

    access: Access
    gates: tuple[Gate, ...]
    limits: tuple[Limit, ...]
    checks: tuple[Gate, ...]
    body: type[BaseModel]
    body_schema: type[BaseModel] | Mapping[str, Any]
    body_type: str
    query: type[BaseModel]
    invalid: Invalid
    responses: Mapping[int, Any]
    failure: Mapping[str, Any] | str
    fallback: bool
    raw_body: bool
    contract: str


class RouteGroup:
    """The common options of several routes: ``RouteGroup("/api/things", access=SignedIn(), …)``,
    then ``group.get("/{thing_id}", self.read, "One thing")`` makes a `Route`.

    A route's own arguments replace those of its group; only ``responses`` are merged. The group or
    the route must give ``access``.
    """

    def __init__(self, prefix: str, **common: Unpack[Options]) -> None:
        self._prefix = prefix
        self._common = common

    def but(self, **other: Unpack[Options]) -> "RouteGroup":
        """A copy of the group with other defaults."""
        options: Options = {**self._common, **other}
        return RouteGroup(self._prefix, **options)

    def get(self, path: str, endpoint: Endpoint, summary: str, **own: Unpack[Options]) -> Route:
        """A route for GET and HEAD."""
        return self._route("GET", path, endpoint, summary, own)

    def post(self, path: str, endpoint: Endpoint, summary: str, **own: Unpack[Options]) -> Route:
        """A route for POST."""
        return self._route("POST", path, endpoint, summary, own)

    def put(self, path: str, endpoint: Endpoint, summary: str, **own: Unpack[Options]) -> Route:
        """A route for PUT."""
        return self._route("PUT", path, endpoint, summary, own)

    def patch(self, path: str, endpoint: Endpoint, summary: str, **own: Unpack[Options]) -> Route:
        """A route for PATCH."""
        return self._route("PATCH", path, endpoint, summary, own)

    def delete(self, path: str, endpoint: Endpoint, summary: str, **own: Unpack[Options]) -> Route:
        """A route for DELETE."""
        return self._route("DELETE", path, endpoint, summary, own)

    def _route(
        self, method: str, path: str, endpoint: Endpoint, summary: str, own: Options
    ) -> Route:
        options: dict[str, Any] = {**self._common, **own}
        path = self._prefix + path
        if "access" not in options:
            wrong = "neither the route nor its group says who may call it"
            raise StartupError(Problem(f"route {method} {path}", wrong, "access=SignedIn()"))
        if "responses" in own:
            options["responses"] = {**self._common.get("responses", {}), **own["responses"]}
        return Route(path=path, endpoint=endpoint, summary=summary, methods=(method,), **options)
