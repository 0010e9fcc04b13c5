"""The rights of callers on resources of one kind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import Decision, HTTPError, Policy, Principal, Request, Services
from locutory_contracts.access import ACCESS, ResourceAccess

FAILED = {
    "error": "Internal Server Error",
    "message": "Failed to check resource access permissions",
}
NO_PERMISSION = {"message": "Forbidden: Insufficient permissions"}


def missing(kind: str) -> dict[str, str]:
    """The body of the 404 for a path that names no resource."""
    return {"error": "Not Found", "message": f"{kind} not found"}


def refused(kind: str) -> dict[str, str]:
    """The body of the 403 for callers who lack the right on a resource."""
    return {"error": "Forbidden", "message": f"Insufficient permissions to access this {kind}"}


class CallerRights:
    """Asks the service `ACCESS` for rights. While no plugin provides it, users reach exactly the
    resources of which they are the author. A plugin derives from it to look up its resources.

    ``kind``: the name of the resources' `ResourceKind`; ``permission``: the permission group whose
    USE callers need for any resource; ``capability``: the one that gives all rights.
    """

    def __init__(
        self,
        kind: str,
        permission: str,
        capability: str,
        services: Services,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        self.kind = kind
        self._permission = permission
        self._capability = capability
        self._services = services
        self._policy = policy
        self._log = log

    @property
    def shared(self) -> ResourceAccess | None:
        """The service, or ``None`` while nothing can be shared."""
        return self._services.find(ACCESS)

    async def use(self, principal: Principal) -> None:
        """Raise a 403 unless the caller's role may use such resources at all; for routes that the
        kernel has checked for another permission."""
        if not await self._policy.allows(principal, self._permission, "USE"):
            raise HTTPError(403, NO_PERMISSION)

    async def check_use(self, request: Request) -> None:
        """`use` as a check of a route."""
        await self.use(request.caller)

    async def has_all(self, principal: Principal) -> bool:
        """``True`` when the caller may do everything with all resources, by a capability."""
        return self.shared is not None and bool(
            await self._policy.holds(principal, self._capability)
        )

    async def decide(
        self, principal: Principal, resource: Mapping[str, Any], needed: int
    ) -> Decision:
        """The decision about the ``needed`` rights of the caller on a stored resource, of which
        ``_id`` and ``author`` are read."""
        shared = self.shared
        if shared is not None:
            return await shared.decide(principal, self.kind, str(resource["_id"]), needed)
        wrote = resource.get("author") == object_id(principal.id)
        who = "the caller" if wrote else "somebody else"
        return Decision(wrote, f"only its author reaches it, and that is {who}")

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Around a check: log a fault and raise a 500; let `HTTPError` pass."""
        try:
            yield
        except HTTPError:
            raise
        except Exception:
            self._log.exception("resources.check_failed", kind=self.kind)
            raise HTTPError(500, FAILED) from None

    def demand(self, decision: Decision, resource_id: object) -> None:
        """Raise a 403 unless the decision is in favour of the caller."""
        if not decision:
            self._log.debug(
                "resources.refused", kind=self.kind, id=str(resource_id), reason=decision.reason
            )
            raise HTTPError(403, refused(self.kind))


def object_id(value: Any) -> ObjectId | None:
    """A 24-hex text as an ObjectId; ``None`` for everything else."""
    return ObjectId(value) if isinstance(value, str) and ObjectId.is_valid(value) else None
