"""Tests that every plugin must pass: subclass `PluginSuite` in the plugin's tests."""

import re
from pathlib import Path
from typing import ClassVar

from beanie import Document

from locutory import OptionalUser, Public
from locutory.plugins import discovery
from locutory.plugins.plugin import Plugin
from locutory_configfile import env_name
from locutory_contracts.accounts import AccountDeleted
from locutory_testing.server import Serve, SignIn

ACCOUNT_FIELDS = frozenset(
    (
        *("user", "userId", "author", "owner", "ownerId"),
        *("principalId", "memberIds", "grantedBy", "createdBy", "updatedBy"),
    )
)
"""Fields that hold the id of an account, or several, in the documents of all plugins and in those
that LibreChat has besides."""


def names_accounts(document: type[Document]) -> bool:
    """``True`` when a document class has a field that holds the id of an account."""
    fields = {field.alias or name for name, field in document.model_fields.items()}
    return bool(fields & ACCOUNT_FIELDS)


class PluginSuite:
    """Generic tests of one plugin; a subclass sets ``plugin`` to its name.

    ``readme`` is the plugin's README, checked to show its settings and routes.
    """

    plugin: ClassVar[str]
    readme: ClassVar[Path]

    def load(self) -> Plugin:
        return discovery.load(discovery.available(), [self.plugin])[0]

    async def test_boots_alone(self, serve: Serve) -> None:
        """The plugin starts with no other plugin on."""
        async with serve(self.plugin) as server:
            assert (await server.client.get("/readyz")).status_code == 200

    async def test_protected_routes_refuse_strangers(self, serve: Serve) -> None:
        """Every route that asks for a session answers 401 without one."""
        async with serve(self.plugin, SignIn()) as server:
            for owner, route in server.kernel.routes.all():
                if owner != self.plugin or isinstance(route.access, Public | OptionalUser):
                    continue
                path = route.path.replace("{", "").replace("}", "").replace(":path", "")
                for method in route.methods:
                    answer = await server.client.request(method, path)
                    assert answer.status_code == 401, f"{method} {route.path}"

    async def test_routes_are_documented(self, serve: Serve) -> None:
        """Every route has a summary, and its path is in the README as code."""
        words = self._code_words()
        async with serve(self.plugin) as server:
            for owner, route in server.kernel.routes.all():
                if owner == self.plugin and not route.fallback:
                    assert route.summary, route.path
                    assert route.path in words, f"`{route.path}` is not in {self.readme}"

    def test_settings_are_documented(self) -> None:
        """Every setting has a description, and is in the README as code."""
        plugin = self.load()
        words = self._code_words()
        for name, field in plugin.Config.model_fields.items():
            assert field.description, name
            shown = env_name(field) or name
            names = {shown, f"plugins.{self.plugin}.{name}"}
            assert names & words, f"`{shown}` is not in {self.readme}"

    async def test_account_data_is_erased(self, serve: Serve) -> None:
        """A plugin whose documents name accounts subscribes to their deletion: `AccountData`."""
        async with serve(self.plugin) as server:
            kernel = server.kernel
            documents = kernel.contributions.documents.get(self.plugin, [])
            naming = [document.__name__ for document in documents if names_accounts(document)]
            told = {owner for owner, _ in kernel.events.subscribers(AccountDeleted)}
            assert not naming or self.plugin in told, f"{naming} outlive the accounts they name"

    def _code_words(self) -> set[str]:
        """The words of the README's code spans and blocks; a path is one word, and a name with a
        value (``NAME=value``) counts without the value too."""
        found: set[str] = set()
        for span in re.findall(r"```.*?```|`[^`\n]+`", self.readme.read_text("utf-8"), re.DOTALL):
            for word in re.split(r"[\s,|]+", span.strip("`")):
                found.update((word, re.split("[=:]", word)[0]))
        return found
