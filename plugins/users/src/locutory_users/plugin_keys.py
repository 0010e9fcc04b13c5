"""Secrets that users give for tools and MCP servers (contract user §6)."""

import re
from collections.abc import Mapping
from typing import Any

from locutory import Credentials, Database, Principal, now
from locutory_users.documents import PluginAuth

WEB_SEARCH = "web_search"
MCP_PREFIX = "mcp_"
MCP_DELIMITER = "_mcp_"

_REFERENCE = re.compile(r"\$\{(\w+)\}")
# Each names, unless the configuration file says otherwise, the variable of its own name in
# capitals (config-yaml §7).
_WEB_SEARCH_SETTINGS = (
    "serperApiKey",
    "searxngInstanceUrl",
    "searxngApiKey",
    "tavilyApiKey",
    "tavilySearchUrl",
    "tavilyExtractUrl",
    "firecrawlApiKey",
    "firecrawlApiUrl",
    "firecrawlVersion",
    "jinaApiKey",
    "jinaApiUrl",
    "cohereApiKey",
)


def is_mcp(plugin_key: str) -> bool:
    """``True`` when the key belongs to an MCP server."""
    return plugin_key.startswith(MCP_PREFIX) or MCP_DELIMITER in plugin_key


def web_search_fields(section: Mapping[str, Any]) -> dict[str, str]:
    """Setting of web search → name under which a user's own value is stored: the variable
    that the setting refers to. Settings with a literal value have none."""
    fields: dict[str, str] = {}
    for setting in _WEB_SEARCH_SETTINGS:
        capitals = re.sub(r"(?=[A-Z])", "_", setting).upper()
        value = section.get(setting)
        reference = _REFERENCE.fullmatch(f"${{{capitals}}}" if value is None else str(value))
        if reference is not None:
            fields[setting] = reference[1]
    return fields


class PluginKeys:
    """The secrets of all users, encrypted in the database.

    Args:
        web_search: the section ``webSearch`` of the configuration file.
    """

    def __init__(
        self, database: Database, credentials: Credentials, web_search: Mapping[str, Any]
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._web_search = web_search_fields(web_search)

    async def install(
        self, principal: Principal, plugin_key: str, secrets: Mapping[str, str]
    ) -> None:
        """Store secrets by field. Fields of web search are translated, unknown ones dropped."""
        if plugin_key == WEB_SEARCH:
            names = self._web_search
            secrets = {names[field]: secrets[field] for field in secrets if field in names}
        for field, secret in secrets.items():
            await self._store(principal, plugin_key, field, secret)

    async def _store(self, principal: Principal, plugin_key: str, field: str, secret: str) -> None:
        moment = now()
        inserted: dict[str, Any] = {"createdAt": moment, "__v": 0}
        if principal.tenant is not None:
            inserted["tenantId"] = principal.tenant
        await self._database[PluginAuth].update_one(
            {"userId": principal.id, "authField": field, "pluginKey": plugin_key},
            {
                "$set": {"value": self._credentials.encrypt_v1(secret), "updatedAt": moment},
                "$setOnInsert": inserted,
            },
            upsert=True,
        )

    async def uninstall(
        self, principal: Principal, plugin_key: str, fields: Mapping[str, Any]
    ) -> None:
        """Remove secrets: of web search and of an MCP server without ``fields`` all; else
        those fields, of whatever plugin they were given for."""
        stored = self._database[PluginAuth]
        if is_mcp(plugin_key) and not fields:
            await stored.delete_many({"userId": principal.id, "pluginKey": plugin_key})
            return
        names = self._web_search.values() if plugin_key == WEB_SEARCH else fields
        for name in names:
            await stored.delete_many({"userId": principal.id, "authField": name})

    async def erase(self, user_id: str) -> None:
        """Remove every secret of a user."""
        await self._database[PluginAuth].delete_many({"userId": user_id})
