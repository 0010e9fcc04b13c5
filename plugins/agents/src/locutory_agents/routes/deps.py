"""Services and checks that the routes of this plugin share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Cache, Events, LimitExceeded, Principal, Request, Services
from locutory_agents.checks.idempotency import IdempotencyKeys
from locutory_agents.checks.limits import MessageLimits
from locutory_agents.checks.moderation import Moderation
from locutory_agents.checks.permissions import TurnPermissions
from locutory_agents.checks.pii import PiiFilter, texts_of
from locutory_agents.config import AgentsConfig
from locutory_agents.job import Job
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.routes import refusal_stream
from locutory_agents.stream.protocol import requested
from locutory_agents.stream.sse import Heartbeat
from locutory_agents.turns.control import TurnControl
from locutory_agents.turns.steering import PendingSteers
from locutory_agents.turns.turn_manager import TurnManager

STARTING = "Server is still starting. Please retry shortly."


@dataclass(frozen=True, slots=True)
class RouteDeps:
    """Services and checks that the routes use."""

    turns: TurnManager
    control: TurnControl
    pending_steers: PendingSteers
    resolver: AgentResolver
    config: AgentsConfig
    services: Services
    events: Events
    cache: Cache
    log: BoundLogger
    permissions: TurnPermissions
    limits: MessageLimits
    pii: PiiFilter
    moderation: Moderation
    idempotency: IdempotencyKeys
    heartbeat: Heartbeat
    is_ready: Callable[[], bool]

    @property
    def newest(self) -> int:
        """The newest protocol version that this server speaks."""
        chosen = self.config.protocol_version
        return int(chosen) if chosen else self.turns.store.protocol

    def version(self, request: Request, job: Job | None = None) -> int:
        """The version of an answer: about a job the one it was made with, at most."""
        return min(requested(request), self.newest if job is None else job.protocol)

    async def ready(self, request: Request) -> Response | None:
        """Gate of the POST routes: 503 while the server starts or stops (kernel §5)."""
        if self.is_ready() and not self.turns.draining:
            return None
        body = {"code": "SERVER_NOT_READY", "error": STARTING}
        return JSON(body, 503, {"retry-after": "1"})

    async def limited(self, request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
        """Answer within the message limits; beyond them with a refusal stream."""
        headers: dict[str, str] = {}
        exceeded = await self.limits.check(request, headers)
        if exceeded is None:
            response = await work()
        else:
            response = _refused(request, orjson.dumps(exceeded.body).decode())
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def filtered(self, request: Request) -> Response | None:
        """The refusal of the caller's text (secrets, or text that moderation flags); ``None`` when
        it may pass."""
        texts = texts_of(request.fields)
        blocked: Response | None = self.pii.refusal(texts)
        if blocked is not None:
            return blocked
        flagged = await self.moderation.refusal(texts)
        return None if flagged is None else _refused(request, flagged)

    async def violation(self, request: Request, kind: str, score: float) -> None:
        """Publish a violation, for plugins that count them."""
        await self.events.publish(LimitExceeded(kind, kind, score, request.caller.id, request.ip))


def _refused(request: Request, text: str) -> Response:
    return refusal_stream.stream(*refusal_stream.messages(request.fields, text))


def may_see(job: Job, principal: Principal) -> bool:
    """True for the owner of a job, within their tenant."""
    return job.user == principal.id and job.tenant in (None, principal.tenant)


def text_of(body: Mapping[str, Any], name: str, max_length: int = 512) -> str | None:
    """A member that is a text of reasonable length; ``None`` for anything else."""
    value = body.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= max_length else None
