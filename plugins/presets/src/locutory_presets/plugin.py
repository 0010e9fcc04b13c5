"""Declaration of the plugin."""

from beanie import Document

from locutory import Context, On, Plugin, Provide, Route, hook
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.portability import PORTABLE
from locutory_presets.config import PresetsConfig
from locutory_presets.documents import Preset
from locutory_presets.portable import KIND, PortablePresets
from locutory_presets.routes import PresetRoutes
from locutory_presets.service import Presets


class PresetsPlugin(Plugin):
    """``/api/presets``."""

    name = "presets"
    summary = "Presets: saved settings of a model, one of them the default"
    Config = PresetsConfig
    provides = (PORTABLE,)

    @hook
    def setup(self, ctx: Context[PresetsConfig]) -> None:
        self._presets = Presets(ctx.database, ctx.config)

    @hook
    def documents(self) -> list[type[Document]]:
        return [Preset]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(PORTABLE, PortablePresets(self._presets), KIND)]

    @hook
    def subscriptions(self) -> list[On]:
        async def account_deleted(fact: AccountDeleted) -> None:
            await self._presets.delete(fact.user_id)

        return [On(AccountDeleted, account_deleted)]

    @hook
    def routes(self) -> list[Route]:
        return PresetRoutes(self._presets).all()
