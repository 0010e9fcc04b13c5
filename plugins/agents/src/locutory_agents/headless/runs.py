"""The service `AGENT_RUNS`: an agent does a task for a program (agents-api.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from locutory.access import Principal
from locutory_agents.headless.listener import Listener
from locutory_agents.headless.pairing import paired
from locutory_agents.jobs.store import Job
from locutory_agents.loop.agent import AGENTS_ENDPOINT, Agent
from locutory_agents.loop.budget import SYSTEM, Budget, window
from locutory_agents.loop.history import Item, Message, count_message
from locutory_agents.loop.instructions import added_context, with_variables
from locutory_agents.loop.run import AgentRun, Prompt
from locutory_agents.loop.tools import Toolbox, offered
from locutory_agents.turn.usage import Ledger
from locutory_agents.turn.workshop import Workshop
from locutory_contracts.agents import AgentEvent, AgentTask
from locutory_contracts.chat import Turn, TurnStarting, UsageReported
from locutory_contracts.models import Finished, ModelFailure, TokenCounter, Usage


class Runs:
    """Runs agents; ``workshop`` is there once the kernel has started."""

    def __init__(self, workshop: Callable[[], Workshop]) -> None:
        self._workshop = workshop

    async def run(self, principal: Principal, task: AgentTask) -> AsyncIterator[AgentEvent]:
        """See the contract."""
        shop = self._workshop()
        agent = await shop.opener.stored(task.agent, task.body, principal)
        listener = Listener(_job(principal, task), shop.config.answer_bytes)
        ledger = Ledger(show_cost=False)
        turn = _turn(principal, task, agent)
        run = await self._prepared(shop, agent, turn, task, listener, ledger)
        tokens = run.measure()
        work: asyncio.Task[None] | None = None
        try:
            await shop.events.ask(TurnStarting(turn, tokens, agent.model.prices))
            work = asyncio.create_task(run.run())
            work.add_done_callback(lambda _: listener.end())
            async for event in listener.events():
                yield event
            await work
            yield Finished(finish_reason(run.finish_reason))
            yield _sum(ledger)
        finally:
            listener.sealed = True
            if work is not None:
                work.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await work
            # Also without any usage: what was set aside for the run is free again.
            fact = UsageReported(turn, tuple(ledger.unpaid()), settles=True)
            shop.tasks.spawn(shop.events.tell(fact), "report usage")

    async def _prepared(
        self,
        shop: Workshop,
        agent: Agent,
        turn: Turn,
        task: AgentTask,
        listener: Listener,
        ledger: Ledger,
    ) -> AgentRun:
        tools, context = await asyncio.gather(
            offered(shop.services, turn, shop.log), added_context(shop.services, turn, shop.log)
        )
        tokens = shop.tokens
        instructions = with_variables(agent.instructions, task.body, turn.principal.account)
        said = [dict(message) for message in task.messages]
        system = [str(message.get("content") or "") for message in said if _is_system(message)]
        static = "\n\n".join(text for text in (instructions, *system) if text)
        history, current = _split(paired([m for m in said if not _is_system(m)]), tokens)
        if not current and not system:
            raise ModelFailure("There is no message to answer.", 400)
        budget = Budget(
            window=window(agent.model),
            system=tokens.count(static) + SYSTEM if static else 0,
            dynamic=tokens.count(context) if context else 0,
            tools=shop.tool_counts.count(tools, tokens),
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
        limits = shop.limits.of_agent(task.agent.get("recursion_limit"))
        box = Toolbox(tools, turn, limits.output_characters, shop.log)
        return AgentRun(
            agent, prompt, listener, box, budget, limits, ledger, steers=None, log=shop.log
        )


def _is_system(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "system"


def _split(messages: Sequence[Message], tokens: TokenCounter) -> tuple[list[Item], list[Message]]:
    """What may be left out when the prompt is too long, and what was asked last. A call of a
    tool and its result stay together."""
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


def finish_reason(told: str) -> str:
    """A provider's reason to stop as the contract of `AgentEvent` names it; ``stop`` for what
    it has no name for."""
    return _REASON_OF.get(told.lower(), "stop")


def _sum(ledger: Ledger) -> Usage:
    total = Usage()
    for used in ledger.all:
        total.input_tokens += used.input_tokens
        total.output_tokens += used.output_tokens
        total.cache_read += used.cache_read
        total.cache_creation += used.cache_creation
    total.total_tokens = total.input_tokens + total.output_tokens
    return total
