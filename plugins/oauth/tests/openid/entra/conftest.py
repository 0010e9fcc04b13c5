"""A directory that answers as Microsoft Graph does, and an office whose people sign in there."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from bson import ObjectId
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locutory_contracts.access import ACCESS
from locutory_oauth.plugin import OAuthPlugin
from locutory_testing import Serve, Server

CLIENT = "http://localhost:3080"
PATIENT = {"plugins": {"oauth": {"directory_seconds": 60}}}
PICKER = {
    "interface": {
        "peoplePicker": {"users": True, "groups": True, "roles": True},
        "agents": {"use": True, "create": True, "share": True, "public": False},
    }
}
_CLAUSE = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_LISTS = ("me/people", "users", "groups")


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@dataclass(slots=True)
class Asked:
    """A request to Graph. ``query``: the parameters, decoded as OData wants it."""

    path: str
    query: dict[str, str]
    token: str


@dataclass
class Directory:
    """Graph. ``objects``: path of a list → its objects; ``instead``: path → what is answered
    to it, ``delay`` the seconds before any answer."""

    address: str = ""
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    instead: dict[str, Callable[[], Response]] = field(default_factory=dict)
    delay: float = 0.0
    page_size: int = 2
    next_page: str = ""
    asked: list[Asked] = field(default_factory=list)
    refused_tokens: set[str] = field(default_factory=set)

    def person(self, number: int, name: str, **more: Any) -> dict[str, Any]:
        """Somebody in the directory."""
        login = f"{name.split()[0].lower()}@corp.example"
        found = {"id": guid(number), "displayName": name, "userPrincipalName": login, **more}
        self.objects.setdefault("users", []).append(found)
        return found

    def group(self, number: int, name: str, *members: Any, **more: Any) -> dict[str, Any]:
        """A group; members as Graph lists them, or as people."""
        found = {"id": guid(number), "displayName": name, **more}
        self.objects.setdefault("groups", []).append(found)
        self.objects[f"groups/{found['id']}/transitiveMembers"] = [*map(_member, members)]
        self.objects[f"groups/{found['id']}/owners"] = []
        return found

    def paths(self) -> list[str]:
        return [each.path for each in self.asked]

    def routes(self) -> list[Route]:
        return [Route("/v1.0/{path:path}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        query = dict(
            part.partition("=")[::2] for part in request.url.query.split("&") if part
        )  # a plus sign stays one
        query = {unquote(name): unquote(value) for name, value in query.items()}
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.asked.append(Asked(path, query, token))
        if self.delay:
            await asyncio.sleep(self.delay)
        if path in self.instead:
            return self.instead[path]()
        if "~https://graph.microsoft.com/" not in token or token in self.refused_tokens:
            return JSONResponse({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        if path not in self.objects:
            return self._one(path)
        found = self.objects[path]
        if path in _LISTS:
            if request.headers.get("consistencylevel") != "eventual":
                return JSONResponse({"error": {"code": "Request_UnsupportedQuery"}}, 400)
            return self._search(found, query)
        start = int(query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": found[start : start + self.page_size]}
        if len(found) > start + self.page_size:
            more = f"{self.address}/v1.0/{path}?$skiptoken={start + self.page_size}"
            page["@odata.nextLink"] = self.next_page or more
        return JSONResponse(page)

    def _one(self, path: str) -> Response:
        kind, _, name = path.partition("/")
        for found in self.objects.get(kind, ()):
            if found["id"] == name.lower():
                return JSONResponse(found)
        return JSONResponse({"error": {"code": "Request_ResourceNotFound"}}, 404)

    def _search(self, found: list[dict[str, Any]], query: dict[str, str]) -> Response:
        clauses = clauses_of(query["$search"])
        if clauses is None:
            return JSONResponse({"error": {"code": "BadRequest"}}, 400)
        hits = [each for each in found if any(_hit(each, *clause) for clause in clauses)]
        page: dict[str, Any] = {"value": hits[: int(query["$top"])]}
        if self.next_page:
            page["@odata.nextLink"] = self.next_page
        return JSONResponse(page)


def _member(each: dict[str, Any]) -> dict[str, Any]:
    return {"@odata.type": "#microsoft.graph.user", **each}


def clauses_of(search: str) -> list[tuple[str, str]] | None:
    """Field (or "") and text of each clause of ``$search``; ``None`` for a wrong one."""
    rest, found = search, []
    while True:
        match = _CLAUSE.match(rest)
        if match is None:
            return None
        clause = re.sub(r"\\(.)", r"\1", match[1])
        name, colon, text = clause.partition(":")
        found.append((name, text) if colon else ("", clause))
        rest = rest[match.end() :]
        if not rest:
            return found
        if not rest.startswith(" OR "):
            return None
        rest = rest.removeprefix(" OR ")


def _hit(found: dict[str, Any], name: str, text: str) -> bool:
    values = [found.get(name)] if name else [found.get("displayName")]
    return any(text.lower() in str(value).lower() for value in values if value)


@pytest.fixture
async def graph(listen: Any) -> AsyncIterator[Directory]:
    """The directory of this test."""
    made = Directory()
    async with listen(made.routes()) as address:
        made.address = address
        yield made


class Office:
    """A server with the bundled plugins for accounts and roles, and browsers on it."""

    def __init__(self, server: Server, issuer: Any) -> None:
        self.server = server
        self.issuer = issuer
        self.browser = server.client
        self.user = ""
        self._token = ""

    def rows(self, name: str) -> Any:
        return self.server.kernel.database.collection(name)

    async def account(self, **chosen: Any) -> dict[str, Any]:
        found = await self.rows("users").find_one(chosen)
        assert found is not None
        return dict(found)

    async def add(self, email: str, **fields: Any) -> str:
        """An account as it is stored."""
        document = {"email": email, "provider": "local", "role": "USER", **fields}
        await self.rows("users").insert_one(document)
        return str(document["_id"])

    async def sign_in(self, subject: str = "ada", **claims: Any) -> str:
        """Sign in at the provider, with a fresh browser; the account's id."""
        self.browser.cookies.clear()
        start = await self.browser.get("/oauth/openid")
        claims = {"email": f"{subject}@corp.example", "name": subject.title(), **claims}
        back = self.issuer.agree(start.headers["location"], subject, **claims)
        arrival = await self.browser.get(back.removeprefix(CLIENT))
        assert arrival.headers["location"] == CLIENT, "could not sign in"
        answer = (await self.browser.post("/api/auth/refresh")).json()
        self._token, self.user = answer["token"], answer["user"]["_id"]
        return self.user

    def credentials(self) -> tuple[str, dict[str, str]]:
        """The bearer token and the cookies of who is signed in."""
        return self._token, dict(self.browser.cookies)

    def use(self, token: str, cookies: Mapping[str, str]) -> None:
        self._token = token
        self.browser.cookies.clear()
        for name, value in cookies.items():
            self.browser.cookies.set(name, value)

    async def call(self, method: str, path: str, json: Any = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self._token}"}
        return await self.browser.request(method, path, headers=headers, json=json)

    async def search(self, text: str, **query: Any) -> dict[str, Any]:
        url = httpx2.URL("/api/permissions/search-principals", params={"q": text, **query})
        answer = await self.call("GET", str(url))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def names(self, text: str, **query: Any) -> list[str]:
        return [each["name"] for each in (await self.search(text, **query))["results"]]

    async def resource(self) -> str:
        """An agent of who is signed in."""
        resource = str(ObjectId())
        await self.server.kernel.services.get(ACCESS).grant_owner(self.user, "agent", resource)
        return resource

    async def share(self, resource: str, *principals: dict[str, Any]) -> list[dict[str, Any]]:
        """Let principals view a resource; the answer's principals."""
        answer = await self.put(resource, *principals)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["results"]["principals"])

    async def put(self, resource: str, *principals: dict[str, Any]) -> httpx2.Response:
        updated = [{"accessRoleId": "agent_viewer", **each} for each in principals]
        return await self.call(
            "PUT", f"/api/permissions/agent/{resource}", {"updated": updated, "removed": []}
        )

    async def bits(self, resource: str) -> int:
        """What who is signed in may do with a resource."""
        answer = await self.call("GET", f"/api/permissions/agent/{resource}/effective")
        return int(answer.json()["permissionBits"])


Offices = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
def office(serve: Serve, issuer: Any, graph: Directory) -> Offices:
    """``async with office() as found:`` — Ada is signed in; settings by name."""

    @asynccontextmanager
    async def start(
        yaml: Mapping[str, Any] | None = None, *, signed_in: bool = True, **environment: str
    ) -> AsyncIterator[Office]:
        settings = {
            "ALLOW_SOCIAL_LOGIN": "true",
            "LOGIN_MAX": "1000",
            "OPENID_REUSE_TOKENS": "true",
            "USE_ENTRA_ID_FOR_PEOPLE_SEARCH": "true",
            **environment,
        }
        plugin = OAuthPlugin({"graph": graph.address})
        given = issuer.settings(**settings)
        graph.objects.setdefault("me/getMemberGroups", [])
        graph.objects.setdefault("me/ownedObjects/microsoft.graph.group", [])
        async with serve(
            "auth", "roles", plugin, environment=given, yaml={**PATIENT, **PICKER, **(yaml or {})}
        ) as server:
            found = Office(server, issuer)
            if signed_in:
                await found.sign_in(oid=guid(1))
                graph.asked.clear()
            yield found

    return start
