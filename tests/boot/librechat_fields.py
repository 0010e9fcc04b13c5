"""Types of the fields of LibreChat's collections (collections §3), for what we write.

A document of ours may hold these fields and no others, because LibreChat would drop them, or
show them to its users.
"""

from datetime import datetime
from typing import Any

from bson import ObjectId

S, B, D, O, L, M = str, bool, datetime, ObjectId, list, dict  # noqa: E741
N = (int, float)
ANY = object

_STAMPS: dict[str, Any] = {"_id": O, "createdAt": D, "updatedAt": D, "__v": int}
_PRESET: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("endpoint", "endpointType", "model", "region", "chatGptLabel", "modelLabel"),
            *("promptPrefix", "promptCacheTtl", "thinkingLevel", "effort", "system"),
            *("imageDetail", "agent_id", "assistant_id", "instructions", "iconURL", "greeting"),
            *("spec", "reasoning_effort", "reasoning_summary", "reasoning_mode"),
            *("reasoning_context", "verbosity"),
        ),
        S,
    ),
    **dict.fromkeys(
        (
            *("temperature", "top_p", "topP", "topK", "maxOutputTokens", "maxTokens"),
            *("presence_penalty", "frequency_penalty", "thinkingBudget", "maxContextTokens"),
            *("max_tokens", "fileTokenLimit"),
        ),
        N,
    ),
    **dict.fromkeys(
        (
            *("resendImages", "promptCache", "thinking", "resendFiles", "isArchived"),
            *("useResponsesApi", "web_search", "url_context", "disableStreaming"),
        ),
        B,
    ),
    **dict.fromkeys(("examples", "file_ids", "stop", "tags", "tools"), L),
}

FIELDS: dict[str, dict[str, Any]] = {
    "sessions": {"_id": O, "refreshTokenHash": S, "expiration": D, "user": O, "__v": int},
    "keys": {"_id": O, "userId": O, "name": S, "value": S, "expiresAt": D, "__v": int},
    "pluginauths": {**_STAMPS, "authField": S, "value": S, "userId": S, "pluginKey": S},
    "conversations": {
        **_STAMPS,
        **_PRESET,
        "conversationId": S,
        "title": S,
        "user": S,
        "messages": L,
        "isTemporary": B,
        "chatProjectId": S,
        "files": L,
        "expiredAt": D,
        "pinned": B,
        "archivedAt": D,
        "_meiliIndex": B,
    },
    "messages": {
        **_STAMPS,
        **dict.fromkeys(
            (
                *("messageId", "conversationId", "user", "model", "endpoint", "parentMessageId"),
                *("sender", "text", "summary", "finish_reason", "iconURL", "thread_id"),
                *("conversationSignature", "clientId"),
            ),
            S,
        ),
        **dict.fromkeys(("tokenCount", "summaryTokenCount", "invocationId"), N),
        **dict.fromkeys(
            (
                *("isCreatedByUser", "isTemporary", "unfinished", "error", "_meiliIndex"),
                "addedConvo",
            ),
            B,
        ),
        **dict.fromkeys(("files", "content", "attachments", "quotes", "manualSkills"), L),
        "metadata": ANY,
        "contextMeta": M,
        "feedback": M,
        "expiredAt": D,
    },
    "presets": {
        **_STAMPS,
        **_PRESET,
        "presetId": S,
        "title": S,
        "user": S,
        "defaultPreset": B,
        "order": N,
    },
    "conversationtags": {
        **_STAMPS,
        "tag": S,
        "user": S,
        "description": S,
        "count": N,
        "position": N,
    },
    "chatprojects": {
        **_STAMPS,
        "name": S,
        "description": S,
        "user": S,
        "conversationCount": N,
        "lastConversationAt": D,
        "lastConversationId": S,
    },
    "promptgroups": {
        **_STAMPS,
        **dict.fromkeys(("name", "oneliner", "category", "authorName", "command"), S),
        "numberOfGenerations": N,
        "productionId": O,
        "author": O,
    },
    "prompts": {**_STAMPS, "groupId": O, "author": O, "prompt": S, "type": S},
    "memoryentries": {
        "_id": O,
        "userId": O,
        "key": S,
        "value": S,
        "agentId": S,
        "tokenCount": N,
        "updated_at": D,
        "__v": int,
    },
    "sharedlinks": {
        **_STAMPS,
        **dict.fromkeys(("conversationId", "title", "user", "shareId", "targetMessageId"), S),
        "messages": L,
        "expiredAt": D,
        "snapshotFiles": B,
        "fileSnapshots": L,
    },
    "aclentries": {
        **_STAMPS,
        "principalType": S,
        "principalId": (O, S),
        "principalModel": S,
        "resourceType": S,
        "resourceId": O,
        "permBits": int,
        "roleId": O,
        "grantedBy": O,
        "grantedAt": D,
        "expiredAt": D,
    },
    "transactions": {
        **_STAMPS,
        "user": O,
        **dict.fromkeys(
            ("conversationId", "tokenType", "model", "context", "valueKey", "messageId"), S
        ),
        **dict.fromkeys(
            ("rate", "rawAmount", "tokenValue", "inputTokens", "writeTokens", "readTokens"), N
        ),
    },
    "toolfavorites": {**_STAMPS, "user": O, "itemType": S, "itemId": S},
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "sessions": ("refreshTokenHash", "expiration", "user"),
    "keys": ("userId", "name", "value"),
    "pluginauths": ("authField", "value", "userId", "createdAt", "updatedAt"),
    "conversations": ("conversationId", "user", "messages", "createdAt", "updatedAt"),
    "messages": ("messageId", "conversationId", "user", "createdAt", "updatedAt"),
    "presets": ("presetId", "user", "title", "createdAt", "updatedAt"),
    "conversationtags": ("tag", "user", "count", "position", "createdAt", "updatedAt"),
    "chatprojects": ("name", "user", "conversationCount", "createdAt", "updatedAt"),
    "promptgroups": ("name", "productionId", "author", "authorName", "createdAt", "updatedAt"),
    "prompts": ("groupId", "author", "prompt", "type", "createdAt", "updatedAt"),
    "memoryentries": ("userId", "key", "value", "tokenCount", "updated_at"),
    "sharedlinks": ("conversationId", "user", "shareId", "messages", "createdAt", "updatedAt"),
    "aclentries": ("principalType", "resourceType", "resourceId", "permBits", "grantedAt"),
    "transactions": ("user", "tokenType", "createdAt", "updatedAt"),
    "toolfavorites": ("user", "itemType", "itemId"),
}
NULLABLE = {
    "conversations": {"endpoint", "expiredAt", "chatProjectId"},
    "messages": {"model", "expiredAt"},
    "presets": {"endpoint"},
    "chatprojects": {"lastConversationAt", "lastConversationId"},
    "promptgroups": {"command"},
}


def faults(collection: str, document: dict[str, Any]) -> list[str]:
    """What LibreChat would not have written."""
    fields = FIELDS[collection]
    found = [f"{name} is missing" for name in REQUIRED[collection] if name not in document]
    if document.get("__v") != 0:
        found.append(f"__v is {document.get('__v')!r}")
    for name, value in document.items():
        if name not in fields:
            found.append(f"{name} is unknown to LibreChat")
        elif value is None:
            if name not in NULLABLE.get(collection, ()):
                found.append(f"{name} is null")
        elif fields[name] is not ANY and (
            not isinstance(value, fields[name])
            or (isinstance(value, bool) and fields[name] is not B)
        ):
            found.append(f"{name} is {value!r}")
    return found
