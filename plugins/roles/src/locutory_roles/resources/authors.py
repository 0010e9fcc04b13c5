"""Entries for the authors of resources that are older than entries (collections.md §5).

LibreChat before v0.8.0 decided by the author alone, and by a list of what is open to everybody.
Without entries such a resource is in nobody's list, its author's included. The rule is that of
LibreChat's own scripts: a resource of which no user has an entry.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from locutory import Check, Services
from locutory_contracts.access import AUTHORED, OWNER, Authored
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.entries import EntryStore, Grant
from locutory_roles.resources.kinds import Kinds
from locutory_roles.resources.principals import PUBLIC, USER, object_id

if TYPE_CHECKING:
    import structlog.stdlib


class AuthorEntries:
    """Looks for such resources, and gives each to its author."""

    def __init__(
        self,
        kinds: Kinds,
        entries: EntryStore,
        access_roles: AccessRoleStore,
        services: Services,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._kinds = kinds
        self._entries = entries
        self._access_roles = access_roles
        self._services = services
        self._log = log

    def check(self) -> Check:
        """For ``locutory doctor``, every start, and ``locutory migrate``."""
        return Check("access entries", self.look, self.migrate)

    async def _without(self, kind: str) -> AsyncIterator[Authored]:
        offered = self._services.named(AUTHORED, kind)
        if offered is None or self._kinds.find(kind) is None:
            return
        kept = await self._entries.of_users(kind)
        async for resource in offered.all():
            if object_id(resource.id) not in kept and object_id(resource.author) is not None:
                yield resource

    async def look(self) -> str | None:
        """How many there are; ``None`` without any."""
        counts = []
        for kind in self._services.all(AUTHORED):
            found = [resource async for resource in self._without(kind)]
            if found:
                public = sum(resource.public is not None for resource in found)
                counts.append(f"{len(found)} of type {kind} ({public} open to everybody)")
        if not counts:
            return None
        return (
            f"{', '.join(counts)} have an author and no access entry, so not even the author sees "
            "them: 'locutory migrate' gives each to its author, with --dry-run it only counts"
        )

    async def migrate(self) -> str:
        """Write the entries. One that fails is logged and left for the next time."""
        counts, failed = [], 0
        for kind in self._services.all(AUTHORED):
            done = 0
            for resource in [found async for found in self._without(kind)]:
                try:
                    await self._grant(kind, resource)
                    done += 1
                except Exception:
                    failed += 1
                    self._log.exception("access.not_migrated", kind=kind, resource=resource.id)
            if done:
                counts.append(f"{done} of type {kind}")
        text = f"given to their authors: {', '.join(counts) or 'none'}"
        return f"{text}; {failed} failed, see the log" if failed else text

    async def _grant(self, kind: str, resource: Authored) -> None:
        found, target = self._kinds.find(kind), object_id(resource.id)
        author = object_id(resource.author)
        if found is None or target is None:
            return
        roles = await self._access_roles.of_kind(kind, resource.tenant)
        owner = roles.get(found.owner_role)
        grants = [Grant((USER, author), OWNER, None if owner is None else owner["_id"])]
        if resource.public is not None:
            public = roles[resource.public]
            grants.append(Grant((PUBLIC, None), public["permBits"], public["_id"]))
        await self._entries.grant(
            kind, target, grants, by=author, tenant=resource.tenant, keep=True
        )
