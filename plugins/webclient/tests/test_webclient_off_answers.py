"""Answers for features that are off: the client boots without an error (client-calls.md)."""

from typing import Any

import pytest
from bson import ObjectId

from locutory import (
    JSON,
    Action,
    PermissionGroup,
    Plugin,
    Public,
    Request,
    Route,
    SignedIn,
    hook,
)
from locutory_testing import Serve, SignIn

ID = "a" * 24
USER = {"Authorization": f"Bearer {ID}"}
ADMIN = {"Authorization": f"Bearer {'b' * 24}:ADMIN"}
UUID = "74feaa14-35a8-4e57-ae98-573d5a527846"

# Every GET of the boot of a signed-in page that this plugin alone answers.
BOOT: dict[str, Any] = {
    "/api/endpoints": {},
    "/api/user/settings/favorites": [],
    "/api/projects?sortBy=lastConversationAt&sortDirection=desc&limit=25": {
        "projects": [],
        "nextCursor": None,
    },
    "/api/agents/chat/active": {"activeJobIds": []},
    "/api/convos": {"conversations": [], "nextCursor": None},
    "/api/convos?pinned=true&limit=100": {"conversations": [], "nextCursor": None},
    "/api/files/speech/config/get": {"sttExternal": False, "ttsExternal": False},
    "/api/models": {},
    "/api/files": [],
    "/api/search/enable": False,
    "/api/agents?requiredPermission=1&limit=1000": {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
        "after": None,
    },
    "/api/mcp/servers": {},
    "/api/permissions/mcpServer/effective/all": {},
    "/api/prompts/groups?limit=10": {
        "promptGroups": [],
        "pageNumber": "1",
        "pageSize": "10",
        "pages": "1",
        "has_more": False,
        "after": None,
    },
    "/api/prompts/all": [],
    "/api/keys?name=openAI": {"expiresAt": None},
    "/api/presets": [],
    "/api/tags": [],
    "/api/files/config": {
        "endpoints": {
            name: {"disabled": True}
            for name in (
                "default",
                "custom",
                "agents",
                "anthropic",
                "assistants",
                "azureAssistants",
            )
        },
        "avatarSizeLimit": 0,
    },
    "/api/agents/tools/web_search/auth": {
        "authenticated": False,
        "authTypes": [
            ["providers", "user_provided"],
            ["scrapers", "user_provided"],
            ["rerankers", "system_defined"],
        ],
    },
    "/api/endpoints/token-config": {},
    "/api/mcp/connection/status": {
        "success": True,
        "connectionStatus": {},
        "oauthTimeout": 600000,
    },
    "/api/mcp/tools": {"servers": {}},
}
# The other GETs that the client was seen to make.
LATER: dict[str, Any] = {
    "/api/agents/actions": [],
    "/api/agents/tools": [],
    f"/api/agents/tools/calls?conversationId={UUID}": [],
    "/api/agents/tools/execute_code/auth": {"authenticated": True, "message": "system_defined"},
    f"/api/agents/chat/status/{UUID}?generationProtocolVersion=2": {
        "active": False,
        "generationProtocolVersion": 1,
    },
    "/api/categories": [
        {"label": f"com_ui_{value}", "value": value}
        for value in (
            "idea",
            "travel",
            "teach_or_explain",
            "write",
            "shop",
            "code",
            "misc",
            "roleplay",
            "finance",
        )
    ],
    "/api/files/agent/agent_2vA5yuAvig3AYnNT-YL0y": [],
    "/api/messages?search=word": {"messages": [], "nextCursor": None},
    "/api/memories": {
        "memories": [],
        "totalTokens": 0,
        "tokenLimit": None,
        "charLimit": 10000,
        "usagePercentage": None,
    },
    f"/api/permissions/agent/{ID}/effective": {"permissionBits": 0},
    f"/api/permissions/sharedLink/{ID}": {
        "resourceType": "sharedLink",
        "resourceId": ID,
        "principals": [],
        "public": False,
    },
    "/api/permissions/sharedLink/roles": [],
    "/api/permissions/search-principals?q=ann": {
        "query": "ann",
        "limit": 20,
        "types": None,
        "results": [],
        "count": 0,
        "sources": {"local": 0, "entra": 0},
    },
    f"/api/prompts?groupId={ID}": [],
    f"/api/share/link/{UUID}": {"success": False, "shareId": None, "conversationId": UUID},
    "/api/share?pageSize=25": {"links": [], "hasNextPage": False},
    "/api/skills?limit=100": {"skills": [], "has_more": False, "after": None},
    "/api/user/settings/favorites/tools": [],
    "/api/user/settings/skills/active": {},
    "/api/api-keys": {"keys": []},
}
MISSING: dict[str, Any] = {
    "/api/agents/agent_nope": {"error": "Not Found", "message": "agent not found"},
    "/api/agents/agent_nope/expanded": {"error": "Not Found", "message": "agent not found"},
    "/api/agents/tools/dalle/auth": {"message": "Tool not found"},
    f"/api/agents/chat/stream/{UUID}": {
        "error": "Stream not found",
        "message": "The generation job does not exist or has expired.",
        "generationProtocolVersion": 1,
    },
    f"/api/messages/{UUID}": {"error": "Conversation not found"},
    f"/api/projects/{ID}": {"error": "Project not found"},
    f"/api/prompts/groups/{ID}": {"error": "Not Found", "message": "promptGroup not found"},
    "/api/share/nope": {"message": "Shared link not found"},
    "/api/share/nope/config": {"message": "Shared link not found"},
}


async def test_every_call_of_the_boot(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        for path, body in {**BOOT, **LATER}.items():
            answer = await server.client.get(path, headers=USER)
            assert answer.status_code == 200, path
            assert answer.headers["content-type"] == "application/json; charset=utf-8", path
            assert answer.json() == body, path
        for path, body in MISSING.items():
            answer = await server.client.get(path, headers=USER)
            assert (answer.status_code, answer.json()) == (404, body), path


async def test_strangers_are_refused(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        for path in {**BOOT, **LATER, **MISSING}:
            if path.startswith("/api/share/nope"):
                continue
            answer = await server.client.get(path)
            assert (answer.status_code, answer.json()) == (401, {"message": "No auth token"}), path


async def test_a_picture_is_refused_with_a_reason(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        files = {"file": ("avatar.png", b"\x89PNG", "image/png")}
        answer = await server.client.post("/api/files/images/avatar", headers=USER, files=files)
        assert (answer.status_code, answer.json()) == (
            403,
            {"message": "This server keeps no pictures"},
        )


async def test_answers_without_a_body(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        answer = await server.client.get("/api/balance", headers=USER)
        assert (answer.status_code, answer.content) == (204, b"")
        answer = await server.client.get(f"/api/convos/{UUID}", headers=USER)
        assert (answer.status_code, answer.content) == (404, b"")


async def test_the_chat_names_its_protocol(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        for kind in ("status", "stream"):
            answer = await server.client.get(f"/api/agents/chat/{kind}/{UUID}", headers=USER)
            assert answer.headers["x-librechat-generation-protocol"] == "1"


async def test_categories_of_agents(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        answer = (await server.client.get("/api/agents/categories", headers=USER)).json()
        assert [item["value"] for item in answer] == [
            "general",
            "hr",
            "rd",
            "finance",
            "it",
            "sales",
            "aftersales",
            "all",
        ]
        assert answer[0] == {
            "value": "general",
            "label": "com_agents_category_general",
            "count": 0,
            "description": "com_agents_category_general_description",
        }
        assert answer[-1] == {
            "value": "all",
            "label": "All",
            "description": "All available agents",
        }


async def test_nobody_is_signed_in_without_a_plugin_for_it(serve: Serve) -> None:
    async with serve("webclient") as server:
        answer = await server.client.post("/api/auth/refresh")
        assert (answer.status_code, answer.text) == (200, "Refresh token not provided")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", "10"),
        ("?limit=25", "25"),
        ("?pageSize=7&pageNumber=1", "7"),
        ("?limit=0", "1"),
        ("?limit=1000", "100"),
        ("?limit=x", "20"),
        ("?limit=" + "9" * 400, "100"),
        ("?limit=1&limit=2", "1"),
        ("?limit[$gt]=1", "10"),
    ],
)
async def test_page_sizes(serve: Serve, query: str, size: str) -> None:
    async with serve("webclient", SignIn()) as server:
        answer = await server.client.get(f"/api/prompts/groups{query}", headers=USER)
        assert answer.json()["pageSize"] == size


async def test_an_empty_search_for_people(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        answer = await server.client.get("/api/permissions/search-principals?q=", headers=USER)
        assert answer.status_code == 400


async def test_the_account_as_the_authenticator_knows_it(serve: Serve) -> None:
    account = {
        "_id": ObjectId(ID),
        "name": "Ann",
        "email": "ann@example.com",
        "role": "USER",
        "avatar": None,
        "password": "hash",
        "totpSecret": "secret",
        "refreshToken": [],
        "openidId": "x",
    }
    async with serve("webclient", SignIn({ID: account})) as server:
        answer = await server.client.get("/api/user", headers=USER)
        assert answer.status_code == 200
        assert answer.json() == {
            "_id": ID,
            "id": ID,
            "name": "Ann",
            "email": "ann@example.com",
            "role": "USER",
            "avatar": None,
        }


class Notes(Plugin):
    """A plugin with a permission and a route that is off by default."""

    name = "notes"
    summary = "Notes"

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup("NOTES", {"USE": Action(False)}, "Notes")]

    @hook
    def routes(self) -> list[Route]:
        async def real(_request: Request) -> JSON:
            return JSON({"real": True})

        def serving(path: str, method: str = "GET", **options: Any) -> Route:
            access = options.pop("access", SignedIn())
            return Route(path=path, endpoint=real, methods=(method,), access=access, summary="Real")

        return [
            serving("/api/tags"),
            serving("/api/agents/{id}"),
            serving("/api/agents/tools/{toolId}/auth"),
            serving("/api/permissions/{type}/{id}/effective"),
            serving("/api/roles/{name}"),
            serving("/api/auth/refresh", "POST", access=Public("a test")),
        ]


async def test_a_real_route_wins(serve: Serve) -> None:
    async with serve("webclient", SignIn(), Notes()) as server:
        for path in (
            "/api/tags",
            "/api/agents/agent_x",
            "/api/agents/tools/web_search/auth",
            f"/api/permissions/agent/{ID}/effective",
            "/api/roles/USER",
        ):
            answer = await server.client.get(path, headers=USER)
            assert answer.json() == {"real": True}, path
        assert (await server.client.post("/api/auth/refresh")).json() == {"real": True}
        answer = await server.client.get("/api/agents/tools", headers=USER)
        assert answer.json() == [], "the rest of a feature stays off"


class Permissions(Plugin):
    """Only permissions."""

    name = "permissions"
    summary = "Permissions"

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [
            PermissionGroup("BOOKMARKS", {"USE": Action(True)}, "Bookmarks"),
            PermissionGroup("MARKETPLACE", {"USE": Action(False)}, "Marketplace"),
        ]


async def test_roles_by_default(serve: Serve) -> None:
    async with serve("webclient", SignIn(), Permissions()) as server:
        for headers in (USER, ADMIN):
            answer = await server.client.get("/api/roles/USER", headers=headers)
            assert answer.json() == {
                "name": "USER",
                "description": "",
                "permissions": {"BOOKMARKS": {"USE": True}, "MARKETPLACE": {"USE": False}},
            }
        answer = await server.client.get("/api/roles/ADMIN", headers=ADMIN)
        assert answer.json()["permissions"]["MARKETPLACE"] == {"USE": True}
        answer = await server.client.get("/api/roles/ADMIN", headers=USER)
        assert (answer.status_code, answer.json()) == (403, {"message": "Unauthorized"})
        answer = await server.client.get("/api/roles/NOPE", headers=ADMIN)
        assert (answer.status_code, answer.json()) == (404, {"message": "Role not found"})


async def test_roles_in_the_dialogs_of_administrators(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        answer = await server.client.get("/api/admin/roles?limit=200", headers=ADMIN)
        assert answer.status_code == 200
        assert answer.json() == {
            "roles": [{"_id": "ADMIN", "name": "ADMIN"}, {"_id": "USER", "name": "USER"}],
            "total": 2,
            "limit": 200,
            "offset": 0,
        }
        answer = await server.client.get("/api/admin/roles?limit=200", headers=USER)
        assert answer.status_code == 403


async def test_unknown_calls_stay_unknown(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        for method, path in (
            ("POST", "/api/tags"),
            ("DELETE", "/api/convos"),
            ("GET", "/api/nope"),
            ("GET", "/api/permissions/agent"),
        ):
            answer = await server.client.request(method, path, headers=USER)
            assert answer.status_code == 404
            assert answer.json() == {"message": "Endpoint not found"}
