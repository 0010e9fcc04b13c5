"""Checking a database for damage, with its own means."""

from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from locutory_transfer.indexes import reason
from locutory_transfer.interface import Database, raw, survey
from locutory_transfer.state import unfinished


async def check(database: Database) -> list[str]:
    """The faults of a database, a sentence for each; empty for a sound one.

    A database with a method ``check`` is checked by it, a server by its command ``validate``,
    collection by collection (which delays writes to each while it runs).
    """
    text = await unfinished(database)
    problems = [] if text is None else [f"The database is {text}."]
    # Not hasattr(database, …): for the driver every name is a collection's.
    if hasattr(type(database), "check"):
        given: Any = database
        return [*problems, *await given.check()]
    for name in (await survey(database)).collections:
        problems += await _validate(database, name)
    return problems


async def _validate(database: Database, name: str) -> list[str]:
    try:
        answer: Mapping[str, Any] = await database.command("validate", name)
    except OperationFailure as error:
        return [f"The collection {name} cannot be checked: {reason(error)}"]
    if answer.get("valid", False) and not answer.get("errors"):
        return []
    errors = answer.get("errors") or ["the server does not say why"]
    return [f"The collection {name} is damaged: {text}" for text in errors]


async def count(database: Database) -> dict[str, int]:
    """The number of documents of each collection."""
    return {
        name: await raw(database, name).estimated_document_count()
        for name in (await survey(database)).collections
    }
