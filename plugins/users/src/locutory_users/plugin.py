"""The plugin: the data that signed-in users store and change about themselves."""

from collections.abc import Mapping
from typing import Any

from beanie import Document

from locutory import POLICY, Context, On, Plugin, Provide, Route, hook
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS, SECOND_FACTOR
from locutory_users.account_data import ToolData
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
    provides = (ACCOUNT_DATA,)
    wants = (ACCOUNTS, SECOND_FACTOR, POLICY)

    @hook
    def setup(self, ctx: Context[UsersConfig]) -> None:
        self._stars = ToolFavorites(ctx.database)
        self._keys = PluginKeys(ctx.database, ctx.credentials, _mapping(ctx.section("webSearch")))
        self._account_data = ToolData(self._stars, self._keys)

    @hook
    def documents(self) -> list[type[Document]]:
        return [ToolFavorite, PluginAuth]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNT_DATA, self._account_data, self.name)]

    @hook
    def subscriptions(self) -> list[On]:
        return account_events(self._account_data)

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
