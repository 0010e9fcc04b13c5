"""``/api/convos/import`` and ``/api/convos/export`` (contract convos §2.9)."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse
from structlog.stdlib import BoundLogger

from locutory import JSON, Cache, Request, Route, RouteGroup, SignedIn, now
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.exporting.stream import CONTENT_TYPE, Exporter
from locutory_conversations.importing.importer import Importer, Outcome
from locutory_conversations.importing.progress import Progress, progress_of
from locutory_conversations.importing.running import RunningImports
from locutory_conversations.importing.size_limited_file import SizeLimitedFile
from locutory_conversations.importing.upload import (
    Upload,
    discard,
    receive,
    refusal,
    temporary_file,
)
from locutory_conversations.routes.limits import export_limits, import_limits

_IMPORTED = "Conversation(s) imported successfully"
_GOES_ON = "The import goes on; GET /api/convos/import/progress tells how far it is"
_REFUSAL = {"message": "What was wrong"}


class ImportForm(BaseModel):
    """A file to import."""

    file: bytes = Field(description="The export, as JSON or JSON Lines")


class PortabilityRoutes:
    """Taking data away and bringing it."""

    def __init__(
        self,
        config: ConversationsConfig,
        rate_limits: Any,
        importer: Importer,
        exporter: Exporter,
        cache: Cache,
        log: BoundLogger,
    ) -> None:
        self._config = config
        self._rate_limits = rate_limits
        self._importer = importer
        self._exporter = exporter
        self._cache = cache
        self._log = log
        self.running = RunningImports(config.import_answer_seconds, log)

    def all(self) -> list[Route]:
        """The routes."""
        convos = RouteGroup("/api/convos", access=SignedIn())
        return [
            convos.post(
                "/import",
                self.import_file,
                "Import conversations of a file: ChatGPT, Claude, DeepSeek, chatbot-ui, LibreChat, "
                "or an export of this server",
                raw_body=True,
                # A file is read while it comes, not as a model.
                body_schema=ImportForm,
                body_type="multipart/form-data",
                limits=import_limits(self._config, self._rate_limits),
                responses={
                    201: {"message": _IMPORTED},
                    202: {"message": _GOES_ON},
                    400: {"message": "Unsupported import type"},
                    409: _REFUSAL,
                    413: {"message": "File exceeds the maximum allowed size"},
                    415: {"message": "Only JSON files are allowed"},
                    429: _REFUSAL,
                },
                failure="Error processing file",
                contract="convos §2.9",
            ),
            convos.get(
                "/import/progress",
                self.progress,
                "How far the caller's import is",
                responses={
                    200: {
                        "state": "running",
                        "imported": 10,
                        "failed": 0,
                        "total_bytes": 4096,
                        "read_bytes": 1024,
                    },
                    404: _REFUSAL,
                },
            ),
            convos.get(
                "/export",
                self.export,
                "Everything of the caller as JSON Lines, which can be imported again",
                limits=export_limits(self._config),
                responses={200: "JSON Lines: {kind, …}", 429: _REFUSAL},
            ),
        ]

    async def import_file(self, request: Request) -> Response:
        """Import a file; answers when all of it is written, or 202 when that takes long."""
        user = request.caller.id
        if not self.running.begin(user):
            await discard(request)
            raise refusal(409, "Another import of yours is still running", close=True)
        file = temporary_file()
        try:
            upload = await receive(request, file, self._config.import_max_bytes)
        except BaseException:
            file.close()
            self.running.end(user)
            raise
        outcome = await self.running.run(self._run(request, upload))
        if outcome is None:
            return JSON({"message": _GOES_ON}, 202)
        if not outcome.problem:
            return JSON({"message": _IMPORTED}, 201)
        return JSON({"message": error_message(outcome)}, 400)

    async def _run(self, request: Request, upload: Upload) -> Outcome:
        try:
            largest = self._config.largest_conversation_bytes
            return await self._import(request, SizeLimitedFile(upload.file, upload.size, largest))
        finally:
            upload.file.close()
            self.running.end(request.caller.id)

    async def _import(self, request: Request, file: SizeLimitedFile) -> Outcome:
        user = request.caller.id
        progress = Progress(self._cache, user, file.size)
        self._log.info("conversations.import_started", user=user, bytes=file.size)
        problem = "The import was interrupted. Send the file again"
        await progress.update(0, 0, 0)  # what is known of the import before is over
        try:
            outcome = await self._importer.run(file, request.caller, progress)
            problem = error_message(outcome) if outcome.problem else ""
        finally:
            await progress.end(problem)
        self._log.info(
            "conversations.import_ended",
            user=user,
            imported=outcome.imported,
            failed=outcome.failed,
            known=outcome.known,
            unknown=outcome.unknown,
            broken=outcome.broken,
        )
        return outcome

    async def progress(self, request: Request) -> Response:
        """The state of the last import."""
        found = await progress_of(self._cache, request.caller.id)
        if found is None:
            raise refusal(404, "No import was started lately")
        return JSON(found)

    async def export(self, request: Request) -> Response:
        """The stream of the caller's records."""
        # Not .jsonl: the client's dialog for an import offers files named .json only.
        name = f"locutory-export-{now():%Y-%m-%d}.json"
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
        }
        return StreamingResponse(
            self._exporter.lines(request.caller.id), headers=headers, media_type=CONTENT_TYPE
        )


def error_message(outcome: Outcome) -> str:
    """The error, and the number of imported conversations in spite of it."""
    if not outcome.imported:
        if outcome.broken or outcome.failed == 0:
            return f"{outcome.problem}. Nothing was imported."
        return f"Nothing was imported: {outcome.problem}."
    done = f"{outcome.imported} imported"
    if outcome.broken:
        return f"{outcome.problem}. {done} before that."
    return f"{done}, {outcome.failed} left out: {outcome.problem}."
