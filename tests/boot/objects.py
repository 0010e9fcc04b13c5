"""What the parameters of routes name, as data for the authorisation matrix.

A new route whose path has a parameter that is not in `PARAMETERS`, or whose body or query has
a member of `NAMING` and no entry in `BODIES` or `QUERIES`, fails a test until it stands here.
"""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bson import ObjectId

from locutory.http.routing import Route
from tests.boot.person import ROOT_MESSAGE


@dataclass(frozen=True, slots=True)
class Ref:
    """The place of an object of this kind in a body or query."""

    kind: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A parameter that names nobody's object; every caller has his own, or all have the same."""

    value: str
    reason: str


OBJECTS = (
    "conversation",
    "running",
    "message",
    "session",
    "api_key",
    "tag",
    "preset",
    "prompt_group",
    "prompt",
    "project",
    "memory",
    "share",
    "share_row",
    "agent",
    "agent_row",
)
"""Kinds of objects that `cast.belongings` makes for a person."""

SHARED = frozenset({"prompt_group", "prompt", "share", "share_row", "agent", "agent_row"})
"""Kinds that viewers and editors see, and administrators by a capability."""

_NO_FILES = "no files are stored yet"

PARAMETERS: dict[str, str | Plain] = {
    "conversation_id": "conversation",
    "stream_id": "running",
    "running_id": "running",
    "message_id": "message",
    "session_id": "session",
    "key_id": "api_key",
    "tag": "tag",
    "preset_id": "preset",
    "group_id": "prompt_group",
    "prompt_id": "prompt",
    "project_id": "project",
    "key": "memory",
    "memory_key": "memory",
    "share_id": "share",
    "prompt_group_row": "prompt_group",
    "share_row": "share_row",
    "agent_row": "agent_row",
    "agent_id": "agent",
    "model": "agent",
    "response_id": "conversation",
    "file_id": Plain("file-unknown", _NO_FILES),
    "endpoint": Plain("Fake", "an endpoint of the deployment"),
    "name": Plain("openAI", "a provider; the caller's own key for it"),
    "role_name": Plain("USER", "a role of the deployment"),
    "permission_type": Plain("bookmarks", "a type of permissions"),
    "resource_type": Plain("promptGroup", "a type of resource"),
    "item_type": Plain("builtin", "a kind of tool; the caller's own favourites"),
    "item_id": Plain("calculator", "a tool; the caller's own favourites"),
    "tool_id": Plain("calculator", "a tool of the deployment"),
}
"""Path parameter → the kind of object that it names."""

_RUNNING = "/api/agents/chat/status/{conversation_id}"
_RESOURCES = "{resource_type}/{resource_id}"
_AS_RESOURCE = (
    "promptGroup/{prompt_group_row}",
    "sharedLink/{share_row}",
    "agent/{agent_row}",
    "remoteAgent/{agent_row}",
)

NAMING = {
    "conversationId": "conversation",
    "messageId": "message",
    "presetId": "preset",
    "projectId": "project",
    "groupId": "prompt_group",
    "promptId": "prompt",
    "shareId": "share",
    "sessionId": "session",
    "agent_id": "agent",
    "agent_ids": "agent",
    "edges": "agent",
}
"""Members of bodies and queries that name objects."""

UNIQUE = object()
"""A text that no other request holds."""

_CHAT = {
    "text": "hello",
    "parentMessageId": ROOT_MESSAGE,
    "conversationId": Ref("conversation"),
    "messageId": UNIQUE,
    "endpoint": "Fake",
    "endpointType": "custom",
    "model": "fake",
    "generationProtocolVersion": 2,
}
_STEER = {
    "conversationId": Ref("running"),
    "generationCreatedAt": 1,
    "text": "stop",
    "steerId": "s",
    "clientSteerId": UNIQUE,
}

_AGENT_CHAT = {**_CHAT, "endpoint": "agents", "endpointType": None, "agent_id": Ref("agent")}
_SAID = [{"role": "user", "content": "hello"}]
_RUN = {"model": Ref("agent"), "messages": _SAID, "input": _SAID}
_NAMING_ONE = {"provider": "Fake", "model": "fake", "edges": [{"from": "", "to": Ref("agent")}]}

BODIES: dict[str, dict[str, Any]] = {
    "POST /api/agents": _NAMING_ONE,
    "POST /api/agents/chat": _AGENT_CHAT,
    "POST /api/agents/chat/{endpoint}": _CHAT,
    "POST /api/agents/chat/abort": {"conversationId": Ref("running")},
    "POST /api/agents/chat/resume": {"conversationId": Ref("running"), "actionId": "x"},
    "POST /api/agents/chat/steer": _STEER,
    "POST /api/agents/chat/steer/arm": _STEER,
    "POST /api/agents/chat/steer/cancel": _STEER,
    "POST /api/agents/chat/steer/deliver": _STEER,
    "POST /api/agents/v1/chat/completions": {**_RUN, "conversation_id": Ref("conversation")},
    "POST /api/agents/v1/responses": {**_RUN, "previous_response_id": Ref("conversation")},
    "PATCH /api/agents/{agent_id}": {"name": "mine"},
    "POST /api/agents/{agent_id}/revert": {"version_index": 0},
    "POST /api/convos/update": {"arg": {"conversationId": Ref("conversation"), "title": "mine"}},
    "POST /api/convos/archive": {
        "arg": {"conversationId": Ref("conversation"), "isArchived": True}
    },
    "POST /api/convos/pin": {"arg": {"conversationId": Ref("conversation"), "pinned": True}},
    "DELETE /api/convos": {"arg": {"conversationId": Ref("conversation")}},
    "POST /api/convos/fork": {
        "conversationId": Ref("conversation"),
        "messageId": Ref("message"),
        "option": "directPath",
    },
    "POST /api/convos/duplicate": {"conversationId": Ref("conversation")},
    "POST /api/messages/branch": {"messageId": Ref("message"), "agentId": "x"},
    "POST /api/messages/{conversation_id}": {
        "conversationId": Ref("conversation"),
        "messageId": Ref("message"),
        "text": "mine",
    },
    "PUT /api/messages/{conversation_id}/{message_id}": {"text": "mine"},
    "PUT /api/messages/{conversation_id}/{message_id}/feedback": {
        "feedback": {"rating": "thumbsUp", "tag": "accurate_reliable"}
    },
    "POST /api/messages/artifact/{message_id}": {
        "index": 0,
        "original": "hello",
        "updated": "mine",
    },
    "POST /api/tags": {
        "tag": UNIQUE,
        "addToConversation": True,
        "conversationId": Ref("conversation"),
    },
    "PUT /api/tags/{tag}": {"description": "mine"},
    "PUT /api/tags/convo/{conversation_id}": {"tags": ["mine"]},
    "POST /api/presets": {"presetId": Ref("preset"), "title": "mine", "endpoint": "Fake"},
    "POST /api/presets/delete": {"presetId": Ref("preset")},
    "PATCH /api/projects/{project_id}": {"name": "mine"},
    "PUT /api/projects/conversations/{conversation_id}": {"projectId": Ref("project")},
    "PATCH /api/memories/{key}": {"value": "mine"},
    "PATCH /api/prompts/groups/{group_id}": {"name": "mine"},
    "POST /api/prompts/groups/{group_id}/prompts": {"prompt": {"prompt": "mine", "type": "text"}},
    "PUT /api/permissions/{resource_type}/{resource_id}": {
        "updated": [],
        "removed": [],
        "public": False,
    },
}
"""Bodies that reach the object, by ``METHOD path``; ``{}`` for others."""

QUERIES: dict[str, dict[str, Any]] = {
    "GET /api/convos": {"projectId": Ref("project")},
    "GET /api/messages": {"conversationId": Ref("conversation"), "messageId": Ref("message")},
    "GET /api/agents/tools/calls": {"conversationId": Ref("conversation")},
    "GET /api/prompts": {"groupId": Ref("prompt_group")},
    "DELETE /api/prompts/{prompt_id}": {"groupId": Ref("prompt_group")},
}
"""Queries that name objects."""

_GUARD = (403, "User not authorized for this conversation")  # convos §2.6
_TURN = (403, '"Unauthorized"')  # chat-stream §6, §7
_STEERED = (403, '"UNAUTHORIZED"')  # chat-stream §9
_NEW_TURN = (200, "convo_access")  # an id that nobody has makes a new conversation
_PROMPT = (403, "Insufficient permissions to access this promptGroup")  # prompts §1
_AGENT = (403, "Insufficient permissions to access this agent")  # agents §1
_MODEL = (403, "No remote access to")  # agents-api §2, §3
_LINK = (403, "")  # share §2; ids of links are 126 random bits

STATED_APART: dict[str, tuple[int, str]] = {
    "POST /api/agents": (403, "You do not have access to one or more agents"),  # agents §5
    "POST /api/convos/update": _GUARD,
    "POST /api/convos/archive": _GUARD,
    "POST /api/convos/pin": _GUARD,
    "POST /api/agents/chat": _NEW_TURN,
    "POST /api/agents/chat/{endpoint}": _NEW_TURN,
    "GET /api/agents/chat/stream/{stream_id}": _TURN,
    "GET /api/agents/chat/status/{conversation_id}": _TURN,
    "POST /api/agents/chat/abort": _TURN,
    "POST /api/agents/chat/resume": _TURN,
    "POST /api/agents/chat/steer": _STEERED,
    "POST /api/agents/chat/steer/arm": _STEERED,
    "POST /api/agents/chat/steer/cancel": _STEERED,
    "POST /api/agents/chat/steer/deliver": _STEERED,
    # Ids of presets are unique over all users; they are random ones.
    "POST /api/presets": (409, "There was an error when saving the preset"),
    "GET /api/prompts/groups/{group_id}": _PROMPT,
    "PATCH /api/prompts/groups/{group_id}": _PROMPT,
    "DELETE /api/prompts/groups/{group_id}": _PROMPT,
    "POST /api/prompts/groups/{group_id}/prompts": _PROMPT,
    "POST /api/prompts/groups/{group_id}/use": _PROMPT,
    "GET /api/prompts/{prompt_id}": _PROMPT,
    "DELETE /api/prompts/{prompt_id}": _PROMPT,
    "PATCH /api/prompts/{prompt_id}/tags/production": _PROMPT,
    "GET /api/agents/{agent_id}": _AGENT,
    "GET /api/agents/{agent_id}/expanded": _AGENT,
    "GET /api/agents/{agent_id}/versions": _AGENT,
    "PATCH /api/agents/{agent_id}": _AGENT,
    "DELETE /api/agents/{agent_id}": _AGENT,
    "POST /api/agents/{agent_id}/duplicate": _AGENT,
    "POST /api/agents/{agent_id}/revert": _AGENT,
    "GET /api/agents/v1/models/{model}": _MODEL,
    "POST /api/agents/v1/chat/completions": _MODEL,
    "POST /api/agents/v1/responses": _MODEL,
    "GET /api/share/{share_id}": _LINK,
    "GET /api/share/{share_id}/config": _LINK,
    "POST /api/share/{share_id}/fork": _LINK,
    "GET /api/share/{share_id}/files/{file_id}": _LINK,
    "GET /api/share/{share_id}/files/{file_id}/download": _LINK,
    "GET /api/share/{share_id}/files/{file_id}/preview": _LINK,
}
"""Routes where the contract itself tells a foreign object from one that does not exist: the
status and a part of the refusal."""

AGENT_APART: dict[str, tuple[int, str]] = {"POST /api/agents/chat": _AGENT}
"""The same for an agent that a body names beside another object."""

VIEW, EDIT, DELETE, SHARE = "view", "edit", "delete", "share"

RIGHTS: dict[str, str] = {
    "POST /api/agents": VIEW,
    "POST /api/agents/chat": VIEW,
    "GET /api/prompts": VIEW,
    "GET /api/prompts/groups/{group_id}": VIEW,
    "POST /api/prompts/groups/{group_id}/use": VIEW,
    "GET /api/prompts/{prompt_id}": VIEW,
    "POST /api/prompts/groups/{group_id}/prompts": EDIT,
    "PATCH /api/prompts/groups/{group_id}": EDIT,
    "PATCH /api/prompts/{prompt_id}/tags/production": EDIT,
    "DELETE /api/prompts/{prompt_id}": DELETE,
    "DELETE /api/prompts/groups/{group_id}": DELETE,
    "GET /api/agents/{agent_id}": VIEW,
    "GET /api/agents/{agent_id}/expanded": EDIT,
    "GET /api/agents/{agent_id}/versions": EDIT,
    "PATCH /api/agents/{agent_id}": EDIT,
    "POST /api/agents/{agent_id}/duplicate": EDIT,
    "POST /api/agents/{agent_id}/revert": EDIT,
    "DELETE /api/agents/{agent_id}": DELETE,
    "GET /api/share/{share_id}": VIEW,
    "GET /api/share/{share_id}/config": VIEW,
    "GET /api/share/{share_id}/files/{file_id}": VIEW,
    "GET /api/share/{share_id}/files/{file_id}/download": VIEW,
    "GET /api/share/{share_id}/files/{file_id}/preview": VIEW,
    "POST /api/share/{share_id}/fork": VIEW,
    "PATCH /api/share/{share_id}": DELETE,
    "DELETE /api/share/{share_id}": DELETE,
    "GET /api/permissions/{resource_type}/{resource_id}": SHARE,
    "PUT /api/permissions/{resource_type}/{resource_id}": SHARE,
    "GET /api/permissions/{resource_type}/{resource_id}/effective": "anybody",
}
"""What one needs on a shared object (prompts §2, share §1, roles §4). A shared link has no
editors: whoever it was shared with may look."""

ADMINISTERED = frozenset({"/api/prompts", "/api/agents"})
"""Paths below which an administrator's capability counts as VIEW."""

OWNER_GETS_NOTHING: dict[str, str] = {
    "GET /api/convos/gen_title/{conversation_id}": "404 unless a title was just made",
    "GET /api/agents/chat/stream/{stream_id}": "goes on as long as the turn",
    "GET /api/permissions/search-principals": "403: users may not look for people",
    "GET /api/convos/import/progress": "404: nothing is being imported",
    "GET /api/auth/graph-token": "403: for accounts of Entra ID",
    "GET /api/files/speech/tts/voices": "500 without speech (the contract's)",
}
"""GET routes that answer no 2xx to the owner of a real object."""

LETS_GO = {"POST /api/auth/logout": "unknown account"}
"""Routes that a gate opens, and for whom: the browser of an account that is gone forgets it."""

UNREACHED: dict[str, str] = {
    "POST /api/agents/chat": "an id that nobody has makes a new conversation",
    "POST /api/agents/chat/{endpoint}": "the same",
    "GET /api/agents/chat/stream/{stream_id}": OWNER_GETS_NOTHING[
        "GET /api/agents/chat/stream/{stream_id}"
    ],
    "GET /api/agents/chat/status/{conversation_id}": "idle, whatever the conversation",
    "GET /api/convos/gen_title/{conversation_id}": "404 unless a title was just made",
    "GET /api/agents/tools/calls": "no tool was called",
}
"""Requests of these tables that answer their owner as they answer for an object that nobody
has, so that a hole in them would not be seen here."""

UNKNOWN_THINGS = frozenset({"file_id", "tool_id"})
"""Parameters of things that do not exist yet, also for their owner."""


def key_of(route: Route, method: str) -> str:
    """How the tables name a route."""
    return f"{method} {route.path}"


def variants(path: str) -> tuple[str, ...]:
    """A path, once for each kind of object that its parameter may name."""
    if path == _RUNNING:
        return (path, path.replace("conversation_id", "running_id"))
    if _RESOURCES in path:
        return tuple(path.replace(_RESOURCES, one) for one in _AS_RESOURCE)
    return (path,)


def parameters(path: str) -> tuple[str, ...]:
    """Names of the parameters of a path."""
    return tuple(name.partition(":")[0] for name in re.findall(r"\{([^}]+)\}", path))


def slots(path: str, route: Route, method: str) -> tuple[str, ...]:
    """The places of a request that name objects: path parameters, and ``kind`` of references
    in body and query, which go by ``@kind``."""
    found = [name for name in parameters(path) if isinstance(PARAMETERS.get(name), str)]
    key = key_of(route, method)
    for template in (BODIES.get(key), QUERIES.get(key)):
        found += [f"@{kind}" for kind in _refs(template)]
    return tuple(dict.fromkeys(found))


def kind_of(slot: str) -> str:
    """The kind of object that stands in a slot."""
    if slot.startswith("@"):
        return slot[1:]
    kind = PARAMETERS[slot]
    assert isinstance(kind, str)
    return kind


def _refs(template: Any) -> list[str]:
    if isinstance(template, Ref):
        return [template.kind]
    if isinstance(template, dict | list):
        inner = template.values() if isinstance(template, dict) else template
        return [kind for value in inner for kind in _refs(value)]
    return []


def filled_path(path: str, ids: dict[str, str]) -> str:
    """A path with ids in its slots and values for the rest."""
    for name in parameters(path):
        known = PARAMETERS[name]
        value = known.value if isinstance(known, Plain) else ids[name]
        path = re.sub(r"\{" + name + r"(:path)?\}", value, path)
    return path


def filled(template: Any, ids: dict[str, str]) -> Any:
    """A body or query with ids in the place of references."""
    if isinstance(template, Ref):
        return ids[f"@{template.kind}"]
    if template is UNIQUE:
        return str(uuid4())
    if isinstance(template, dict):
        return {name: filled(value, ids) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, ids) for value in template]
    return template


def random_id(kind: str) -> str:
    """An id of an object that does not exist, of the form that such ids have."""
    if kind in ("conversation", "running", "message", "preset"):
        return str(uuid4())
    if kind in ("tag", "memory"):
        return "".join(chr(ord("a") + digit % 26) for digit in uuid4().bytes)
    if kind == "agent":
        return f"agent_{uuid4().hex[:21]}"
    if kind == "share":
        return uuid4().hex[:21]
    return str(ObjectId())
