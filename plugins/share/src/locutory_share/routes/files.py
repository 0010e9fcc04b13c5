"""Files of a link (contract share §3). Types that a browser could execute are never shown
inline."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from structlog.stdlib import BoundLogger

from locutory import (
    AUTHENTICATORS,
    JSON,
    SYSTEM_TENANT,
    Empty,
    HTTPError,
    Principal,
    Request,
    Route,
    RouteGroup,
    Services,
    Text,
)
from locutory_contracts.files import (
    FILES,
    FileMissing,
    FileRecord,
    Files,
    NotReadable,
    OpenedFile,
)
from locutory_share.config import Settings
from locutory_share.links import WITHOUT_MESSAGES, LinkStore
from locutory_share.publisher import refusal
from locutory_share.routes import models
from locutory_share.routes.viewing import READERS, ViewerAccess
from locutory_share.serializer import LinkSerializer
from locutory_share.snapshots import Snapshot, Snapshots, entity_tag, is_unchanged

INLINE = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/jpg",
        "image/gif",
        "image/webp",
        "image/bmp",
        "image/avif",
        "image/x-icon",
        "application/pdf",
    }
)
"""Types that browsers show without running anything. No SVG, no HTML."""

BY_COOKIE = "cookie"
"""The entry of `AUTHENTICATORS` that knows the sender of a request by its cookies, since an
``<img>`` cannot send a header."""

_DIRECT = frozenset({"s3", "cloudfront"})
_OCTETS = "application/octet-stream"
_PREFIX = re.compile(r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}__")


class Stream(StreamingResponse):
    """A file on its way out, closed whatever becomes of the connection."""

    def __init__(self, opened: OpenedFile, headers: Mapping[str, str]) -> None:
        super().__init__(opened.chunks, headers=headers, media_type=headers["content-type"])
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._opened.close()


class FileRoutes:
    """Load a file of a link, or its preview."""

    def __init__(
        self,
        store: LinkStore,
        services: Services,
        settings: Settings,
        viewer_access: ViewerAccess,
        serializer: LinkSerializer,
        snapshots: Snapshots,
        log: BoundLogger,
        *,
        strict_tenants: bool,
    ) -> None:
        self._store = store
        self._services = services
        self._settings = settings
        self._viewer_access = viewer_access
        self._serializer = serializer
        self._snapshots = snapshots
        self._log = log
        self._strict = strict_tenants

    def all(self) -> list[Route]:
        """The routes."""
        refusals = {401: models.MESSAGE, 403: "The link is for others", 404: models.MESSAGE}
        streamed = {
            200: "The file",
            302: "A signed address, with direct=true",
            304: "Unchanged",
            501: "Not Implemented",
        }
        file = RouteGroup(
            "/api/share/{share_id}/files/{file_id}",
            access=READERS,
            failure={"message": "Error resolving shared file"},
            contract="share §3",
            responses=refusals,
        )
        return [
            file.get(
                "",
                self.show,
                "A file of a link, inline if it is a harmless image or PDF",
                query=models.FileQuery,
                responses=streamed,
            ),
            file.get(
                "/download",
                self.download,
                "Download a file of a link",
                query=models.FileQuery,
                responses=streamed,
            ),
            file.get(
                "/preview",
                self.preview,
                "The preview of a file of a link",
                responses={200: {"file_id": "…", "status": "ready"}},
            ),
        ]

    async def show(self, request: Request) -> Response:
        """The file, inline where that is safe."""
        return await self._stream(request, inline=True, failure="Error serving file")

    async def download(self, request: Request) -> Response:
        """The file as an attachment."""
        return await self._stream(request, inline=False, failure="Error downloading file")

    async def preview(self, request: Request) -> Response:
        """Status and text of the preview, as they are now."""
        files, owner, snapshot, _ = await self._resolve(request)
        try:
            found = await files.preview(owner, snapshot["file_id"])
        except Exception:
            self._log.exception("share.preview_failed")
            raise refusal(500, "Error fetching preview") from None
        if found is None:
            raise refusal(404, "File no longer available")
        body: dict[str, Any] = {"file_id": snapshot["file_id"], "status": found.status}
        if found.status == "ready" and found.text is not None:
            body |= {"text": found.text, "textFormat": found.text_format}
        elif found.status == "failed" and found.error:
            body["previewError"] = found.error
        return JSON(body, headers={"cache-control": "private, no-store"})

    async def _resolve(self, request: Request) -> tuple[Files, str, Snapshot, FileRecord]:
        """The service that keeps the file, its owner, its snapshot, and its record; 404 when the
        link does not serve it, or it is another file now."""
        viewer = request.principal or await self._by_cookie(request)
        link = await self._viewer_access.open(request, viewer, WITHOUT_MESSAGES)
        if self._settings.files_off:
            raise refusal(404, "Shared file access is disabled")
        snapshots: list[Snapshot] = []
        if self._serializer.shows_files(link):
            if "fileSnapshots" not in link:
                link = await self._store.by_id(link["_id"]) or link
                snapshots = await self._snapshots.fill_in(link, await self._serializer.shown(link))
            else:
                snapshots = link["fileSnapshots"] or []
        file_id = request.path_params["file_id"]
        snapshot = next((one for one in snapshots if one["file_id"] == file_id), None)
        if snapshot is None:
            raise refusal(404, "File not found in shared link")
        files, owner = self._services.find(FILES), str(link.get("user") or "")
        record = None if files is None else (await files.find(owner, [file_id])).get(file_id)
        if files is None or record is None or not is_unchanged(snapshot, record):
            raise refusal(404, "File no longer available")
        return files, owner, snapshot, record

    async def _by_cookie(self, request: Request) -> Principal | None:
        """The viewer by the cookies of their session, if a plugin here knows them."""
        authenticator = self._services.named(AUTHENTICATORS, BY_COOKIE)
        if authenticator is None or "cookie" not in request.headers:
            return None
        try:
            found = await authenticator.authenticate(request)
        except HTTPError:
            return None
        known = found.tenant != SYSTEM_TENANT and (found.tenant or not self._strict)
        return found if known else None

    async def _stream(self, request: Request, *, inline: bool, failure: str) -> Response:
        files, _, snapshot, record = await self._resolve(request)
        tag = entity_tag(snapshot)
        # The address stays when a link is published anew, so browsers have to ask each time.
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if _is_known(tag, request.headers.get("if-none-match", "")):
            return Empty(304, headers)
        name = _PREFIX.sub("", str(snapshot.get("filename") or "")) or "file"
        direct = (
            request.valid(models.FileQuery).direct == "true" and snapshot.get("source") in _DIRECT
        )
        if direct and (address := await self._address(files, record, name)):
            return RedirectResponse(address, 302, {"cache-control": "no-store"})
        kind = snapshot.get("type")
        inline = inline and kind in INLINE
        headers |= {
            "content-type": str(kind) if inline else _OCTETS,
            "content-disposition": disposition("inline" if inline else "attachment", name),
            "x-content-type-options": "nosniff",
        }
        if not inline:
            headers["content-security-policy"] = "default-src 'none'; sandbox"
        try:
            opened = await files.open(record)
        except FileMissing:
            raise refusal(404, "File no longer available") from None
        except NotReadable:
            return Text("Not Implemented", 501)
        except Exception:
            self._log.exception("share.file_not_opened")
            return Text(failure, 500)
        if opened.size is not None:
            headers["content-length"] = str(opened.size)
        if request.method == "HEAD":
            await opened.close()
            return Empty(200, headers)
        return Stream(opened, headers)

    async def _address(self, files: Files, record: FileRecord, name: str) -> str | None:
        try:
            return await files.address(record, name)
        except Exception:
            self._log.exception("share.file_not_signed")
            return None


def disposition(kind: str, name: str) -> str:
    """A ``Content-Disposition`` for any name (RFC 6266): in ASCII, and as it is."""
    plain = unicodedata.normalize("NFKD", name)
    ascii_name = "".join(
        char if " " <= char <= "~" and char not in '"\\' else "_" for char in plain
    )
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_known(tag: str, header: str) -> bool:
    """``True`` when ``If-None-Match`` names the tag."""
    tags = [item.strip().removeprefix("W/") for item in header.split(",")]
    return tag in tags or "*" in tags
