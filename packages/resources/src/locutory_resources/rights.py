"""The rights of callers on resources of one kind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import Decision, HTTPError, Policy, Principal, Request, Services
from locutory_contracts.access import ACCESS, ResourceAccess

_FAILED = {
    "error": "Internal Server Error",
    "message": "Failed to check resource access permissions",
}
_NO_PERMISSION = {"message": "Forbidden: Insufficient permissions"}


class CallerRights:
    """Asks the service `ACCESS`. While no plugin provides it, everybody reaches exactly what
    they wrote themselves.

    ``kind``: the name of the resources' `ResourceKind`; ``permission``: the permission group
    whose USE lets callers in at all; ``capability``: the one of those who may do everything.
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
    def access(self) -> ResourceAccess | None:
        """The service, or ``None`` while nothing can be shared."""
        return self._services.find(ACCESS)

    async def use(self, principal: Principal) -> None:
        """403 unless the caller's role may use such resources at all; for routes that the kernel
        has checked for another permission."""
        if not await self._policy.allows(principal, self._permission, "USE"):
            raise HTTPError(403, _NO_PERMISSION)

    async def check_use(self, request: Request) -> None:
        """`use` as a check of a route."""
        await self.use(request.caller)

    async def has_all(self, principal: Principal) -> bool:
        """``True`` when the caller may do everything with all resources, by a capability."""
        return self.access is not None and bool(
            await self._policy.holds(principal, self._capability)
        )

    async def decide(
        self, principal: Principal, resource: Mapping[str, Any], needed: int
    ) -> Decision:
        """The decision about ``needed`` rights of the caller on a stored resource, of which
        ``_id`` and ``author`` are read."""
        access = self.access
        if access is not None:
            return await access.decide(principal, self.kind, str(resource["_id"]), needed)
        wrote = resource.get("author") == object_id(principal.id)
        who = "the caller" if wrote else "somebody else"
        return Decision(wrote, f"only its author reaches it, and that is {who}")

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Around a check: a fault is logged and answered with 500, refusals pass."""
        try:
            yield
        except HTTPError:
            raise
        except Exception:
            self._log.exception("resources.check_failed", kind=self.kind)
            raise HTTPError(500, _FAILED) from None

    def missing(self) -> HTTPError:
        """404 for a path that names no resource."""
        return HTTPError(404, {"error": "Not Found", "message": f"{self.kind} not found"})

    def demand(self, decision: Decision, resource_id: object) -> None:
        """403 unless the decision is in favour of the caller."""
        if not decision:
            self._log.debug(
                "resources.refused", kind=self.kind, id=str(resource_id), reason=decision.reason
            )
            text = f"Insufficient permissions to access this {self.kind}"
            raise HTTPError(403, {"error": "Forbidden", "message": text})


def object_id(value: Any) -> ObjectId | None:
    """A 24-hex text as an ObjectId; ``None`` for everything else."""
    return ObjectId(value) if isinstance(value, str) and ObjectId.is_valid(value) else None
