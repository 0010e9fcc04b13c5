"""The check of who may read a link (contract share §2), and the access entries behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import (
    HTTPError,
    Policy,
    Principal,
    Raw,
    Services,
    Unauthorized,
)
from locutory_contracts.access import ACCESS, OWNER, VIEW, AccessRole, ResourceAccess
from locutory_share.config import Settings
from locutory_share.links import WITHOUT_FILES, LinkStore

KIND = "sharedLink"
PERMISSIONS = "SHARED_LINKS"
VIEWER_ROLE = "sharedLink_viewer"
_BATCH = 500
_OLD = {"isPublic": {"$exists": True}}


class LinkResource:
    """Implements `locutory_contracts.access.ResourceKind`."""

    permission = PERMISSIONS
    capability = "manage:sharedlinks"
    access_roles: Sequence[AccessRole] = (
        AccessRole(VIEWER_ROLE, VIEW, "com_ui_role_viewer", "com_ui_role_viewer_desc"),
        AccessRole("sharedLink_owner", OWNER, "com_ui_role_owner", "com_ui_role_owner_desc"),
    )
    missing_is_404 = False

    def __init__(self, store: LinkStore) -> None:
        self._store = store

    async def exists(self, resource_id: str) -> bool:
        """``True`` when there is such a link."""
        return ObjectId.is_valid(resource_id) and await self._store.exists(ObjectId(resource_id))


class AccessControl:
    """Access entries of links, stored by the plugin that provides `ACCESS`. Without it, only its
    owner sees a link, unless its field ``isPublic`` opens it to everybody."""

    def __init__(
        self,
        store: LinkStore,
        services: Services,
        settings: Settings,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        self._store = store
        self._services = services
        self._settings = settings
        self._policy = policy
        self._log = log

    @property
    def kept(self) -> bool:
        """``True`` when a plugin keeps access entries."""
        return self._services.find(ACCESS) is not None

    async def admit(self, link: Raw, viewer: Principal | None) -> None:
        """Returns when ``viewer`` may read the link; 401 or 403 otherwise.

        A capability opens no link: administrators manage links, they do not read them.
        """
        access = self._services.find(ACCESS)
        if access is None:
            public = _says_public(link)
        else:
            if "isPublic" in link:
                if not self._settings.auto_migrate:
                    raise HTTPError(403, {"message": "Legacy shared link requires migration"})
                await self._migrate(access, link)
            link_id = str(link["_id"])
            public = link_id in await access.public(KIND, [link_id])
        if public and (viewer is not None or self._settings.public):
            return
        if viewer is None:
            raise Unauthorized("Authentication required")
        if viewer.id == link.get("user"):
            return
        if access is None or not await self._named(access, link, viewer):
            raise HTTPError(403)

    async def _named(self, access: ResourceAccess, link: Raw, viewer: Principal) -> bool:
        """``True`` when an entry lets the viewer in. Their role counts in the link's own tenant
        only."""
        tenant = link.get("tenantId")
        if viewer.tenant != tenant:
            viewer = replace(viewer, tenant=tenant, role="")
        return bool(await access.bits(viewer, KIND, str(link["_id"])) & VIEW)

    async def may_publish(self, principal: Principal) -> bool:
        """``True`` when the caller's links may be public."""
        return bool(await self._policy.allows(principal, PERMISSIONS, "SHARE_PUBLIC"))

    async def grant(self, link: Raw, *, public: bool) -> None:
        """The entries of a new link."""
        access = self._services.find(ACCESS)
        if access is None:
            return
        link_id = str(link["_id"])
        await access.grant_owner(link["user"], KIND, link_id)
        if public:
            await access.grant_public(KIND, link_id, VIEWER_ROLE)
        if link.get("expiredAt") is not None:
            await access.expire(KIND, link_id, link["expiredAt"])

    async def expire(self, link_id: ObjectId, at: datetime | None) -> None:
        """Let the entries of a link end with it."""
        access = self._services.find(ACCESS)
        if access is not None:
            await access.expire(KIND, str(link_id), at)

    async def repair(self, link: Raw) -> None:
        """Give the owner the entry that they lack. Reads only when they have it, since every
        visit of a chat asks; a fault is logged, never felt."""
        access = self._services.find(ACCESS)
        if access is None:
            return
        if "isPublic" in link and self._settings.auto_migrate:
            await self._migrate(access, link)
            return
        link_id = str(link["_id"])
        try:
            owners = await access.owners(KIND, [link_id])
            if link["user"] not in owners.get(link_id, ()):
                await access.grant_owner(link["user"], KIND, link_id)
                await access.expire(KIND, link_id, link.get("expiredAt"))
        except Exception:
            self._log.exception("share.owner_not_granted", link=link_id)

    async def old(self) -> str | None:
        """Advice about links with ``isPublic`` that are not turned when they are seen; ``None``
        when there are none."""
        if not self.kept or self._settings.auto_migrate:
            return None
        count = await self._store.collection.count_documents(_OLD)
        if not count:
            return None
        return (
            f"{count} links with LibreChat's old field isPublic answer 403: 'locutory migrate' "
            "turns it into access entries, SHARED_LINKS_AUTO_MIGRATE=true does so when one is seen"
        )

    async def migrate(self) -> str:
        """Turn every ``isPublic`` into entries."""
        access = self._services.find(ACCESS)
        if access is not None:
            for link in await self._store.collection.find(_OLD, WITHOUT_FILES).to_list():
                await self._migrate(access, link)
        left = await self._store.collection.count_documents(_OLD)
        return f"{left} failed, see the log" if left else "every link has access entries"

    async def _migrate(self, access: ResourceAccess, link: Raw) -> None:
        """Turn ``isPublic`` into entries. The field is removed last, so that a failed attempt is
        repeated; every step is idempotent."""
        link_id = str(link["_id"])
        owner = link.get("user")
        try:
            if isinstance(owner, str) and ObjectId.is_valid(owner):
                owners = await access.owners(KIND, [link_id])
                if owner not in owners.get(link_id, ()):
                    await access.grant_owner(owner, KIND, link_id)
            if _says_public(link) and link_id not in await access.public(KIND, [link_id]):
                await access.grant_public(KIND, link_id, VIEWER_ROLE)
            if link.get("expiredAt") is not None:
                await access.expire(KIND, link_id, link["expiredAt"])
            await self._store.change({"_id": link["_id"]}, {}, ["isPublic"])
        except Exception:
            self._log.exception("share.not_migrated", link=link_id)
        else:
            self._log.info("share.migrated", link=link_id)

    async def forget(self, links: Sequence[Raw]) -> None:
        """Remove every entry of links. Without anybody who could, those that may have some are
        noted; links with ``isPublic`` have none."""
        access = self._services.find(ACCESS)
        if access is None:
            await self._store.note_orphans(
                [link["_id"] for link in links if "isPublic" not in link]
            )
        elif links:
            await access.forget(KIND, [str(link["_id"]) for link in links])

    async def tidy(self) -> None:
        """Remove the entries of links that were deleted while nobody could."""
        access = self._services.find(ACCESS)
        while access is not None and (ids := await self._store.orphans(_BATCH)):
            await access.forget(KIND, [str(link_id) for link_id in ids])
            await self._store.forget_orphans(ids)


def _says_public(link: Mapping[str, Any]) -> bool:
    """``True`` when the old field opens a link to everybody; LibreChat takes anything but false
    for that."""
    return "isPublic" in link and link["isPublic"] is not False
