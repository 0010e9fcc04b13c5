"""The rights of callers on prompt groups (contract prompts §1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import HTTPError, Policy, Principal, Raw, Request, Services
from locutory_contracts.access import ACCESS, VIEW, ResourceAccess
from locutory_prompts.resource_kind import CAPABILITY, KIND, PERMISSION
from locutory_prompts.service import Prompts

READ_ALL = "read:prompts"
MISSING = {"error": "Not Found", "message": "promptGroup not found"}
REFUSED = {
    "error": "Forbidden",
    "message": "Insufficient permissions to access this promptGroup",
}
FAILED = {
    "error": "Internal Server Error",
    "message": "Failed to check resource access permissions",
}
NO_PERMISSION = {"message": "Forbidden: Insufficient permissions"}


@dataclass(frozen=True, slots=True)
class Granted:
    """A caller was let through to what a path names. ``id`` is ``None`` and ``document``
    empty when the caller may do everything and there is no such thing."""

    id: ObjectId | None
    document: Raw


class AccessControl:
    """Asks the service `ACCESS`. While no plugin provides it, everybody reaches exactly what
    they wrote themselves."""

    def __init__(
        self,
        prompts: Prompts,
        services: Services,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        self._prompts = prompts
        self._services = services
        self._policy = policy
        self._log = log

    @property
    def shared(self) -> ResourceAccess | None:
        """The service, or ``None`` while nothing can be shared."""
        return self._services.find(ACCESS)

    async def use(self, principal: Principal) -> None:
        """403 unless the caller's role may use prompts at all; for routes that the kernel
        has checked for another permission."""
        if not await self._policy.allows(principal, PERMISSION, "USE"):
            raise HTTPError(403, NO_PERMISSION)

    async def check_use(self, request: Request) -> None:
        """`use` as a check of a route."""
        await self.use(request.caller)

    async def reads_all(self, principal: Principal) -> bool:
        """``True`` when the caller may read everybody's prompts."""
        return bool(await self._policy.holds(principal, READ_ALL))

    async def group(
        self, principal: Principal, text: str, needed: int, fields: Mapping[str, Any]
    ) -> Granted:
        """The group of a path with ``fields`` of it; 404 or 403 as the contract states."""
        try:
            key = object_id(text)
            document = await self._prompts.group(key, principal.tenant, fields)
            if document is None:
                return await self._absent(principal)
            allowed = await self._may(principal, document["_id"], document, needed)
        except HTTPError:
            raise
        except Exception:
            raise self._failed() from None
        if not allowed:
            raise HTTPError(403, REFUSED)
        return Granted(document["_id"], document)

    async def version(self, principal: Principal, text: str, needed: int) -> Granted:
        """The version of a path, by the caller's right on its group."""
        try:
            key = object_id(text)
            prompt = await self._prompts.version(key, principal.tenant)
            if prompt is None:
                return await self._absent(principal)
            group = prompt.get("groupId")
            allowed = isinstance(group, ObjectId) and await self._may(
                principal, group, None, needed
            )
        except HTTPError:
            raise
        except Exception:
            raise self._failed() from None
        if not allowed:
            raise HTTPError(403, REFUSED)
        return Granted(prompt["_id"], prompt)

    async def views(self, principal: Principal, group: ObjectId) -> bool:
        """``True`` when the caller may see a group, without a look at capabilities."""
        shared = self.shared
        if shared is None:
            return await self._wrote(principal, group, None)
        return bool(await shared.bits(principal, KIND, str(group)) & VIEW)

    async def _may(
        self, principal: Principal, group: ObjectId, document: Raw | None, needed: int
    ) -> bool:
        shared = self.shared
        if shared is None:
            return await self._wrote(principal, group, document)
        decision = await shared.decide(principal, KIND, str(group), needed)
        if not decision:
            self._log.debug("prompts.refused", group=str(group), reason=decision.reason)
        return bool(decision)

    async def _wrote(self, principal: Principal, group: ObjectId, document: Raw | None) -> bool:
        if document is None or "author" not in document:
            document = await self._prompts.group(group, principal.tenant, {"author": 1})
        return document is not None and document.get("author") == object_id(principal.id)

    async def _absent(self, principal: Principal) -> Granted:
        """The result for a path that names nothing: 404, but not for callers who may do
        everything. Their routes have answers of their own."""
        if self.shared is not None and await self._policy.holds(principal, CAPABILITY):
            return Granted(None, {})
        raise HTTPError(404, MISSING)

    def _failed(self) -> HTTPError:
        self._log.exception("prompts.access_check_failed")
        return HTTPError(500, FAILED)


def object_id(text: Any) -> ObjectId | None:
    """A 24-hex text as an ObjectId; ``None`` for everything else."""
    return ObjectId(text) if isinstance(text, str) and ObjectId.is_valid(text) else None
