"""The service `AGENT_RUNS`: an agent does a task for a program (agents-api.md)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

from locutory import Events, Principal
from locutory_agents.headless.event_collector import EventCollector
from locutory_agents.headless.pairing import paired
from locutory_agents.job import Job, TurnRecord
from locutory_agents.loop.agent import AGENTS_ENDPOINT, Agent
from locutory_agents.loop.builder import Question, RunBuilder
from locutory_agents.loop.history import Item, Message, count_message
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.tasks import Tasks
from locutory_contracts.agents import AgentEvent, AgentTask
from locutory_contracts.chat import Turn, TurnStarting, UsageReported
from locutory_contracts.models import Finished, ModelFailure, TokenCounter, Usage


class AgentRunner:
    """Runs agents for programs. ``answer_bytes``: the maximum size of one run's answer."""

    def __init__(
        self,
        resolver: AgentResolver,
        runs: RunBuilder,
        events: Events,
        tasks: Tasks,
        answer_bytes: int,
    ) -> None:
        self._resolver = resolver
        self._runs = runs
        self._events = events
        self._tasks = tasks
        self._answer_bytes = answer_bytes

    async def run(self, principal: Principal, task: AgentTask) -> AsyncIterator[AgentEvent]:
        """Run the agent and yield its events as they come, see `AgentRuns.run`."""
        agent = await self._resolver.resolve_stored(task.agent, task.body, principal)
        collector = EventCollector(_job(principal, task), self._answer_bytes)
        ledger = UsageLedger(show_cost=False)
        turn = _turn(principal, task, agent)
        offer = await self._runs.offer(turn)
        run = self._runs.build(agent, offer, _question(task, self._runs.tokens), collector, ledger)
        tokens = run.measure()
        work: asyncio.Task[None] | None = None
        try:
            await self._events.check(TurnStarting(turn, tokens, agent.model.prices))
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
            self._tasks.spawn(self._events.publish(fact), "report usage")


def _question(task: AgentTask, tokens: TokenCounter) -> Question:
    """The question in the task's messages; `ModelFailure` when there is none."""
    messages = [dict(message) for message in task.messages]
    system = [str(message.get("content") or "") for message in messages if _is_system(message)]
    history, current = _split(paired([m for m in messages if not _is_system(m)]), tokens)
    if not current and not system:
        raise ModelFailure("There is no message to answer.", 400)
    headers = {
        "conversationId": task.conversation_id,
        "parentMessageId": "",
        "messageId": task.response_id,
    }
    return Question(history, current, headers, system)


def _is_system(message: Mapping[str, object]) -> bool:
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
    record = TurnRecord(response_message_id=task.response_id)
    return Job(task.conversation_id, principal.id, tenant=principal.tenant, record=record)


def _turn(principal: Principal, task: AgentTask, agent: Agent) -> Turn:
    asked = next((m for m in reversed(task.messages) if m.get("role") == "user"), None)
    text = None if asked is None else asked.get("content")
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
    """A provider's reason to stop in the names of the contract `AgentEvent`; ``stop`` for all
    others."""
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
