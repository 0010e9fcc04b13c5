"""Routes as data, and the table that finds the route of a request.

A path without parameters is found by one dictionary look-up; others walk a trie in which literal
segments win over parameters. Matching ignores case and a trailing slash (contract kernel §3);
parameter values keep their case and are percent-decoded one by one, so that an encoded slash stays
inside its parameter.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from pydantic import BaseModel
from starlette.responses import Response

from locutory.access import Access
from locutory.errors import BadRequest, Problem, StartupError
from locutory.http.limiting import Limit
from locutory.http.validation import Invalid

if TYPE_CHECKING:
    from locutory.http.request import Request

Endpoint = Callable[["Request"], Awaitable[Response]]
Gate = Callable[["Request"], Awaitable[Response | None]]

_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_PARAMETER = re.compile(r"\{[A-Za-z_]\w*(:path)?\}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response in the documentation: its meaning, and by media type a model, an example or, for
    files and streams, ``None``."""

    text: str
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path of a plugin.

    Args:
        path: ``/api/things/{thing_id}``; ``{rest:path}`` matches the remainder.
        endpoint: receives the request, returns a response.
        methods: HTTP methods; GET answers HEAD too.
        access: who may call; mandatory.
        summary: one line for the documentation.
        gates: run before access; the first that returns a response ends the request.
        limits: rate limits, run in order after access.
        checks: run after limits, before body and query are validated; like gates. They refuse
            callers who must not receive the errors of a body that they may not send.
        body: model of the body. The endpoint is called only with a body that is valid, strictly,
            and gets it with `Request.valid`. `NoBody` where a POST, PUT or PATCH reads none.
        body_schema: the same for the documentation alone, as a model or a JSON schema, where
            the contract has answers for bodies that no model would accept.
        body_type: media type of that body.
        query: model of the query, which works as ``body`` does; values are texts.
        invalid: makes the error for a body or a query that its model refuses; `refusal` makes
            the usual ones. Default: 400 ``{message, code, status}``.
        responses: status → model or example of the JSON, text description, or `Answer`.
        failure: body of the 500 when the endpoint raises unexpectedly; text or JSON.
        fallback: ``True``: it serves the path only while no other plugin does ("off" answers).
        raw_body: the endpoint reads the body itself (uploads).
        contract: section of the contract that the route follows.
    """

    path: str
    endpoint: Endpoint
    access: Access
    summary: str
    methods: tuple[str, ...] = ("GET",)
    gates: tuple[Gate, ...] = ()
    limits: tuple[Limit, ...] = ()
    checks: tuple[Gate, ...] = ()
    body: type[BaseModel] | None = None
    body_schema: type[BaseModel] | Mapping[str, Any] | None = None
    body_type: str = "application/json"
    query: type[BaseModel] | None = None
    invalid: Invalid | None = None
    responses: Mapping[int, Any] = field(default_factory=dict)
    failure: Mapping[str, Any] | str | None = None
    fallback: bool = False
    raw_body: bool = False
    contract: str = ""


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    remainder: dict[str, "_Entry"] = field(default_factory=dict)
    entries: dict[str, "_Entry"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    route: Route
    owner: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A route found for a request, its plugin and its path parameters."""

    route: Route
    owner: str
    parameters: dict[str, str]


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _split(path: str) -> list[str]:
    """The segments of a requested path. One trailing slash is ignored; doubled slashes leave empty
    segments, which no parameter matches."""
    parts = path.split("/")[1:]
    if parts and not parts[-1]:
        parts.pop()
    return parts


def _check_declaration(route: Route, owner: str) -> None:
    segments = _segments(route.path)
    names = [segment for segment in segments if "{" in segment or "}" in segment]
    wrong = ""
    if not route.path.startswith("/") or "//" in route.path:
        wrong = "a path starts with one slash and has no empty segment"
    elif not all(_PARAMETER.fullmatch(name) for name in names):
        wrong = "a parameter fills its segment: {name}"
    elif any(name.endswith(":path}") for name in segments[:-1]):
        wrong = "{name:path} stands only at the end"
    elif len({name.partition(":")[0].strip("{}") for name in names}) < len(names):
        wrong = "two parameters have the same name"
    elif not route.methods or any(method not in _METHODS for method in route.methods):
        wrong = f"methods are some of {', '.join(sorted(_METHODS))}"
    elif route.body is not None and (route.raw_body or route.body_schema is not None):
        wrong = "body is read by the kernel; body_schema describes one that it does not read"
    if wrong:
        methods = ",".join(route.methods)
        raise StartupError(Problem(f"route {methods} {route.path}", wrong, plugin=owner))


def _check_encoding(raw_path: bytes) -> None:
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        valid = False
    else:
        valid = _BAD_PERCENT.search(raw_path) is None
    if not valid:
        raise BadRequest("The path is not valid percent-encoded UTF-8", "BAD_PATH")


class RouteTable:
    """All routes of one kernel."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, _Entry]] = {}
        self._root = _Node()
        self._all: list[tuple[str, Route]] = []

    def add(self, route: Route, owner: str) -> None:
        """Register a route. Raises `StartupError` for a wrong declaration, and for two plugins on
        one path and method unless one of them declares its route a fallback."""
        _check_declaration(route, owner)
        names: list[str] = []
        segments = _segments(route.path)
        remainder = False
        node = self._root
        for segment in segments:
            if segment.startswith("{") and segment.endswith(":path}"):
                names.append(segment[1:-6])
                remainder = True
                break
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.lower(), _Node())
        slot = node.remainder if remainder else node.entries
        if not names:
            slot = self._exact.setdefault("/" + "/".join(segments).lower(), {})
        for method in route.methods:
            self._put(slot, method, _Entry(route, owner, tuple(names)))
        self._all.append((owner, route))

    def _put(self, slot: dict[str, _Entry], method: str, entry: _Entry) -> None:
        taken = slot.get(method)
        if taken is not None and taken.route.fallback == entry.route.fallback:
            raise StartupError(
                Problem(
                    f"route {method} {entry.route.path}",
                    f"served by both '{taken.owner}' and '{entry.owner}'",
                    f"switch one off: plugins.disabled: [{taken.owner}] or [{entry.owner}]",
                    entry.owner,
                )
            )
        if taken is None or taken.route.fallback:
            slot[method] = entry

    def match(self, method: str, path: str, raw_path: bytes | None = None) -> Match | None:
        """The route for a method and path, or ``None``. HEAD finds GET. Raises `BadRequest` when
        the path of a route with parameters is not percent-encoded UTF-8."""
        if method == "HEAD":
            method = "GET"
        # An encoded slash belongs to its parameter and must not become a separator.
        encoded = raw_path is not None and b"%" in raw_path and _ENCODED_SLASH.search(raw_path)
        if not encoded:
            plain = path.lower()
            if len(plain) > 1 and plain.endswith("/"):
                plain = plain[:-1]
            found = self._exact.get(plain)
            if found is not None:
                entry = found.get(method)
                if entry is not None:
                    return Match(entry.route, entry.owner, {})
        if raw_path is not None and b"%" in raw_path:
            parts = [unquote(part) for part in _split(raw_path.decode("ascii", "replace"))]
        else:
            parts = _split(path)
        hit = self._walk(self._root, method, parts, 0, [])
        if hit is None:
            return None
        if raw_path is not None and b"%" in raw_path:
            _check_encoding(raw_path)
        entry, values = hit
        return Match(entry.route, entry.owner, dict(zip(entry.names, values, strict=True)))

    def _walk(
        self, node: _Node, method: str, parts: list[str], at: int, values: list[str]
    ) -> tuple[_Entry, list[str]] | None:
        if at == len(parts):
            entry = node.entries.get(method)
            return None if entry is None else (entry, values)
        literal = node.literals.get(parts[at].lower())
        if literal is not None:
            hit = self._walk(literal, method, parts, at + 1, values)
            if hit is not None:
                return hit
        if node.parameter is not None and parts[at]:
            hit = self._walk(node.parameter, method, parts, at + 1, [*values, parts[at]])
            if hit is not None:
                return hit
        rest = node.remainder.get(method) if any(parts[at:]) else None
        return None if rest is None else (rest, [*values, "/".join(parts[at:])])

    def all(self) -> list[tuple[str, Route]]:
        """(plugin, route) of every route in use, sorted by path; replaced fallbacks are left
        out."""
        serving = {id(entry.route) for slot in self._slots(self._root) for entry in slot.values()}
        return sorted(
            (pair for pair in self._all if id(pair[1]) in serving),
            key=lambda pair: (pair[1].path, pair[1].methods),
        )

    def _slots(self, node: _Node) -> Iterator[dict[str, _Entry]]:
        if node is self._root:
            yield from self._exact.values()
        yield node.entries
        yield node.remainder
        for inner in (*node.literals.values(), node.parameter):
            if inner is not None:
                yield from self._slots(inner)
