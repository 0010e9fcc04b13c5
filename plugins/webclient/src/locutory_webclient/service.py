"""Everything outside ``/api``: the client's files, its page, or the landing page."""

import re
from pathlib import Path

from starlette.responses import Response

from locutory import Context, Empty, Problem, Request, StartupError, __version__
from locutory_webclient.config import WebClientConfig
from locutory_webclient.files import Delivery, FileServer, scan
from locutory_webclient.index import IndexPage, base_path
from locutory_webclient.landing import LandingPage

# A missing asset must not be answered with a page: a tab of an older build notices by the
# 404 that its chunks are gone, and caches are not poisoned (contract kernel §7.2).
_ASSET = re.compile(
    r"\.(?:js|mjs|css|map|json|wasm|webmanifest|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot)",
    re.IGNORECASE,
)


def is_asset(path: str) -> bool:
    """``True`` when the path ends in the suffix of a static asset."""
    dot = path.rfind(".")
    return dot != -1 and _ASSET.fullmatch(path, dot) is not None


def _unusable(folder: Path, text: str) -> StartupError:
    return StartupError(
        Problem(
            "CLIENT_DIST",
            f"{folder} {text}",
            "build the client there, or unset CLIENT_DIST",
            "webclient",
        )
    )


def _roots(folder: Path) -> list[Path]:
    """The built client; in a checkout of LibreChat also its public fonts and assets."""
    if folder.name != "dist":
        return [folder]
    public = folder.parent / "public"
    return [
        folder,
        *(part for part in (public / "fonts", public / "assets") if part.is_dir()),
    ]


def _delivery(ctx: Context[WebClientConfig]) -> Delivery:
    config = ctx.config
    production = ctx.kernel.node_env.lower() == "production"
    return Delivery(
        max_age=config.static_cache_max_age if production else None,
        s_max_age=config.static_cache_s_max_age,
        brotli=config.brotli,
        compress=not ctx.kernel.disable_compression,
    )


def client_folder(ctx: Context) -> Path:
    """The folder of the built client: CLIENT_DIST, else ``client`` in the data folder."""
    chosen: Path | None = ctx.config.client_dist
    return (chosen or ctx.data_dir / "client").expanduser().absolute()


def _active(ctx: Context) -> tuple[str, ...]:
    """Plugins that offer something here, sorted."""
    owners = {owner for _, _, owner in ctx.services.offers()}
    owners |= {owner for owner, _ in ctx.routes.all()}
    return tuple(sorted(owners - {"kernel"}))


class ClientPages:
    """Implements `locutory.http.fallback.Pages`. Answers 404 until `load` has read the client."""

    def __init__(self) -> None:
        self._files = FileServer({})
        self._index: IndexPage | None = None
        self._landing: LandingPage | None = None

    def load(self, ctx: Context) -> None:
        """Read the client's folder; when that fails, the files read before are kept. `StartupError`
        when CLIENT_DIST has no client. Without CLIENT_DIST a missing client is replaced by the
        landing page."""
        config: WebClientConfig = ctx.config
        folder = client_folder(ctx)
        base = base_path(ctx.kernel.domain_client)
        try:
            html = (folder / "index.html").read_text("utf-8")
        except FileNotFoundError:
            if config.client_dist is not None:
                raise _unusable(folder, "has no index.html") from None
            ctx.log.info("webclient.not_installed", folder=str(folder))
            self._files, self._index = FileServer({}), None
            self._landing = LandingPage(
                version=__version__,
                plugins=_active(ctx),
                base=base,
                described=ctx.routes.match("GET", "/api/docs") is not None,
            )
            return
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(folder, f"has no readable index.html: {error}") from None
        table = scan(_roots(folder), _delivery(ctx))
        table.pop("/index.html", None)
        headers = {
            "cache-control": config.index_cache_control,
            "pragma": config.index_pragma,
            "expires": config.index_expires,
        }
        self._files, self._index = FileServer(table), IndexPage(html, base, headers)
        self._landing = None
        ctx.log.info("webclient.loaded", folder=str(folder), files=len(table))

    async def serve(self, request: Request) -> Response:
        """Files for GET and HEAD; 404 for assets that are not there; else the page."""
        path: str = request.scope["path"]
        if request.method in ("GET", "HEAD"):
            file = self._files.table.get(path)
            response = None if file is None else await self._files.serve(request, file)
            if response is not None:
                return response
        small = None if self._landing is None else self._landing.small(path)
        if small is not None:
            return small
        if is_asset(path):
            return Empty(404)
        if self._index is not None:
            return self._index.respond(request)
        if self._landing is None:
            return Empty(404)
        if path == "/":
            return self._landing.home(request)
        return self._landing.missing(request, path)
