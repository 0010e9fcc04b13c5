"""Answers for features that are off.

The web client asks for all of these while it starts or opens a page. Each answer is what
LibreChat gives when the feature is off or holds nothing, so the client neither shows an
error nor asks again. They are fallbacks: where another plugin serves the path, it wins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from locutory import (
    Access,
    Capability,
    Limit,
    NoBody,
    PermissionGroup,
    Public,
    Request,
    Route,
    SignedIn,
    answer,
    by_user,
    encode,
)
from locutory_webclient.off_answers.accounts import OffAccounts
from locutory_webclient.off_answers.by_request import (
    principals,
    prompt_groups,
    resource_permissions,
    share_link,
    tool_auth,
)

_CATEGORIES = (
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
_AGENT_CATEGORIES = ("general", "hr", "rd", "finance", "it", "sales", "aftersales")
_NO_AGENT = {"error": "Not Found", "message": "agent not found"}
_PROTOCOL = {"x-librechat-generation-protocol": "1"}
_NO_LINK = {"message": "Shared link not found"}
_NO_RESET = "Password reset is not allowed."
# Under every name for which the client has limits of its own; `default` and `custom` cover the rest.
_UPLOADING = ("default", "custom", "agents", "anthropic", "assistants", "azureAssistants")
# The limit of 0 has it refuse a new picture of oneself at once.
_NO_UPLOADS = {
    "endpoints": {name: {"disabled": True} for name in _UPLOADING},
    "avatarSizeLimit": 0,
}
_NO_PICTURES = {"message": "This server keeps no pictures"}
_NO_VOICES = {"error": "Failed to get voices: Configuration or TTS schema is missing"}
_TOO_MANY_RESETS = {"message": "Too many attempts, please try again after 2 minute(s)"}
_TOO_MANY_VOICES = {"message": "Too many TTS requests. Try again later"}


def _reset(path: str, limit: str) -> "OffAnswer":
    """A step of a password reset while no plugin offers it; limited like the real one."""
    return OffAnswer(
        path,
        _NO_RESET,
        "auth §7",
        "Passwords cannot be reset while no plugin offers it",
        status=403,
        method="POST",
        access=Public("whoever forgot a password is not signed in"),
        limits=(Limit(limit, 2, 120, _TOO_MANY_RESETS),),
    )


@dataclass(frozen=True, slots=True)
class OffAnswer:
    """One constant answer: path, body (``None`` is empty), contract section, status."""

    path: str
    body: Any
    contract: str
    summary: str
    status: int = 200
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    access: Access = field(default_factory=SignedIn)
    limits: tuple[Limit, ...] = ()

    def route(self) -> Route:
        """The fallback route; its body is encoded once."""
        text = self.body if self.body is None or isinstance(self.body, str) else encode(self.body)

        async def respond(_request: Request) -> Response:
            return answer(self.status, text, self.headers)

        return Route(
            path=self.path,
            endpoint=respond,
            methods=(self.method,),
            access=self.access,
            summary=self.summary,
            body=None if self.method == "GET" else NoBody,
            responses={self.status: "Empty" if self.body is None else self.body},
            fallback=True,
            limits=self.limits,
            contract=self.contract,
        )


_ANSWERS: tuple[OffAnswer, ...] = (
    _reset("/api/auth/requestPasswordReset", "reset_password_limiter"),
    _reset("/api/auth/resetPassword", "reset_password_submission_limiter"),
    OffAnswer(
        "/api/auth/graph-token",
        {"message": "Microsoft Graph access requires Entra ID authentication"},
        "auth §11",
        "No Microsoft sign-in",
        status=403,
    ),
    OffAnswer(
        "/api/files/speech/tts/voices",
        _NO_VOICES,
        "speech §2.5",
        "No voices; the contract's status is 500",
        status=500,
        limits=(Limit("tts_user_limiter", 50, 60, _TOO_MANY_VOICES, by_user),),
    ),
    OffAnswer(
        "/api/auth/refresh",
        "Refresh token not provided",
        "auth §2",
        "Nobody is signed in while no plugin signs people in",
        method="POST",
        access=Public("says that nobody is signed in"),
    ),
    OffAnswer(
        "/api/agents",
        {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
            "after": None,
        },
        "agents §2",
        "No agents",
    ),
    OffAnswer("/api/agents/{agent_id}", _NO_AGENT, "agents §1", "No such agent", 404),
    OffAnswer("/api/agents/{agent_id}/expanded", _NO_AGENT, "agents §1", "No such agent", 404),
    OffAnswer(
        "/api/admin/roles",
        {
            "roles": [{"_id": name, "name": name} for name in ("ADMIN", "USER")],
            "total": 2,
            "limit": 200,
            "offset": 0,
        },
        "admin §3",
        "The system roles, in the dialogs for permissions",
        access=Capability("read:roles"),
    ),
    OffAnswer("/api/agents/actions", [], "actions §2", "No actions"),
    OffAnswer(
        "/api/agents/categories",
        [
            *(
                {
                    "value": value,
                    "label": f"com_agents_category_{value}",
                    "count": 0,
                    "description": f"com_agents_category_{value}_description",
                }
                for value in _AGENT_CATEGORIES
            ),
            {"value": "all", "label": "All", "description": "All available agents"},
        ],
        "agents §5",
        "Categories of agents, all empty",
    ),
    OffAnswer("/api/agents/tools", [], "agents §6", "No tools"),
    OffAnswer("/api/agents/tools/calls", [], "agents §6", "No tool calls"),
    OffAnswer(
        "/api/agents/chat/active", {"activeJobIds": []}, "chat-stream §7", "Nothing is generated"
    ),
    OffAnswer(
        "/api/agents/chat/status/{conversation_id}",
        {"active": False, "generationProtocolVersion": 1},
        "chat-stream §7",
        "Nothing is generated",
        headers=_PROTOCOL,
    ),
    OffAnswer(
        "/api/agents/chat/stream/{stream_id}",
        {
            "error": "Stream not found",
            "message": "The generation job does not exist or has expired.",
            "generationProtocolVersion": 1,
        },
        "chat-stream §6",
        "No such stream",
        404,
        headers=_PROTOCOL,
    ),
    OffAnswer("/api/api-keys", {"keys": []}, "api-keys §1", "No API keys"),
    OffAnswer("/api/balance", None, "balance §1", "No balances are kept", 204),
    OffAnswer(
        "/api/categories",
        [{"label": f"com_ui_{value}", "value": value} for value in _CATEGORIES],
        "user §13",
        "Categories of prompts",
    ),
    OffAnswer(
        "/api/convos", {"conversations": [], "nextCursor": None}, "convos §2", "No conversations"
    ),
    OffAnswer("/api/convos/{conversation_id}", None, "convos §2", "No such conversation", 404),
    OffAnswer("/api/endpoints", {}, "endpoints §1", "No model providers"),
    OffAnswer("/api/endpoints/token-config", {}, "endpoints §2", "No token settings"),
    OffAnswer("/api/files", [], "files §2", "No files"),
    OffAnswer("/api/files/agent/{agent_id}", [], "files §2", "No files of an agent"),
    OffAnswer("/api/files/config", _NO_UPLOADS, "files §2", "The client offers no uploads"),
    OffAnswer(
        "/api/files/images/avatar",
        _NO_PICTURES,
        "files §2",
        "No pictures of people are kept",
        status=403,
        method="POST",
    ),
    OffAnswer(
        "/api/files/speech/config/get",
        {"sttExternal": False, "ttsExternal": False},
        "speech §2",
        "No speech services",
    ),
    OffAnswer("/api/keys", {"expiresAt": None}, "keys §1", "No stored key"),
    OffAnswer("/api/mcp/servers", {}, "mcp §2", "No MCP servers"),
    OffAnswer("/api/mcp/tools", {"servers": {}}, "mcp §2", "No MCP tools"),
    OffAnswer(
        "/api/mcp/connection/status",
        {"success": True, "connectionStatus": {}, "oauthTimeout": 600000},
        "mcp §2",
        "No MCP connections",
    ),
    OffAnswer(
        "/api/memories",
        {
            "memories": [],
            "totalTokens": 0,
            "tokenLimit": None,
            "charLimit": 10000,
            "usagePercentage": None,
        },
        "memories §1",
        "No memories",
    ),
    OffAnswer(
        "/api/messages", {"messages": [], "nextCursor": None}, "messages §2", "Nothing is found"
    ),
    OffAnswer(
        "/api/messages/{conversation_id}",
        {"error": "Conversation not found"},
        "messages §2",
        "No such conversation",
        404,
    ),
    OffAnswer("/api/models", {}, "models §1", "No models"),
    OffAnswer("/api/permissions/{resource_type}/roles", [], "roles §4.5", "No access roles"),
    OffAnswer(
        "/api/permissions/{resource_type}/effective/all", {}, "roles §4.8", "No shared resources"
    ),
    OffAnswer(
        "/api/permissions/{resource_type}/{resource_id}/effective",
        {"permissionBits": 0},
        "roles §4.8",
        "No right on a resource",
    ),
    OffAnswer("/api/presets", [], "presets §1.1", "No presets"),
    OffAnswer("/api/projects", {"projects": [], "nextCursor": None}, "projects §2", "No projects"),
    OffAnswer(
        "/api/projects/{project_id}",
        {"error": "Project not found"},
        "projects §2",
        "No such project",
        404,
    ),
    OffAnswer("/api/prompts", [], "prompts §4", "No prompts"),
    OffAnswer("/api/prompts/all", [], "prompts §4", "No prompts"),
    OffAnswer(
        "/api/prompts/groups/{group_id}",
        {"error": "Not Found", "message": "promptGroup not found"},
        "prompts §1",
        "No such prompt",
        404,
    ),
    OffAnswer("/api/search/enable", False, "search §1", "No search"),
    OffAnswer("/api/share", {"links": [], "hasNextPage": False}, "share §4", "No shared links"),
    OffAnswer(
        "/api/share/{share_id}",
        _NO_LINK,
        "share §2",
        "No such shared link",
        404,
        access=Public("shared links are opened without login; there are none"),
    ),
    OffAnswer(
        "/api/share/{share_id}/config",
        _NO_LINK,
        "share §2",
        "No such shared link",
        404,
        access=Public("shared links are opened without login; there are none"),
    ),
    OffAnswer(
        "/api/skills",
        {"skills": [], "has_more": False, "after": None},
        "skills §2",
        "No skills",
    ),
    OffAnswer("/api/tags", [], "tags §1.1", "No bookmarks"),
    OffAnswer("/api/user/settings/favorites", [], "user §9", "No favourites"),
    OffAnswer("/api/user/settings/favorites/tools", [], "user §10", "No favourite tools"),
    OffAnswer("/api/user/settings/skills/active", {}, "user §11", "No switched skills"),
)


def off_routes(groups: Mapping[str, PermissionGroup]) -> Iterable[Route]:
    """Every fallback route. ``groups`` are the permission groups of enabled plugins."""
    accounts = OffAccounts(groups)
    yield from (item.route() for item in _ANSWERS)
    for path, endpoint, summary, contract in (
        ("/api/agents/tools/{tool_id}/auth", tool_auth, "Who has the keys of a tool", "agents §6"),
        ("/api/prompts/groups", prompt_groups, "No prompts", "prompts §4"),
        ("/api/share/link/{conversation_id}", share_link, "Not shared", "share §4"),
        ("/api/permissions/search-principals", principals, "Nobody is found", "roles §4.4"),
        (
            "/api/permissions/{resource_type}/{resource_id}",
            resource_permissions,
            "Nobody was given the resource",
            "roles §4.6",
        ),
        (
            "/api/roles/{role_name}",
            accounts.role,
            "A role with the default permissions",
            "roles §2",
        ),
        ("/api/user", accounts.user, "The signed-in account", "user §3"),
    ):
        yield Route(
            path=path,
            endpoint=endpoint,
            access=SignedIn(),
            summary=summary,
            responses={200: summary},
            fallback=True,
            contract=contract,
        )
