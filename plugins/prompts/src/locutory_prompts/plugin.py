"""Declaration of the plugin."""

from collections.abc import Iterable

from beanie import Document

from locutory import POLICY, Action, Context, On, PermissionGroup, Plugin, Provide, Route, hook
from locutory_contracts.access import ACCESS, AUTHORED, RESOURCE_KINDS
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS
from locutory_prompts.access_control import AccessControl
from locutory_prompts.account_data import PromptData
from locutory_prompts.account_deletion import OwnershipTransfer
from locutory_prompts.authored import AuthoredGroups
from locutory_prompts.config import PromptsConfig
from locutory_prompts.documents import PendingTransfer, Prompt, PromptGroup
from locutory_prompts.listing.lists import Lists
from locutory_prompts.resource_kind import KIND, PERMISSION, PromptGroupResource
from locutory_prompts.routes.groups import GroupRoutes
from locutory_prompts.routes.lists import ListRoutes
from locutory_prompts.routes.versions import VersionRoutes
from locutory_prompts.service import Prompts


class PromptsPlugin(Plugin):
    """Prompt groups and their versions."""

    name = "prompts"
    summary = "Prompts: groups of versions with categories, commands and sharing"
    Config = PromptsConfig
    provides = (AUTHORED, RESOURCE_KINDS, ACCOUNT_DATA)
    wants = (ACCESS, ACCOUNTS, POLICY)

    @hook
    def setup(self, ctx: Context[PromptsConfig]) -> None:
        self._prompts = Prompts(ctx.database, ctx.services, ctx.log)
        self._access_control = AccessControl(self._prompts, ctx.services, ctx.policy, ctx.log)
        ownership_transfer = OwnershipTransfer(self._prompts, ctx.database, ctx.services)
        self._account_data = PromptData(self._prompts, ctx.services, ownership_transfer)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [PromptGroup, Prompt, PendingTransfer]

    @hook
    def permissions(self) -> Iterable[PermissionGroup]:
        return [
            PermissionGroup(
                PERMISSION,
                {
                    "USE": Action(user=True, summary="See and insert prompts"),
                    "CREATE": Action(user=True, summary="Make, change and delete prompts"),
                    "SHARE": Action(user=False, summary="Share prompts with others"),
                    "SHARE_PUBLIC": Action(user=False, summary="Share prompts with everybody"),
                },
                "Prompts",
            )
        ]

    @hook
    def services(self, ctx: Context) -> Iterable[Provide]:
        return [
            Provide(RESOURCE_KINDS, PromptGroupResource(ctx.database), KIND),
            Provide(AUTHORED, AuthoredGroups(self._prompts), KIND),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> Iterable[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context[PromptsConfig]) -> Iterable[Route]:
        prompts, access_control = self._prompts, self._access_control
        return [
            *ListRoutes(Lists(prompts, access_control)).all(),
            *GroupRoutes(prompts, access_control, ctx.config.uses_per_minute).all(),
            *VersionRoutes(prompts, access_control).all(),
        ]
