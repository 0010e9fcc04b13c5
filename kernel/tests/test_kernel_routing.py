"""Finding routes: against a simple model, and the rules of contract kernel §3."""

from contextvars import copy_context
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory import BadRequest, HTTPError, Public, Request, Route, StartupError
from locutory.http.routing import RouteTable


async def nothing(_request: Any) -> Any:
    raise AssertionError("never called")


def route(path: str, *methods: str, fallback: bool = False) -> Route:
    return Route(
        path=path,
        endpoint=nothing,
        methods=methods or ("GET",),
        access=Public("test"),
        summary="test",
        fallback=fallback,
    )


def table(*routes: Route | tuple[Route, str]) -> RouteTable:
    made = RouteTable()
    for item in routes:
        made.add(*(item if isinstance(item, tuple) else (item, "owner")))
    return made


def found(routes: RouteTable, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    from urllib.parse import unquote

    match = routes.match(method, unquote(path), path.encode())
    return None if match is None else (match.route.path, match.parameters)


SEGMENTS = st.sampled_from(["a", "b", "c", "{x}"])
TEMPLATES = st.lists(SEGMENTS, min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(p if p != "{x}" else f"{{x{i}}}" for i, p in enumerate(parts))
)
TEMPLATES_WITH_REST = st.tuples(TEMPLATES, st.booleans()).map(
    lambda pair: pair[0] + "/{rest:path}" if pair[1] else pair[0]
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "A", "d", "x/y", "%"]), min_size=1, max_size=5)


def kinds(template: str, parts: list[str]) -> tuple[int, ...] | None:
    """How a template fits: per segment 0 literal, 1 parameter, 2 remainder; None when not."""
    fit: list[int] = []
    pattern = template.strip("/").split("/")
    for at, segment in enumerate(pattern):
        if segment.endswith(":path}"):
            return (*fit, 2) if len(parts) > at else None
        if at >= len(parts):
            return None
        if segment.startswith("{"):
            fit.append(1)
        elif segment == parts[at].lower():
            fit.append(0)
        else:
            return None
    return tuple(fit) if len(pattern) == len(parts) else None


def values(template: str, parts: list[str]) -> dict[str, str]:
    named = {}
    for at, segment in enumerate(template.strip("/").split("/")):
        if segment.endswith(":path}"):
            named["rest"] = "/".join(parts[at:])
        elif segment.startswith("{"):
            named[segment[1:-1]] = parts[at]
    return named


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(TEMPLATES_WITH_REST, st.sampled_from(["GET", "POST"])), max_size=12),
    PATHS,
    st.sampled_from(["GET", "POST"]),
    st.booleans(),
)
def test_the_most_specific_route_wins(
    templates: list[tuple[str, str]], parts: list[str], method: str, slash: bool
) -> None:
    routes = RouteTable()
    added = set()
    for template, verb in templates:
        if (template, verb) not in added:
            added.add((template, verb))
            routes.add(route(template, verb), "owner")
    fits = [
        (fit, template)
        for template, verb in added
        if verb == method and (fit := kinds(template, parts)) is not None
    ]
    expected = None
    if fits:
        template = min(fits)[1]
        expected = (template, values(template, parts))
    path = "/" + "/".join(quote(part, safe="") for part in parts) + ("/" if slash else "")
    assert found(routes, method, path) == expected


def test_case_and_one_trailing_slash_do_not_count() -> None:
    routes = table(route("/api/Things"), route("/api/things/{id}"))
    assert found(routes, "GET", "/API/thingS/") == ("/api/Things", {})
    assert found(routes, "GET", "/api/THINGS/AbC/") == ("/api/things/{id}", {"id": "AbC"})
    assert found(routes, "GET", "/api/things//") is None
    assert found(routes, "GET", "/api//things") is None
    assert found(routes, "GET", "/api/things/x//") is None
    assert found(routes, "GET", "//api/things/x") is None


def test_head_finds_get_and_a_wrong_method_nothing() -> None:
    routes = table(route("/a"), route("/a/{x}", "POST"))
    assert found(routes, "HEAD", "/a") == ("/a", {})
    assert found(routes, "POST", "/a") is None
    assert found(routes, "HEAD", "/a/1") is None
    assert found(routes, "BREW", "/a") is None


def test_a_method_that_the_literal_lacks_may_be_the_parameters() -> None:
    routes = table(route("/a/new"), route("/a/{x}", "GET", "DELETE"))
    assert found(routes, "GET", "/a/new") == ("/a/new", {})
    assert found(routes, "DELETE", "/a/new") == ("/a/{x}", {"x": "new"})


def test_an_encoded_slash_stays_in_its_parameter() -> None:
    routes = table(route("/f/{name}"), route("/f/images/avatar"), route("/f/{a}/{b}"))
    assert found(routes, "GET", "/f/images%2Favatar") == ("/f/{name}", {"name": "images/avatar"})
    assert found(routes, "GET", "/f/images/avatar") == ("/f/images/avatar", {})
    assert found(routes, "GET", "/f/..%2f..%2fetc/passwd") == (
        "/f/{a}/{b}",
        {"a": "../../etc", "b": "passwd"},
    )


@pytest.mark.parametrize("path", ["/f/%ff", "/f/%zz", "/f/%", "/f/a%e4b"])
def test_bad_percent_encoding_is_400(path: str) -> None:
    with pytest.raises(HTTPError) as raised:
        found(table(route("/f/{name}")), "GET", path)
    assert raised.value.status == 400
    assert found(table(route("/g")), "GET", path) is None


def test_text_of_all_languages_is_decoded() -> None:
    assert found(table(route("/f/{name}")), "GET", "/f/" + quote("grün 緑 %")) == (
        "/f/{name}",
        {"name": "grün 緑 %"},
    )


def test_a_remainder_is_never_empty() -> None:
    routes = table(route("/files/{rest:path}"))
    assert found(routes, "GET", "/files/a/B/c.png") == (
        "/files/{rest:path}",
        {"rest": "a/B/c.png"},
    )
    assert found(routes, "GET", "/files/") is None
    assert found(routes, "GET", "/files") is None
    assert found(routes, "GET", "/files//") is None


def test_two_plugins_on_one_path_are_both_named() -> None:
    with pytest.raises(StartupError, match="both 'one' and 'two'"):
        table((route("/a/{x}"), "one"), (route("/A/{y}/"), "two"))
    table((route("/a/{x}", "GET"), "one"), (route("/a/{y}", "POST"), "two"))


def test_parameters_keep_the_names_of_their_own_route() -> None:
    routes = table(route("/a/{x}", "GET"), route("/a/{y}", "POST"), route("/a/{z}/more"))
    assert found(routes, "GET", "/a/1") == ("/a/{x}", {"x": "1"})
    assert found(routes, "POST", "/a/1") == ("/a/{y}", {"y": "1"})
    assert found(routes, "GET", "/a/1/more") == ("/a/{z}/more", {"z": "1"})


@pytest.mark.parametrize("first", [True, False])
def test_a_fallback_gives_way(first: bool) -> None:
    both = [(route("/a", fallback=True), "off"), (route("/a"), "real")]
    routes = table(*(both if first else reversed(both)))
    match = routes.match("GET", "/a")
    assert match is not None
    assert match.owner == "real"
    assert [owner for owner, _ in routes.all()] == ["real"]


def test_two_fallbacks_are_a_conflict() -> None:
    with pytest.raises(StartupError, match="both"):
        table((route("/a", fallback=True), "one"), (route("/a", fallback=True), "two"))


def test_a_fallback_that_still_serves_something_is_listed() -> None:
    wide = route("/a/{rest:path}", "GET", "POST", fallback=True)
    routes = table((wide, "off"), (route("/a/{x}"), "real"), (route("/a/{rest:path}"), "real"))
    assert ("off", wide) in routes.all()
    match = routes.match("POST", "/a/b/c")
    assert match is not None
    assert match.owner == "off"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("a", ("GET",)),
        ("/a//b", ("GET",)),
        ("/a/{x}.json", ("GET",)),
        ("/a/{x", ("GET",)),
        ("/a/{x:path}/b", ("GET",)),
        ("/a/{x}/{x}", ("GET",)),
        ("/a/{}", ("GET",)),
        ("/a", ()),
        ("/a", ("get",)),
        ("/a", ("HEAD",)),
        ("/a", ("BREW",)),
    ],
)
def test_a_route_that_could_never_match_is_refused(path: str, methods: tuple[str, ...]) -> None:
    made = Route(
        path=path, endpoint=nothing, methods=methods, access=Public("test"), summary="test"
    )
    with pytest.raises(StartupError):
        table(made)


def test_deep_paths_cost_nothing_special() -> None:
    routes = table(*(route("/" + "/".join(["{x}"] * 0 + ["a"] * depth)) for depth in range(1, 30)))
    assert found(routes, "GET", "/a" * 10_000) is None


def test_members_are_read_with_their_type() -> None:
    scope: Any = {"type": "http", "headers": []}
    # Not the request that later tests are in.
    request = copy_context().run(Request, scope, None, None, None)  # type: ignore[arg-type]
    request.payload = {"name": "x", "none": None, "bad": {"$gt": ""}}
    assert request.text("name") == "x"
    assert request.text("none") is None
    assert request.text("absent") is None
    with pytest.raises(BadRequest):
        request.text("bad")
    request.payload = []
    with pytest.raises(BadRequest):
        request.text("name")
