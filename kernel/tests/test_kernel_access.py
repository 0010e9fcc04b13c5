"""Who may call a route (contract kernel §6), and what stands before it: gates."""

from typing import Any

import pytest

from locutory import (
    AUTHENTICATORS,
    JSON,
    POLICY,
    Action,
    ApiKey,
    Can,
    Capability,
    Decision,
    Forbidden,
    OptionalUser,
    PermissionGroup,
    Principal,
    Provide,
    Public,
    Request,
    Route,
    SignedIn,
    Unauthorized,
)
from locutory_testing import Serve, SignIn

USER = {"authorization": "Bearer " + "a" * 24}
ADMIN = {"authorization": "Bearer " + "b" * 24 + ":ADMIN"}
INSUFFICIENT = {"message": "Forbidden: Insufficient permissions"}
GROUP = PermissionGroup("GARDEN", {"USE": Action(True), "DIG": Action(False)}, "The garden")


async def who(request: Request) -> JSON:
    return JSON({"id": None if request.principal is None else request.caller.id})


def route(path: str, access: Any, **extra: Any) -> Route:
    return Route(path=path, endpoint=who, access=access, summary="test", **extra)


ROUTES = [
    route("/api/public", Public("test")),
    route("/api/optional", OptionalUser("test")),
    route("/api/signed", SignedIn()),
    route("/api/use", Can("GARDEN", "USE")),
    route("/api/dig", Can("GARDEN", "DIG")),
    route("/api/polite", Can("GARDEN", "DIG", {"error": "no"})),
    route("/api/unknown", Can("MOON", "LAND")),
    route("/api/manage", Capability("manage:garden")),
    route("/api/key", ApiKey("garden:read")),
]


def garden(make_plugin: Any) -> Any:
    return make_plugin("garden", routes=ROUTES, permissions=[GROUP])


@pytest.mark.parametrize(
    ("path", "stranger", "user", "admin"),
    [
        ("/api/public", 200, 200, 200),
        ("/api/optional", 200, 200, 200),
        ("/api/signed", 401, 200, 200),
        ("/api/use", 401, 200, 200),
        ("/api/dig", 401, 403, 200),
        ("/api/unknown", 401, 403, 403),
        ("/api/manage", 401, 403, 200),
        ("/api/key", 401, 401, 401),
    ],
)
async def test_the_default_policy(
    serve: Serve, make_plugin: Any, path: str, stranger: int, user: int, admin: int
) -> None:
    async with serve(garden(make_plugin), SignIn()) as server:
        for headers, status in (({}, stranger), (USER, user), (ADMIN, admin)):
            answer = await server.client.get(path, headers=headers)
            assert answer.status_code == status, headers
            if status == 401:
                assert answer.json() == {"message": "No auth token"}


async def test_bodies_of_refusals(serve: Serve, make_plugin: Any) -> None:
    async with serve(garden(make_plugin), SignIn()) as server:
        for path, body in (
            ("/api/dig", INSUFFICIENT),
            ("/api/polite", {"error": "no"}),
            ("/api/manage", {"message": "Forbidden"}),
        ):
            answer = await server.client.get(path, headers=USER)
            assert (answer.status_code, answer.json()) == (403, body)


async def test_an_optional_user_is_recognised_or_ignored(serve: Serve, make_plugin: Any) -> None:
    async with serve(garden(make_plugin), SignIn()) as server:
        for headers, found in ((USER, "a" * 24), ({}, None), ({"authorization": "x"}, None)):
            answer = await server.client.get("/api/optional", headers=headers)
            assert answer.json() == {"id": found}


async def test_without_an_authenticator_nobody_is_signed_in(serve: Serve, make_plugin: Any) -> None:
    async with serve(garden(make_plugin)) as server:
        answer = await server.client.get("/api/signed", headers=USER)
        assert (answer.status_code, answer.json()) == (401, {"message": "No auth token"})
        assert (await server.client.get("/api/optional", headers=USER)).json() == {"id": None}


class Keys:
    """API keys by their text."""

    async def authenticate(self, request: Request) -> Principal:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        scopes = {"read": frozenset({"garden:read"}), "none": frozenset(), "full": None}
        if key not in scopes:
            raise Unauthorized("Invalid API key", "INVALID")
        return Principal(id="k" * 24, scopes=scopes[key])


async def test_api_keys_have_scopes(serve: Serve, make_plugin: Any) -> None:
    keys = make_plugin(
        "keys", provides=(AUTHENTICATORS,), services=[Provide(AUTHENTICATORS, Keys(), "api-key")]
    )
    async with serve(garden(make_plugin), SignIn(), keys) as server:
        for key, status in (("read", 200), ("none", 403), ("full", 403), ("stolen", 401)):
            headers = {"authorization": f"Bearer {key}"}
            assert (await server.client.get("/api/key", headers=headers)).status_code == status
            # A key is no session.
            assert (await server.client.get("/api/signed", headers=headers)).status_code == 401
        stolen = await server.client.get("/api/key", headers={"authorization": "Bearer stolen"})
        assert stolen.json() == {"message": "Invalid API key", "code": "INVALID"}


class Rules:
    """A policy that allows by name, or breaks."""

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        if action == "DIG":
            raise ValueError("mongodb://user:password@db is down")
        if group == "MOON":
            raise Forbidden("Not on the moon")
        return Decision(principal.role == "USER", "test")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        raise ValueError(capability)


async def test_a_policy_of_a_plugin(serve: Serve, make_plugin: Any) -> None:
    rules = make_plugin("rules", provides=(POLICY,), services=[Provide(POLICY, Rules())])
    async with serve(garden(make_plugin), SignIn(), rules) as server:
        assert (await server.client.get("/api/use", headers=USER)).status_code == 200
        assert (await server.client.get("/api/use", headers=ADMIN)).status_code == 403
        broken = await server.client.get("/api/dig", headers=USER)
        assert broken.status_code == 500
        assert broken.json()["message"].startswith("Server error: ")
        assert "password" not in broken.text
        lost = await server.client.get("/api/manage", headers=USER)
        assert (lost.status_code, lost.json()) == (500, {"message": "Internal Server Error"})
        moon = await server.client.get("/api/unknown", headers=USER)
        assert (moon.status_code, moon.json()) == (403, {"message": "Not on the moon"})


class Tenants:
    """Sessions of the tenant that a header names."""

    async def authenticate(self, request: Request) -> Principal:
        return Principal(id="a" * 24, tenant=request.headers.get("x-tenant"))


@pytest.mark.parametrize(
    ("tenant", "strict", "status"),
    [("acme", "true", 200), ("", "true", 403), ("", "false", 200), ("__SYSTEM__", "false", 403)],
)
async def test_tenants(
    serve: Serve, make_plugin: Any, tenant: str, strict: str, status: int
) -> None:
    sessions = make_plugin(
        "sessions",
        provides=(AUTHENTICATORS,),
        services=[Provide(AUTHENTICATORS, Tenants(), "session")],
    )
    environment = {"TENANT_ISOLATION_STRICT": strict}
    async with serve(garden(make_plugin), sessions, environment=environment) as server:
        headers = {"x-tenant": tenant} if tenant else {}
        answer = await server.client.get("/api/signed", headers=headers)
        assert answer.status_code == status
        if status == 403:
            assert list(answer.json()) == ["error"]
        optional = await server.client.get("/api/optional", headers=headers)
        assert optional.status_code == 200


async def test_gates_run_before_access(serve: Serve, make_plugin: Any) -> None:
    asked: list[str] = []

    async def closed(request: Request) -> JSON | None:
        asked.append(request.payload["door"])
        return JSON({"closed": True}, 503) if request.payload["door"] == "shut" else None

    async def never(_request: Request) -> None:
        asked.append("second gate")

    gated = Route(
        path="/api/gated",
        endpoint=who,
        methods=("POST",),
        access=SignedIn(),
        summary="test",
        gates=(closed, never),
    )
    async with serve(make_plugin("gate", routes=[gated]), SignIn()) as server:
        answer = await server.client.post("/api/gated", json={"door": "shut"})
        assert (answer.status_code, asked) == (503, ["shut"])
        answer = await server.client.post("/api/gated", json={"door": "open"})
        assert (answer.status_code, asked) == (401, ["shut", "open", "second gate"])


async def test_access_follows_the_path_not_the_host(
    serve: Serve, make_plugin: Any, raw_http: Any
) -> None:
    """A forged Host must not lead around the check (Starlette's CVE-2026-48710)."""
    async with serve(garden(make_plugin), SignIn()) as server:
        for host in (b"x/api/public?", b"[::1", b"x#", b""):
            request = (
                b"GET /api/signed HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n"
            )
            assert (await raw_http(server.url, request)).startswith(b"HTTP/1.1 401 ")


async def test_two_owners_of_a_permission_group_are_refused(serve: Serve, make_plugin: Any) -> None:
    from locutory import StartupError

    other = PermissionGroup(GROUP.name, {"DIG": Action(user=True)}, "Something else")
    with pytest.raises(StartupError, match="both 'garden' and 'park'"):
        async with serve(garden(make_plugin), make_plugin("park", permissions=[other])):
            pass


async def test_a_permission_group_may_be_declared_again_as_it_is(
    serve: Serve, make_plugin: Any
) -> None:
    async with serve(garden(make_plugin), make_plugin("park", permissions=[GROUP])) as server:
        assert server.kernel.permission_groups[GROUP.name] == GROUP
