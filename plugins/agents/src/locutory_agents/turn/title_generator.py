"""Titles of new conversations (chat-stream §12)."""

import asyncio
import re
from collections.abc import Mapping

from locutory import Cache, Services
from locutory.access import Principal
from locutory_agents.loop.answer import model_events
from locutory_agents.turn.usage import UsageLedger
from locutory_contracts.conversations import TITLE_NAMESPACE
from locutory_contracts.models import (
    CATALOGUE,
    ModelCall,
    PreparedModel,
    ReasoningEnded,
    TextDelta,
    Usage,
)

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


def wanted(model: PreparedModel, *, new: bool, temporary: bool | None, enabled: bool) -> bool:
    """True when this turn gives its conversation a title."""
    return enabled and new and not temporary and model.title.enabled


def clean(text: str) -> str:
    """A model's answer as a title: one line, no quotes, no reasoning."""
    for reasoning in (_REASONING, _UNOPENED, _UNCLOSED):
        text = reasoning.sub("", text)
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    first = _LABEL.sub("", lines[0]) if lines else ""
    return first.strip(" \t\"'`*“”«»")[:MAX_CHARACTERS].strip()


class TitleGenerator:
    """Makes titles, and caches them for the request that waits for them."""

    def __init__(self, services: Services, cache: Cache) -> None:
        self._services = services
        self._cache = cache

    async def make(
        self,
        model: PreparedModel,
        principal: Principal,
        conversation: str,
        headers: Mapping[str, str],
        ledger: UsageLedger,
    ) -> str:
        """A title for the text of a conversation; empty when the model gave none. ``headers``:
        the turn, as in `ModelCall.headers_context`. Raises what the provider raises,
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
