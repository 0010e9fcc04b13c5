"""The rights of callers on prompt groups (contract prompts §1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import Decision, HTTPError, Policy, Principal, Raw, Services
from locutory_contracts.access import VIEW
from locutory_prompts.resource_kind import CAPABILITY, KIND, PERMISSION
from locutory_prompts.service import Prompts
from locutory_resources import CallerRights, missing, object_id, refused

READ_ALL = "read:prompts"
MISSING = missing(KIND)
REFUSED = refused(KIND)


@dataclass(frozen=True, slots=True)
class Granted:
    """A caller was admitted to the resource that a path names. ``id`` is ``None`` and ``document``
    empty when the caller has all rights and there is no such resource."""

    id: ObjectId | None
    document: Raw


class AccessControl(CallerRights):
    """The rights of callers on groups, and the groups and versions that paths name."""

    def __init__(
        self,
        prompts: Prompts,
        services: Services,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        super().__init__(KIND, PERMISSION, CAPABILITY, services, policy, log)
        self._prompts = prompts

    async def reads_all(self, principal: Principal) -> bool:
        """``True`` when the caller may read everybody's prompts."""
        return bool(await self._policy.holds(principal, READ_ALL))

    async def group(
        self, principal: Principal, text: str, needed: int, fields: Mapping[str, Any]
    ) -> Granted:
        """The group of a path with ``fields`` of it; 404 or 403 as the contract states."""
        with self.checking():
            document = await self._prompts.group(object_id(text), principal.tenant, fields)
            if document is None:
                return await self._absent(principal)
            allowed = await self._decide(principal, document["_id"], document, needed)
        self.demand(allowed, document["_id"])
        return Granted(document["_id"], document)

    async def version(self, principal: Principal, text: str, needed: int) -> Granted:
        """The version of a path, by the caller's right on its group."""
        with self.checking():
            prompt = await self._prompts.version(object_id(text), principal.tenant)
            if prompt is None:
                return await self._absent(principal)
            group = prompt.get("groupId")
            if not isinstance(group, ObjectId):
                raise HTTPError(403, REFUSED)
            allowed = await self._decide(principal, group, None, needed)
        self.demand(allowed, group)
        return Granted(prompt["_id"], prompt)

    async def views(self, principal: Principal, group: ObjectId) -> bool:
        """``True`` when the caller may see a group, without a look at capabilities."""
        shared = self.shared
        if shared is None:
            return bool(await self._decide(principal, group, None, VIEW))
        return bool(await shared.bits(principal, KIND, str(group)) & VIEW)

    async def _decide(
        self, principal: Principal, group: ObjectId, document: Raw | None, needed: int
    ) -> Decision:
        if self.shared is None and (document is None or "author" not in document):
            document = await self._prompts.group(group, principal.tenant, {"author": 1})
            if document is None:
                return Decision(False, "there is no such group")
        return await self.decide(principal, {**(document or {}), "_id": group}, needed)

    async def _absent(self, principal: Principal) -> Granted:
        """The result for a path that names nothing: 404, but not for callers who may do
        everything. Their routes have answers of their own."""
        if await self.has_all(principal):
            return Granted(None, {})
        raise HTTPError(404, MISSING)
