"""Entries for the authors of resources that are older than entries (collections §5).

LibreChat before v0.8.0 decided by the author alone, and by a list of what is open to everybody.
Without entries such a resource is in nobody's list, its author's included. The rule is that of
LibreChat's own scripts: a resource of which no user has an entry.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from locutory import Check, Database, Services
from locutory_contracts.access import AUTHORED, OWNER, Authored
from locutory_resources import object_id
from locutory_roles.documents import Project
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.entries import EntryStore, Grant
from locutory_roles.resources.principals import PUBLIC, USER
from locutory_roles.resources.resource_types import ResourceTypeRegistry

if TYPE_CHECKING:
    import structlog.stdlib


@dataclass(frozen=True, slots=True)
class _Found:
    """A resource without an entry; ``public``: the access role that everybody had."""

    resource: Authored
    public: str | None


class AuthorEntries:
    """Looks for such resources, and gives each to its author."""

    def __init__(
        self,
        database: Database,
        resource_types: ResourceTypeRegistry,
        entries: EntryStore,
        access_roles: AccessRoleStore,
        services: Services,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._database = database
        self._resource_types = resource_types
        self._entries = entries
        self._access_roles = access_roles
        self._services = services
        self._log = log

    def check(self) -> Check:
        """For ``locutory doctor``, every start, and ``locutory migrate``."""
        return Check("access entries", self.look, self.migrate)

    async def _without(self) -> dict[str, list[_Found]]:
        """Type → resources without an entry; types without any are left out."""
        found: dict[str, list[_Found]] = {}
        for kind, offered in sorted(self._services.all(AUTHORED).items()):
            if self._resource_types.find(kind) is None:
                continue
            kept = await self._entries.of_users(kind)
            listed = await self._listed(offered.list_name)
            async for resource in offered.all():
                if object_id(resource.id) not in kept and object_id(resource.author) is not None:
                    public = resource.public_role if resource.listed in listed else None
                    found.setdefault(kind, []).append(_Found(resource, public))
        return found

    async def _listed(self, name: str) -> set[str]:
        project = await self._database[Project].find_one({"name": "instance"}, {"_id": 0, name: 1})
        listed = (project or {}).get(name)
        return {str(item) for item in listed} if isinstance(listed, list) else set()

    async def look(self) -> str | None:
        """The number of such resources in words; ``None`` without any."""
        counts = [
            f"{len(found)} of type {kind} ({sum(one.public is not None for one in found)} open "
            "to everybody)"
            for kind, found in (await self._without()).items()
        ]
        if not counts:
            return None
        return (
            f"{', '.join(counts)} have an author and no access entry, so not even the author sees "
            "them: 'locutory migrate' gives each to its author, with --dry-run it only counts"
        )

    async def migrate(self) -> str:
        """Write the entries. One that fails is logged and left for the next time."""
        counts, failed = [], 0
        for kind, found in (await self._without()).items():
            done = 0
            for one in found:
                try:
                    await self._grant(kind, one)
                    done += 1
                except Exception:
                    failed += 1
                    self._log.exception("access.not_migrated", kind=kind, resource=one.resource.id)
            counts.append(f"{done} of type {kind}")
        text = f"given to their authors: {', '.join(counts) or 'none'}"
        return f"{text}; {failed} failed, see the log" if failed else text

    async def _grant(self, kind: str, one: _Found) -> None:
        known = self._resource_types.find(kind)
        target, author = object_id(one.resource.id), object_id(one.resource.author)
        if known is None or target is None:
            return
        tenant = one.resource.tenant
        roles = await self._access_roles.of_kind(kind, tenant)
        owner = roles.get(known.owner_role)
        grants = [Grant((USER, author), OWNER, None if owner is None else owner["_id"])]
        if one.public is not None:
            public = roles[one.public]
            grants.append(Grant((PUBLIC, None), public["permBits"], public["_id"]))
        await self._entries.grant(kind, target, grants, by=author, tenant=tenant, keep=True)
