"""Bodies and queries are read as the models that their route names."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, RootModel, field_validator

from locutory import (
    JSON,
    HTTPError,
    NoBody,
    Once,
    Public,
    QueryFlag,
    Request,
    Route,
    RouteGroup,
    SignedIn,
    StartupError,
    refusal,
)
from locutory.http.limiting import Limit
from locutory.http.routing import RouteTable
from locutory_testing import Serve

OPEN = Public("test")


class Leaf(BaseModel):
    """A leaf."""

    size: int = Field(description="Millimetres")


class Tree(BaseModel):
    """A tree."""

    name: str = Field(min_length=1, max_length=8)
    old: bool | None = None
    leaves: list[Leaf] = []

    @field_validator("name")
    @classmethod
    def _no_weed(cls, name: str) -> str:
        if name == "weed":
            raise ValueError("a weed is no tree")
        return name


class Page(BaseModel):
    """A page."""

    size: int = 25
    old: QueryFlag = False
    kind: list[str] = []
    after: str | None = None
    before: Annotated[str, Once()] = ""


async def show(request: Request) -> JSON:
    return JSON(request.valid(Tree).model_dump())


async def page(request: Request) -> JSON:
    return JSON(request.valid(Page).model_dump())


Ask = Callable[..., Awaitable[Any]]


def serving(serve: Serve, make_plugin: Any, *routes: Route) -> Any:
    return serve(make_plugin("wood", routes=list(routes)))


async def test_the_endpoint_gets_the_model(serve: Serve, make_plugin: Any) -> None:
    trees = RouteGroup("/api/trees", access=OPEN)
    async with serving(serve, make_plugin, trees.post("", show, "Plant", body=Tree)) as server:
        answer = await server.client.post(
            "/api/trees", json={"name": "oak", "leaves": [{"size": 3}], "more": 1}
        )
        assert answer.json() == {"name": "oak", "old": None, "leaves": [{"size": 3}]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "The request body must be a JSON object"),
        ({}, "name is required"),
        ({"name": 1}, "name must be a string"),
        ({"name": ""}, "name must not be empty"),
        ({"name": "sycamore tree"}, "name must not be longer than 8 characters"),
        ({"name": "weed"}, "a weed is no tree"),
        ({"name": "oak", "old": "true"}, "old must be true or false"),
        ({"name": "oak", "leaves": {}}, "leaves must be a list"),
        ({"name": "oak", "leaves": [{"size": "3"}]}, "leaves.0.size must be a whole number"),
    ],
)
async def test_a_wrong_body_is_refused(
    serve: Serve, make_plugin: Any, body: Any, text: str
) -> None:
    routes = RouteGroup("/api/trees", access=OPEN)
    async with serving(serve, make_plugin, routes.post("", show, "Plant", body=Tree)) as server:
        answer = await server.client.post("/api/trees", json=body)
        assert answer.status_code == 400
        assert answer.json() == {"message": text, "code": "INVALID_BODY", "status": 400}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "no tree"),
        ({}, "what is it called?"),
        ({"name": 7}, "what is it called?"),
        ({"name": "sycamore tree"}, "too long"),
        ({"name": "oak", "leaves": [{"size": "3"}]}, "no leaf"),
        ({"name": "oak", "old": 1}, "old must be true or false"),
    ],
)
async def test_a_contract_has_words_and_a_form_of_its_own(
    serve: Serve, make_plugin: Any, body: Any, text: str
) -> None:
    texts = {
        "model_type": "no tree",
        "name": "what is it called?",
        "name.string_too_long": "too long",
        "leaves": "no leaf",
    }
    trees = RouteGroup("/api/trees", access=OPEN, invalid=refusal("error", texts))
    async with serving(serve, make_plugin, trees.post("", show, "Plant", body=Tree)) as server:
        answer = await server.client.post("/api/trees", json=body)
        assert (answer.status_code, answer.json()) == (400, {"error": text})


async def test_a_query_is_text(serve: Serve, make_plugin: Any) -> None:
    routes = RouteGroup("/api/trees", access=OPEN)
    async with serving(serve, make_plugin, routes.get("", page, "Trees", query=Page)) as server:

        async def ask(query: str) -> Any:
            return (await server.client.get(f"/api/trees?{query}")).json()

        plain = {"size": 25, "old": False, "kind": [], "after": None, "before": ""}
        assert await ask("") == plain
        assert await ask("size=3&old=TRUE&kind=oak") == {
            **plain,
            "size": 3,
            "old": True,
            "kind": ["oak"],
        }
        assert await ask("kind=oak&kind=elm&after=a&after=b&old=1") == {
            **plain,
            "kind": ["oak", "elm"],
            "after": "a",
        }
        assert await ask("before=a") == {**plain, "before": "a"}
        assert await ask("before=a&before=b") == plain
        assert (await ask("size=big"))["code"] == "INVALID_QUERY"


async def test_access_limits_and_checks_come_first(serve: Serve, make_plugin: Any) -> None:
    """Who may not send a body does not learn what is wrong with it."""

    async def closed(request: Request) -> None:
        if request.query_text("closed"):
            raise HTTPError(403, {"error": "closed"})

    trees = RouteGroup("/api/trees", access=OPEN, checks=(closed,))
    async with serving(
        serve,
        make_plugin,
        trees.post("", show, "Plant", body=Tree, limits=(Limit("trees", 2, 60, {"no": 1}),)),
        trees.post("/own", show, "Plant", body=Tree, access=SignedIn()),
    ) as server:
        assert (await server.client.post("/api/trees/own", json=[])).status_code == 401
        assert (await server.client.post("/api/trees?closed=1", json=[])).status_code == 403
        assert (await server.client.post("/api/trees", json=[])).status_code == 400
        assert (await server.client.post("/api/trees", json=[])).status_code == 429


async def test_only_the_models_of_the_route_are_there(serve: Serve, make_plugin: Any) -> None:
    routes = RouteGroup("/api/trees", access=OPEN)
    async with serving(serve, make_plugin, routes.post("", page, "Plant", body=Tree)) as server:
        answer = await server.client.post("/api/trees", json={"name": "oak"})
        assert answer.status_code == 500


class Names(RootModel[list[str]]):
    """Names of trees."""


async def test_a_list_can_be_a_body(serve: Serve, make_plugin: Any) -> None:
    async def names(request: Request) -> JSON:
        return JSON(request.valid(Names).root)

    routes = RouteGroup("/api/names", access=OPEN)
    async with serving(serve, make_plugin, routes.put("", names, "Names", body=Names)) as server:
        assert (await server.client.put("/api/names", json=["oak"])).json() == ["oak"]
        assert (await server.client.put("/api/names", json={})).status_code == 400


def test_a_group_gives_what_a_route_does_not_say() -> None:
    group = RouteGroup(
        "/api/trees",
        access=OPEN,
        failure="felled",
        contract="kernel §1",
        responses={404: "No tree"},
    )
    own = {200: "The tree"}
    first = group.get("/{name}", page, "One", responses=own)
    second = group.delete("/{name}", page, "Fell", access=SignedIn(), failure="stands")
    assert first == Route(
        path="/api/trees/{name}",
        endpoint=page,
        access=OPEN,
        summary="One",
        failure="felled",
        contract="kernel §1",
        responses={404: "No tree", 200: "The tree"},
    )
    assert (second.methods, second.access, second.failure) == (("DELETE",), SignedIn(), "stands")
    assert second.responses == {404: "No tree"}
    assert own == {200: "The tree"}


def test_access_is_said_by_the_route_or_its_group() -> None:
    with pytest.raises(StartupError, match="who may call"):
        RouteGroup("/api/trees").get("/x", page, "Trees")


@pytest.mark.parametrize("more", [{"raw_body": True}, {"body_schema": {"type": "object"}}])
def test_a_body_is_read_or_described(more: Any) -> None:
    route = Route(path="/x", endpoint=show, access=OPEN, summary="x", body=Tree, **more)
    with pytest.raises(StartupError, match="body_schema"):
        RouteTable().add(route, "wood")
    RouteTable().add(Route(path="/x", endpoint=show, access=OPEN, summary="x", body=NoBody), "wood")
