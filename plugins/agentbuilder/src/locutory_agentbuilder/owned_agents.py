"""Removal and transfer of the agents of a deleted account."""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from locutory import Collection, Raw
from locutory_agentbuilder.service import Agents


class OwnedAgents:
    """Implements `locutory_resources.OwnedResources`."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    @property
    def collection(self) -> Collection:
        """The agents."""
        return self._agents.collection

    async def remove(self, resource_ids: Sequence[ObjectId]) -> None:
        """Delete agents with their entries."""
        await self._agents.remove(list(resource_ids))

    async def transfer(self, resource_id: ObjectId, user: ObjectId, heir: ObjectId) -> None:
        """Make the heir the author of an agent, if the user still is."""

        def inherit(document: Raw) -> tuple[Raw, list[str]]:
            if document.get("author") != user:
                return {}, []
            return {"author": heir}, [name for name in ("authorName",) if name in document]

        await self._agents.change(resource_id, inherit)

    async def anonymise(self, user: ObjectId) -> None:
        """Remove the user's id from versions of the remaining agents."""
        edited = self._agents.collection.find({"versions.updatedBy": user}, {"_id": 1})
        for agent in await edited.to_list():
            await self._agents.change(
                agent["_id"], lambda document: ({"versions": _anonymised(document, user)}, ())
            )


def _anonymised(document: Raw, user: ObjectId) -> list[Any]:
    versions = document.get("versions")
    return [
        {key: value for key, value in version.items() if (key, value) != ("updatedBy", user)}
        if isinstance(version, dict)
        else version
        for version in (versions if isinstance(versions, list) else ())
    ]
