"""The service `AGENT_RUNS`: an agent does a task for a program (agents-api.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from locutory.access import Principal
from locutory_agents.headless.event_collector import EventCollector
from locutory_agents.headless.pairing import paired
from locutory_agents.jobs.store import Job
from locutory_agents.loop.agent import AGENTS_ENDPOINT, Agent
from locutory_agents.loop.budget import SYSTEM, Budget, window
from locutory_agents.loop.history import Item, Message, count_message
from locutory_agents.loop.instructions import added_context, with_variables
from locutory_agents.loop.run import AgentRun, Prompt
from locutory_agents.loop.tools import ToolRunner, offered
from locutory_agents.turn.runtime import TurnRuntime
from locutory_agents.turn.usage import UsageLedger
from locutory_contracts.agents import AgentEvent, AgentTask
from locutory_contracts.chat import Turn, TurnStarting, UsageReported
from locutory_contracts.models import Finished, ModelFailure, TokenCounter, Usage


class AgentRunner:
    """Runs agents; ``runtime`` is there once the kernel has started."""

    def __init__(self, runtime: Callable[[], TurnRuntime]) -> None:
        self._runtime = runtime

    async def run(self, principal: Principal, task: AgentTask) -> AsyncIterator[AgentEvent]:
        """See the contract."""
        runtime = self._runtime()
        agent = await runtime.resolver.resolve_stored(task.agent, task.body, principal)
        collector = EventCollector(_job(principal, task), runtime.config.answer_bytes)
        ledger = UsageLedger(show_cost=False)
        turn = _turn(principal, task, agent)
        run = await self._prepared(runtime, agent, turn, task, collector, ledger)
        tokens = run.measure()
        work: asyncio.Task[None] | None = None
        try:
            await runtime.events.ask(TurnStarting(turn, tokens, agent.model.prices))
            work = asyncio.create_task(run.run())
            work.add_done_callback(lambda _: collector.end())
            async for event in collector.events():
                yield event
            await work
            yield Finished(finish_reason(run.finish_reason))
            yield _sum(ledger)
        finally:
            collector.sealed = True
            if work is not None:
                work.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await work
            # Also without any usage: what was set aside for the run is free again.
            fact = UsageReported(turn, tuple(ledger.unpaid()), settles=True)
            runtime.tasks.spawn(runtime.events.tell(fact), "report usage")

    async def _prepared(
        self,
        runtime: TurnRuntime,
        agent: Agent,
        turn: Turn,
        task: AgentTask,
        collector: EventCollector,
        ledger: UsageLedger,
    ) -> AgentRun:
        tools, context = await asyncio.gather(
            offered(runtime.services, turn, runtime.log),
            added_context(runtime.services, turn, runtime.log),
        )
        tokens = runtime.tokens
        instructions = with_variables(agent.instructions, task.body, turn.principal.account)
        messages = [dict(message) for message in task.messages]
        system = [str(message.get("content") or "") for message in messages if _is_system(message)]
        static = "\n\n".join(text for text in (instructions, *system) if text)
        history, current = _split(paired([m for m in messages if not _is_system(m)]), tokens)
        if not current and not system:
            raise ModelFailure("There is no message to answer.", 400)
        budget = Budget(
            window=window(agent.model),
            system=tokens.count(static) + SYSTEM if static else 0,
            dynamic=tokens.count(context) if context else 0,
            tools=runtime.tool_counts.count(tools, tokens),
            tokens=tokens,
        )
        prompt = Prompt(
            system="\n\n".join(text for text in (static, context) if text),
            history=history,
            current=current,
            headers={
                "conversationId": task.conversation_id,
                "parentMessageId": "",
                "messageId": task.response_id,
            },
        )
        limits = runtime.limits.of_agent(task.agent.get("recursion_limit"))
        tool_runner = ToolRunner(tools, turn, limits.output_characters, runtime.log)
        return AgentRun(
            agent,
            prompt,
            collector,
            tool_runner,
            budget,
            limits,
            ledger,
            steers=None,
            log=runtime.log,
        )


def _is_system(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "system"


def _split(messages: Sequence[Message], tokens: TokenCounter) -> tuple[list[Item], list[Message]]:
    """The history, which may be left out when the prompt is too long, and the last message. A
    call of a tool and its result stay together."""
    groups: list[list[Message]] = []
    for message in messages:
        if message.get("role") == "tool" and groups:
            groups[-1].append(message)
        else:
            groups.append([message])
    current = groups.pop() if groups else []
    items = [
        Item(group, sum(count_message(tokens, m) for m in group), group[0].get("role") == "user")
        for group in groups
    ]
    return items, current


def _job(principal: Principal, task: AgentTask) -> Job:
    details = {"responseMessageId": task.response_id}
    return Job(task.conversation_id, principal.id, tenant=principal.tenant, details=details)


def _turn(principal: Principal, task: AgentTask, agent: Agent) -> Turn:
    nothing: Mapping[str, Any] = {}
    asked = next((m for m in reversed(task.messages) if m.get("role") == "user"), nothing)
    text = asked.get("content")
    return Turn(
        principal=principal,
        conversation_id=task.conversation_id,
        user_message_id="",
        response_message_id=task.response_id,
        endpoint=agent.model.endpoint,
        model=agent.model.model,
        text=text if isinstance(text, str) else "",
        body={**task.body, "endpoint": AGENTS_ENDPOINT},
        options={},
        temporary=True,
        agent=agent.stored,
    )


_REASONS = {
    "length": ("max_tokens", "max_output_tokens", "model_length", "token_limit"),
    "content_filter": ("safety", "refusal", "blocklist", "prohibited_content", "recitation"),
    "tool_calls": ("function_call", "tool_use"),
}
_REASON_OF = {word: reason for reason, words in _REASONS.items() for word in (reason, *words)}


def finish_reason(reason: str) -> str:
    """A provider's reason to stop as the contract of `AgentEvent` names it; ``stop`` for what
    it has no name for."""
    return _REASON_OF.get(reason.lower(), "stop")


def _sum(ledger: UsageLedger) -> Usage:
    total = Usage()
    for used in ledger.all:
        total.input_tokens += used.input_tokens
        total.output_tokens += used.output_tokens
        total.cache_read += used.cache_read
        total.cache_creation += used.cache_creation
    total.total_tokens = total.input_tokens + total.output_tokens
    return total
