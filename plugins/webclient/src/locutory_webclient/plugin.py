"""Declaration of the plugin."""

from collections.abc import Iterable
from typing import ClassVar

from anyio import to_thread
from beanie import Document

from locutory import (
    PAGES,
    POLICY,
    Check,
    Context,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    StartupError,
    hook,
)
from locutory_contracts.offers import AGENT_CAPABILITIES
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_webclient.banners import Banners
from locutory_webclient.config import InterfaceDisplay, WebClientConfig
from locutory_webclient.documents import Banner
from locutory_webclient.off_answers import off_routes
from locutory_webclient.routes import ClientRoutes
from locutory_webclient.service import ClientPages, client_folder
from locutory_webclient.startup import Startup


class WebClientPlugin(Plugin):
    """A web client's files, its start-up configuration, and responses for features that are off."""

    name = "webclient"
    summary = "Serves a web client, its start-up configuration, and answers for what is off"
    Config = WebClientConfig
    sections: ClassVar = {"interface": InterfaceDisplay}
    reloads = ("interface", *WebClientConfig.model_fields)
    provides = (PAGES,)
    wants = (AGENT_CAPABILITIES, STARTUP_CONFIG, POLICY)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [Banner]

    @hook
    def setup(self, ctx: Context[WebClientConfig]) -> None:
        self._pages = ClientPages()
        self._startup = Startup(ctx)

    @hook
    def services(self) -> Iterable[Provide]:
        return [Provide(PAGES, self._pages)]

    @hook
    def routes(self, ctx: Context) -> Iterable[Route]:
        yield from ClientRoutes(self._startup, Banners(ctx.database), ctx.routes).all()
        yield from off_routes(ctx.permission_groups)

    @hook
    def phases(self, ctx: Context) -> Iterable[PhaseTask]:
        async def load() -> None:
            await to_thread.run_sync(self._pages.load, ctx)

        return [PhaseTask("routes", "files of the web client", load)]

    @hook
    def checks(self, ctx: Context) -> Iterable[Check]:
        async def installed() -> str | None:
            folder = client_folder(ctx)
            if (folder / "index.html").is_file():
                return None
            return (
                "no web client is installed: set CLIENT_DIST to the folder of its index.html, "
                f"or put its files into {folder}"
            )

        return [Check("web client installed", installed, advisory=True)]

    @hook
    def reload(self, ctx: Context) -> None:
        self._startup.configure(ctx)
        try:
            self._pages.load(ctx)
        except StartupError as error:
            ctx.log.error("webclient.not_reloaded", problem=str(error))
