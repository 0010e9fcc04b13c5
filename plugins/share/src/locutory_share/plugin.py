"""Declaration of the plugin."""

from collections.abc import Iterable
from typing import ClassVar

from beanie import Document

from locutory import (
    AUTHENTICATORS,
    POLICY,
    Action,
    Check,
    Context,
    On,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_contracts.access import ACCESS, RESOURCE_KINDS
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.conversations import (
    CONVERSATIONS,
    SHARED_CONVERSATIONS,
    ConversationsDeleted,
    MessagesDeleted,
)
from locutory_contracts.files import FILES
from locutory_contracts.models import CATALOGUE
from locutory_contracts.search import SEARCH
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_share.access_control import KIND, PERMISSIONS, AccessControl, LinkResource
from locutory_share.account_data import LinkData
from locutory_share.config import InterfaceLinks, Settings, ShareConfig
from locutory_share.documents import OrphanedLink, SharedLink
from locutory_share.forking import Forking
from locutory_share.links import LinkStore
from locutory_share.publisher import LinkPublisher
from locutory_share.routes.files import FileRoutes
from locutory_share.routes.managing import ManagingRoutes
from locutory_share.routes.viewing import ViewerAccess, ViewingRoutes, closed_routes
from locutory_share.serializer import LinkSerializer
from locutory_share.service import SharedLinks
from locutory_share.snapshots import Snapshots
from locutory_share.startup import ShareStartup


class SharePlugin(Plugin):
    """``/api/share``: links to conversations."""

    name = "share"
    summary = "Shared links: conversations that others may read and continue"
    Config = ShareConfig
    sections: ClassVar = {"interface": InterfaceLinks}
    reloads = (
        "interface",
        "public_links",
        "snapshot_files",
        "auto_migrate",
        "app_title",
        "analytics_gtm_id",
        "bundler_url",
        "static_bundler_url",
        "custom_footer",
    )
    provides = (SHARED_CONVERSATIONS, RESOURCE_KINDS, STARTUP_CONFIG, ACCOUNT_DATA)
    wants = (CONVERSATIONS, ACCESS, POLICY, AUTHENTICATORS, CATALOGUE, SEARCH, FILES)

    @hook
    def setup(self, ctx: Context[ShareConfig]) -> None:
        self._settings = Settings(ctx.config, ctx.section("interface"), ctx.environment)
        self._store = LinkStore(ctx.database)
        self._access_control = AccessControl(
            self._store, ctx.services, self._settings, ctx.policy, ctx.log
        )
        self._snapshots = Snapshots(self._store, ctx.services)
        self._serializer = LinkSerializer(ctx.services, self._snapshots, self._settings)
        self._links = SharedLinks(self._store, ctx.services, self._access_control, self._serializer)
        self._account_data = LinkData(self._links)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [SharedLink, OrphanedLink]

    @hook
    def permissions(self) -> Iterable[PermissionGroup]:
        return [
            PermissionGroup(
                PERMISSIONS,
                {
                    "CREATE": Action(True, summary="Make and renew links"),
                    "SHARE": Action(True, summary="Share links with people and groups"),
                    "SHARE_PUBLIC": Action(True, summary="Open links to everybody"),
                },
                "Links to conversations",
            )
        ]

    @hook
    def services(self) -> Iterable[Provide]:
        return [
            Provide(SHARED_CONVERSATIONS, self._links),
            Provide(RESOURCE_KINDS, LinkResource(self._store), KIND),
            Provide(STARTUP_CONFIG, ShareStartup(self._settings), "share"),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> Iterable[On]:
        return [
            On(ConversationsDeleted, self._links.conversations_deleted),
            On(MessagesDeleted, self._links.messages_deleted),
            *account_events(self._account_data),
        ]

    @hook
    def routes(self, ctx: Context) -> Iterable[Route]:
        publisher = LinkPublisher(
            self._store,
            ctx.services,
            self._settings,
            self._access_control,
            self._snapshots,
            ctx.log,
        )
        managing = ManagingRoutes(
            self._store, ctx.services, publisher, self._access_control, ctx.log
        )
        yield from managing.all()
        if not self._settings.enabled:
            yield from closed_routes()
            return
        viewer_access = ViewerAccess(self._store, self._access_control)
        forking = Forking(ctx.services, self._serializer, ctx.log)
        yield from ViewingRoutes(
            ctx.config, self._settings, viewer_access, self._serializer, forking
        ).all()
        yield from FileRoutes(
            self._store,
            ctx.services,
            self._settings,
            viewer_access,
            self._serializer,
            self._snapshots,
            ctx.log,
            strict_tenants=ctx.kernel.tenant_isolation_strict,
        ).all()

    @hook
    def phases(self) -> Iterable[PhaseTask]:
        return [
            PhaseTask("post-startup tasks", "entries of deleted links", self._access_control.tidy),
        ]

    @hook
    def checks(self) -> Iterable[Check]:
        return [Check("old shared links", self._access_control.old, self._access_control.migrate)]

    @hook
    def reload(self, ctx: Context) -> None:
        self._settings.configure(ctx.config, ctx.section("interface"), ctx.environment)
