"""Titles of new conversations (chat-stream §12)."""

import asyncio
import re
from collections.abc import Mapping

from structlog.stdlib import BoundLogger

from locutory import Cache, Principal, Services
from locutory_agents.loop.answer import model_events
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream.recorder import TurnRecorder
from locutory_agents.tasks import Tasks
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.writer import TurnWriter
from locutory_contracts.conversations import NO_PARENT, TITLE_NAMESPACE
from locutory_contracts.models import (
    CATALOGUE,
    ModelCall,
    PreparedModel,
    ReasoningEnded,
    TextDelta,
    Usage,
)

MOMENT = 0.3
"""Seconds that the end of an answer waits for its title."""

TITLE_SECONDS = 45.0
CACHE_SECONDS = 120.0
MAX_CHARACTERS = 100
MAX_INPUT = 8_000
MAX_OUTPUT = 20_000
"""Characters of an answer after which no title is awaited any more."""

PROMPT = (
    "Write a short title for the conversation below: five words at most, in the language of "
    "the conversation, in title case where that language has it, without quotation marks and "
    "without a full stop. Answer with the title and nothing else."
)

_REASONING = re.compile(r"<think(?:ing)?\b[^>]*>.*?</think(?:ing)?\s*>", re.IGNORECASE | re.DOTALL)
_UNOPENED = re.compile(r"^.*</think\s*>", re.IGNORECASE | re.DOTALL)
_UNCLOSED = re.compile(r"<think\b[^>]*>.*$", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"^\s*(?:#+\s*)?(?:title\s*:\s*)?", re.IGNORECASE)


def clean(text: str) -> str:
    """A model's answer as a title: one line, no quotes, no reasoning."""
    for reasoning in (_REASONING, _UNOPENED, _UNCLOSED):
        text = reasoning.sub("", text)
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    first = _LABEL.sub("", lines[0]) if lines else ""
    return first.strip(" \t\"'`*“”«»")[:MAX_CHARACTERS].strip()


class TitleGenerator:
    """Makes titles, and caches them for the request that waits for them. ``enabled``: conversations
    get titles."""

    def __init__(self, services: Services, cache: Cache, *, enabled: bool) -> None:
        self._services = services
        self._cache = cache
        self._enabled = enabled

    def wanted(self, model: PreparedModel, request: ChatRequest) -> bool:
        """True when the turn of this request gives its conversation a title."""
        return (
            self._enabled
            and request.new
            and not request.temporary
            and request.parent_id == NO_PARENT
            and model.title.enabled
        )

    async def make(
        self,
        model: PreparedModel,
        principal: Principal,
        conversation: str,
        headers: Mapping[str, str],
        ledger: UsageLedger,
    ) -> str:
        """A title for the text of a conversation; empty when the model gave none. ``headers``: the
        turn, as in `ModelCall.headers_context`. Raises the provider's exceptions, and
        `TimeoutError` after 45 s."""
        async with asyncio.timeout(TITLE_SECONDS):
            prepared = await self._prepared(model, principal)
            settings = model.title
            convo = conversation[:MAX_INPUT]
            prompt = settings.prompt or PROMPT
            template = settings.prompt_template
            if template and "{convo}" in template:
                prompt = f"{prompt}\n\n{template.replace('{convo}', convo)}"
            elif "{convo}" in prompt:
                prompt = prompt.replace("{convo}", convo)
            else:
                prompt = f"{prompt}\n\nConversation:\n{convo}"
            role = settings.message_role or "user"
            call = ModelCall([{"role": role, "content": prompt}], headers_context=headers)
            found = ""
            async with model_events(prepared.chat, call) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        found += event.text
                    elif isinstance(event, ReasoningEnded):
                        found = ""
                    elif isinstance(event, Usage):
                        ledger.add(prepared, event, "title")
                    if len(found) > MAX_OUTPUT:
                        break
            return clean(found)

    async def _prepared(self, model: PreparedModel, principal: Principal) -> PreparedModel:
        """The model for titles: the configured one, else the turn's own. It is asked for
        its answer in one piece, since nobody watches it being written."""
        settings = model.title
        name = settings.model if settings.model != "current_model" else None
        endpoint = settings.endpoint or model.endpoint
        body = {
            "endpoint": endpoint,
            "endpointType": model.endpoint_type if endpoint == model.endpoint else None,
            "model": name or model.model,
            "disableStreaming": True,
        }
        plain = {key: value for key, value in body.items() if value is not None}
        return await self._services.get(CATALOGUE).prepare(plain, principal, internal=True)

    async def cache_title(self, user: str, conversation_id: str, title: str) -> None:
        """Cache the title for the request that waits for it."""
        await self._cache.set(TITLE_NAMESPACE, f"{user}-{conversation_id}", title, CACHE_SECONDS)


class TurnTitle:
    """The title that one turn gives its conversation: made beside the answer, announced at
    once, saved in the end."""

    def __init__(
        self,
        generator: TitleGenerator,
        request: ChatRequest,
        principal: Principal,
        recorder: TurnRecorder,
        ledger: UsageLedger,
        tasks: Tasks,
        log: BoundLogger,
    ) -> None:
        self._generator = generator
        self._request = request
        self._principal = principal
        self._recorder = recorder
        self._ledger = ledger
        self._tasks = tasks
        self._log = log
        self._task: asyncio.Task[str] | None = None

    def begin(self, model: PreparedModel, timing: str, answer: str = "") -> None:
        """Start when it is time: ``immediate`` with the turn, ``final`` after it."""
        if (
            self._task is None
            and model.title.timing == timing
            and self._generator.wanted(model, self._request)
        ):
            text = f"User: {self._request.text}\nAI: {answer}".rstrip()
            self._task = self._tasks.spawn(self._make(model, text), "title")

    async def _make(self, model: PreparedModel, text: str) -> str:
        job = self._recorder.job
        try:
            title = await self._generator.make(
                model, self._principal, text, self._request.headers_context, self._ledger
            )
        except Exception as error:
            reason = type(error).__name__
            self._log.info("chat.title_failed", conversation=job.stream_id, reason=reason)
            return ""
        if title:
            await self._generator.cache_title(job.user, job.stream_id, title)
            self._recorder.title({"conversationId": job.stream_id, "title": title})
        return title

    async def wait(self) -> None:
        """Give a title that is being made a moment to come before the answer ends: the
        client then need not ask for it."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=MOMENT)

    def cancel(self) -> None:
        """The turn did not succeed: it gives no title."""
        if self._task is not None:
            self._task.cancel()

    async def save(self, writer: TurnWriter) -> None:
        """Wait for the title and save it; the conversation exists by now."""
        if self._task is None:
            return
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (title := self._task.result()):
            await writer.title(title)
