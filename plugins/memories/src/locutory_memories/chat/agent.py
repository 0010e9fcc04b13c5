"""The memory agent: reads along beside an answer and keeps memories (contract memories §4)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import orjson
from structlog.stdlib import BoundLogger

from locutory import ConfigRef, Events, Services
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import ModelUsed, Turn, UsageReported
from locutory_contracts.models import (
    CATALOGUE,
    ModelCall,
    ModelFailure,
    ModelRefused,
    PreparedModel,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from locutory_memories.chat.excerpt import excerpt
from locutory_memories.chat.instructions import system_prompt
from locutory_memories.chat.memory_tools import MemoryTools, ToolResult, schemas
from locutory_memories.config import parameters_of
from locutory_memories.keys import Counter
from locutory_memories.memory_config import MemoryAgentConfig, MemoryConfig
from locutory_memories.permissions import MemoryPermissions
from locutory_memories.service import Memories, MemoryScope, scope_of

CALLS = 2
"""Model calls of a turn: the second receives the results of the first one's tool calls."""

MAX_TOOL_CALLS = 16
"""Tool calls of one answer that are run; a model that wants more has lost its way."""

Message = dict[str, Any]
Attach = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class _Call:
    """A tool call that is being received."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class _Answer:
    """The answer of the model."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    usage: Usage | None = None

    def add(self, delta: ToolCallDelta) -> None:
        call = self.calls.setdefault(delta.index, _Call())
        call.id = call.id or delta.id
        call.name = call.name or delta.name
        call.pieces.append(delta.arguments)

    def tool_calls(self) -> list[_Call]:
        """The tool calls of the answer, in order; each has an id."""
        found = [call for _, call in sorted(self.calls.items()) if call.name][:MAX_TOOL_CALLS]
        for call in found:
            call.id = call.id or f"call_{uuid4().hex[:24]}"
        return found


class MemoryAgent:
    """`locutory_contracts.chat.TurnCompanion`. Whatever goes wrong, nobody's answer suffers."""

    def __init__(
        self,
        config: ConfigRef[MemoryConfig],
        memories: Memories,
        permissions: MemoryPermissions,
        memory_tools: MemoryTools,
        counter: Counter,
        services: Services,
        events: Events,
        log: BoundLogger,
    ) -> None:
        self._config = config
        self._memories = memories
        self._permissions = permissions
        self._memory_tools = memory_tools
        self._counter = counter
        self._services = services
        self._events = events
        self._log = log
        self._last_warning = ""

    async def accompany(
        self, turn: Turn, messages: Sequence[Mapping[str, Any]], attach: Attach
    ) -> None:
        """Let the memory agent read the turn. Nothing of a temporary chat is stored."""
        config = self._config.current
        agent_config = config.agent
        if (
            agent_config is None
            or turn.temporary
            or not await self._permissions.in_chat(turn.principal)
        ):
            return
        chat_excerpt = excerpt(
            messages, agent_config.window, agent_config.input_tokens, self._counter
        )
        if not chat_excerpt:
            return
        try:
            async with asyncio.timeout(agent_config.seconds):
                opened = await self._open(agent_config, turn)
                if opened is not None:
                    await self._work(*opened, config, turn, chat_excerpt, attach)
        except ModelFailure as failure:
            self._log.info(
                "memories.agent_failed",
                conversation=turn.conversation_id,
                status=failure.status,
                reason=str(failure)[:200],
            )
        except TimeoutError:
            self._log.info("memories.agent_too_slow", conversation=turn.conversation_id)

    async def _open(
        self, agent_config: MemoryAgentConfig, turn: Turn
    ) -> tuple[PreparedModel, str | None] | None:
        """The agent's model and its own instructions; ``None`` when there is no such agent,
        or its model cannot be used, which is logged once."""
        catalogue = self._services.find(CATALOGUE)
        if catalogue is None:
            return None
        if agent_config.agent_id is not None:
            found = await self._stored(agent_config, agent_config.agent_id)
            if found is None:
                self._warn_once(f"there is no agent {agent_config.agent_id}")
                return None
            agent_config = found
        body = {
            **agent_config.parameters,
            "endpoint": agent_config.endpoint,
            "model": agent_config.model,
            "disableStreaming": True,  # nobody watches it being written
        }
        if agent_config.endpoint == turn.endpoint and turn.body.get("key") is not None:
            body["key"] = turn.body["key"]
        try:
            prepared = await catalogue.prepare(body, turn.principal, internal=True)
        except ModelRefused as refusal:
            self._warn_once(f"{agent_config.endpoint}, {agent_config.model}: {refusal.payload}")
            return None
        return prepared, agent_config.instructions

    async def _stored(
        self, agent_config: MemoryAgentConfig, agent_id: str
    ) -> MemoryAgentConfig | None:
        """The operator chose the agent: users need no right on it."""
        agents = self._services.find(STORED_AGENTS)
        agent = None if agents is None else await agents.find(agent_id)
        if agent is None:
            return None
        model, parameters = str(agent.get("model") or ""), agent.get("model_parameters")
        return replace(
            agent_config,
            endpoint=str(agent.get("provider") or ""),
            model=model,
            parameters=parameters_of(model, parameters if isinstance(parameters, Mapping) else {}),
            instructions=agent.get("instructions") or None,
        )

    def _warn_once(self, reason: str) -> None:
        say = self._log.debug if reason == self._last_warning else self._log.warning
        self._last_warning = reason
        say("memories.agent_unusable", reason=reason[:300])

    async def _work(
        self,
        model: PreparedModel,
        instructions: str | None,
        config: MemoryConfig,
        turn: Turn,
        chat_excerpt: str,
        attach: Attach,
    ) -> None:
        scope = scope_of(turn)
        stored = await self._memories.in_scope(scope)
        messages: list[Message] = [
            {
                "role": "system",
                "content": system_prompt(config, instructions, stored, self._counter),
            },
            {"role": "user", "content": chat_excerpt},
        ]
        for _ in range(CALLS):
            answer = await self._ask(model, config, turn, messages)
            calls = answer.tool_calls()
            if not calls:
                return
            messages.append(_repeated(answer, calls))
            for call in calls:  # one after another, so that the limit holds
                result = await self._run(call, scope)
                if result.attachment is not None:
                    attach({**result.attachment, "toolCallId": call.id})
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result.text})

    async def _ask(
        self, model: PreparedModel, config: MemoryConfig, turn: Turn, messages: Sequence[Message]
    ) -> _Answer:
        call = ModelCall(
            list(messages),
            tools=list(schemas(config).values()),
            headers_context={
                "conversationId": turn.conversation_id,
                "messageId": turn.response_message_id,
            },
        )
        answer, complete = _Answer(), False
        stream = model.chat.stream(call)
        try:
            async for event in stream:
                if isinstance(event, ToolCallDelta):
                    answer.add(event)
                elif isinstance(event, TextDelta):
                    answer.text.append(event.text)
                elif isinstance(event, Usage):
                    answer.usage = event
            complete = True
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
            if answer.usage is not None or complete:
                await self._report(model, turn, call, answer)
        return answer

    async def _report(
        self, model: PreparedModel, turn: Turn, call: ModelCall, answer: _Answer
    ) -> None:
        """Publish the usage of the call; it is counted here when the provider did not report it."""
        usage = answer.usage or self._counted(call, answer)
        used = ModelUsed(
            model=model.model,
            provider=model.provider,
            endpoint=model.endpoint,
            context="memory",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read=usage.cache_read,
            cache_creation=usage.cache_creation,
            prices=model.prices,
        )
        await self._events.publish(UsageReported(turn, [used]))

    def _counted(self, call: ModelCall, answer: _Answer) -> Usage:
        tools = [
            f"{tool.name} {tool.description} {orjson.dumps(dict(tool.parameters)).decode()}"
            for tool in call.tools
        ]
        prompt = [_plain(message) for message in call.messages] + tools
        written = [*answer.text, *(f"{one.name} {one.arguments}" for one in answer.calls.values())]
        count = self._counter.count
        return Usage(sum(map(count, prompt)), count("".join(written)))

    async def _run(self, call: _Call, scope: MemoryScope) -> ToolResult:
        try:
            arguments = orjson.loads(call.arguments or "{}")
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            return ToolResult("The arguments are not a JSON object.", failed=True)
        return await self._memory_tools.call(call.name, arguments, scope)


def _plain(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    return f"{message['content']} {orjson.dumps(calls).decode()}" if calls else message["content"]


def _repeated(answer: _Answer, calls: Sequence[_Call]) -> Message:
    """The model's own message, as the next call repeats it."""
    return {
        "role": "assistant",
        "content": "".join(answer.text),
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _valid(call.arguments)},
            }
            for call in calls
        ],
    }


def _valid(arguments: str) -> str:
    """Providers refuse a history with broken JSON."""
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return "{}"
    return arguments
