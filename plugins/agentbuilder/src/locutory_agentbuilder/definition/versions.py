"""Snapshots of an agent (contract agents §4, §5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
from bson import ObjectId

from locutory import Raw
from locutory_agentbuilder.definition.fields import SETTABLE

_NOT_KEPT = frozenset({"_id", "id", "author", "authorName", "versions", "__v"})
_NOT_COMPARED = _NOT_KEPT | {"createdAt", "updatedAt", "updatedBy", "actionsHash", "tenantId"}
_NOT_RESTORED = _NOT_COMPARED | {"is_promoted", "access_level", "actions"}
_LISTS = ("edges", "conversation_starters", "agent_ids")
_STAYING = frozenset({"provider", "model", "category", "avatar", "tool_resources"})
"""Fields that an agent keeps when a version does not have them: required ones, and those of
uploads."""

# What a snapshot and its frame take besides the members that are counted.
_MARGIN = 64 * 1024


def snapshot(document: Mapping[str, Any], moment: datetime, by: ObjectId) -> Raw:
    """The version that a changed agent leaves behind."""
    kept = {key: value for key, value in document.items() if key not in _NOT_KEPT}
    return {**kept, "updatedAt": moment, "updatedBy": by}


def same_as_newest(document: Mapping[str, Any], versions: Sequence[Any]) -> bool:
    """``True`` when the newest version of an agent holds all of it already. Empty and missing
    fields are the same."""
    newest = versions[-1] if versions else None
    return isinstance(newest, Mapping) and _compared(document) == _compared(newest)


def _compared(document: Mapping[str, Any]) -> Raw:
    return {key: value for key, value in document.items() if value and key not in _NOT_COMPARED}


def restoring(version: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[Raw, list[str]]:
    """The fields to set and those to unset to restore a version of an agent. Fields that users do
    not set are not changed, nor are avatar and files that the version does not have."""
    wanted = {key: value for key, value in version.items() if key not in _NOT_RESTORED}
    lacking = [key for key in SETTABLE if key not in wanted and key in current]
    emptied: Raw = {key: [] for key in lacking if key in _LISTS}
    gone = [key for key in lacking if key not in emptied and key not in _STAYING]
    return {**emptied, **wanted}, gone


def fitting(document: Mapping[str, Any], added: Raw, max_bytes: int) -> list[Any] | None:
    """The versions to keep with one more, when all of them would make the agent larger than
    ``max_bytes``: the oldest go. ``None`` when there is room for all."""
    versions = document.get("versions")
    versions = versions if isinstance(versions, list) else []
    room = max_bytes - _MARGIN - _size(added)
    room -= len(bson.encode({key: document[key] for key in document if key != "versions"}))
    sizes = [_size(version) for version in versions]
    if sum(sizes) <= room:
        return None
    first = len(sizes)
    while first and sizes[first - 1] <= room:
        first -= 1
        room -= sizes[first]
    return [*versions[first:], added]


def _size(version: Any) -> int:
    return len(bson.encode({"000000": version}))
