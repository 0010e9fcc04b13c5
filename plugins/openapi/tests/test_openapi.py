"""The description of the routes: as a document, a page, and a command."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import schemathesis
from pydantic import BaseModel, Field

from locutory import JSON, ApiKey, OptionalUser, Plugin, Public, Request, Route, SignedIn, hook
from locutory_testing import PluginSuite, Serve, SignIn


async def nothing(_request: Request) -> JSON:
    return JSON({})


class Colour(BaseModel):
    name: str = Field(description="Its name")
    depth: int | None = None


class Wall(BaseModel):
    colours: list[Colour]
    parts: "list[Wall]" = []


class Page(BaseModel):
    limit: int = Field(default=25, description="How many")
    after: str


ROUTES = [
    Route(
        path="/api/walls/{wall_id}",
        endpoint=nothing,
        methods=("GET", "PUT"),
        access=SignedIn(),
        summary="One wall",
        body=Wall,
        responses={200: Wall, 404: {"message": "Not found"}, 204: "Nothing"},
        contract="kernel §1",
    ),
    Route(
        path="/api/walls",
        endpoint=nothing,
        access=OptionalUser("test"),
        summary="All walls",
        query=Page,
        responses={200: [{"colours": []}]},
    ),
    Route(
        path="/api/files/{rest:path}",
        endpoint=nothing,
        access=ApiKey("files"),
        summary="A file",
    ),
    # Differs from the first only in the name of its parameter.
    Route(
        path="/api/walls/{other}",
        endpoint=nothing,
        methods=("DELETE",),
        access=SignedIn(),
        summary="No wall",
    ),
]


class Walls(Plugin):
    """Routes to describe."""

    name = "walls"
    summary = "Routes to describe; for tests only"

    @hook
    def routes(self) -> list[Route]:
        return ROUTES


async def test_the_document_is_valid_and_complete(serve: Serve) -> None:
    async with serve("openapi", Walls(), SignIn()) as server:
        answer = await server.client.get("/api/openapi.json")
        assert answer.status_code == 200
        found = answer.json()
    schemathesis.openapi.from_dict(found).validate()
    assert found["openapi"].startswith("3.1.")
    wall = found["paths"]["/api/walls/{other}"]
    assert wall["get"]["x-plugin"] == "walls"
    assert wall["get"]["x-contract"] == "kernel §1"
    assert wall["get"]["security"] == [{"session": []}]
    assert wall["put"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Wall"
    }
    assert set(wall["get"]["responses"]) == {"200", "204", "400", "401", "404", "default"}
    # One path for OpenAPI, whatever its routes call the parameter.
    assert "/api/walls/{wall_id}" not in found["paths"]
    assert [p["name"] for p in wall["get"]["parameters"]] == ["other"]
    listing = found["paths"]["/api/walls"]["get"]
    assert "security" not in listing
    assert [(p["name"], p["required"]) for p in listing["parameters"]] == [
        ("limit", False),
        ("after", True),
    ]
    files = found["paths"]["/api/files/{rest}"]["get"]
    assert files["security"] == [{"apiKey": []}]
    assert set(found["components"]["schemas"]) >= {"Wall", "Colour"}
    ids = [
        operation["operationId"] for path in found["paths"].values() for operation in path.values()
    ]
    assert len(ids) == len(set(ids))


class Off(Plugin):
    """Answers for what is off."""

    name = "off"
    summary = "Answers for what is off; for tests only"
    fallback = True

    @hook
    def routes(self) -> list[Route]:
        access = Public("test")
        return [
            Route(
                path="/api/a",
                endpoint=nothing,
                access=access,
                summary=self.name,
                fallback=self.fallback,
            )
        ]


class Real(Off):
    """Serves it."""

    name = "real"
    fallback = False


async def test_overridden_fallbacks_are_not_described(serve: Serve) -> None:
    async with serve("openapi", Off(), Real()) as server:
        found = (await server.client.get("/api/openapi.json")).json()
        assert found["paths"]["/api/a"]["get"]["tags"] == ["real"]


async def test_the_page_shows_every_operation(serve: Serve) -> None:
    async with serve("openapi", SignIn()) as server:
        answer = await server.client.get("/api/docs")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        described = (await server.client.get("/api/openapi.json")).json()
        for path, methods in described["paths"].items():
            for method in methods:
                assert f"<b>{method.upper()}</b><code>{path}</code>" in answer.text
        again = await server.client.get("/api/docs")
        assert again.text == answer.text
        assert dict(again.headers).keys() == dict(answer.headers).keys()


async def test_the_page_loads_nothing_of_others_and_runs_nothing(serve: Serve) -> None:
    async with serve("openapi") as server:
        answer = await server.client.get("/api/docs")
        style = answer.text.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert f"style-src 'sha256-{digest}'" in policy
        assert "script" not in policy
        assert not re.search(r"<script|<img|src=|style=| on\w+=|@import|url\(", answer.text)


def test_the_command_prints_it_and_writes_nothing(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("locutory")
    done = subprocess.run(
        [str(program), "--data-dir", str(tmp_path / "data"), "openapi"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "/api/openapi.json" in json.loads(done.stdout)["paths"]
    assert not (tmp_path / "data").exists()


class TestSuite(PluginSuite):
    plugin = "openapi"
    readme = Path(__file__).parents[1] / "README.md"
