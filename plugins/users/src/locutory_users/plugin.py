"""The plugin: what a signed-in user keeps and changes about themselves."""

from collections.abc import Mapping
from typing import Any

from beanie import Document
from bson import ObjectId

from locutory import POLICY, Context, On, Plugin, Route, hook
from locutory_contracts.accounts import ACCOUNTS, SECOND_FACTOR, AccountDeleted
from locutory_users.config import UsersConfig
from locutory_users.documents import PluginAuth, ToolFavorite
from locutory_users.plugin_keys import PluginKeys
from locutory_users.routes import AccountRoutes, SettingsRoutes
from locutory_users.service import OwnAccount
from locutory_users.tool_favorites import ToolFavorites


class UsersPlugin(Plugin):
    """``/api/user``: profile, terms, preferences, tool keys, favourites, deletion."""

    name = "users"
    summary = "Profile, terms, preferences, tool keys, favourites, account deletion"
    Config = UsersConfig
    wants = (ACCOUNTS, SECOND_FACTOR, POLICY)

    @hook
    def setup(self, ctx: Context[UsersConfig]) -> None:
        self._stars = ToolFavorites(ctx.database)
        self._keys = PluginKeys(ctx.database, ctx.credentials, _mapping(ctx.section("webSearch")))

    @hook
    def documents(self) -> list[type[Document]]:
        return [ToolFavorite, PluginAuth]

    @hook
    def subscriptions(self) -> list[On]:
        async def erase(fact: AccountDeleted) -> None:
            if ObjectId.is_valid(fact.user_id):
                await self._stars.erase(fact.user_id)
                await self._keys.erase(fact.user_id)

        return [On(AccountDeleted, erase)]

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        agents = _mapping(_mapping(ctx.section("endpoints")).get("agents"))
        allowed = _mapping(agents.get("statefulCodeSessions")).get("allowedEnvironments")
        environments = allowed if isinstance(allowed, list) else None
        own = OwnAccount(ctx.services, ctx.config, self._keys, environments)
        return [*AccountRoutes(own).all(), *SettingsRoutes(own, self._stars).all()]


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of another plugin's section, which may have any form."""
    return value if isinstance(value, Mapping) else {}
