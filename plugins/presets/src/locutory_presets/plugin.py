"""Declaration of the plugin."""

from beanie import Document

from locutory import Context, On, Plugin, Provide, Route, hook
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_presets.account_data import PresetData
from locutory_presets.config import PresetsConfig
from locutory_presets.documents import Preset
from locutory_presets.routes import PresetRoutes
from locutory_presets.service import Presets


class PresetsPlugin(Plugin):
    """``/api/presets``."""

    name = "presets"
    summary = "Presets: saved settings of a model, one of them the default"
    Config = PresetsConfig
    provides = (ACCOUNT_DATA,)

    @hook
    def setup(self, ctx: Context[PresetsConfig]) -> None:
        self._presets = Presets(ctx.database, ctx.config)
        self._account_data = PresetData(self._presets)

    @hook
    def documents(self) -> list[type[Document]]:
        return [Preset]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNT_DATA, self._account_data, self.name)]

    @hook
    def subscriptions(self) -> list[On]:
        return account_events(self._account_data)

    @hook
    def routes(self) -> list[Route]:
        return PresetRoutes(self._presets).all()
