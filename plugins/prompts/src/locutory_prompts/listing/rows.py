"""Rows as they are sent, with the text of the version in use."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from bson import ObjectId

from locutory import Raw
from locutory_prompts.service import Prompts

_EMPTY = {"numberOfGenerations": 0, "oneliner": "", "category": ""}


async def rows_of(prompts: Prompts, groups: Sequence[Raw], public: Collection[str]) -> list[Raw]:
    """The rows of stored groups, in their order; those of ``public`` are marked."""
    texts = await _texts(prompts, [group["productionId"] for group in groups if _used(group)])
    return [_row(group, texts, str(group["_id"]) in public) for group in groups]


def _used(group: Raw) -> bool:
    return group.get("productionId") is not None


def _row(group: Raw, texts: dict[ObjectId, Raw], public: bool) -> Raw:
    """Members that old documents lack are filled in."""
    row = {**_EMPTY, **group}
    if row.get("command") is None:
        row.pop("command", None)
    uses = row["numberOfGenerations"]
    if not isinstance(uses, int | float) or not math.isfinite(uses):
        row["numberOfGenerations"] = 0
    row["productionPrompt"] = texts.get(group["productionId"]) if _used(group) else None
    return {**row, "isPublic": True} if public else row


async def _texts(prompts: Prompts, versions: list[Any]) -> dict[ObjectId, Raw]:
    found = prompts.prompts.find({"_id": {"$in": versions}}, {"prompt": 1})
    return {prompt["_id"]: prompt for prompt in await found.to_list()}
