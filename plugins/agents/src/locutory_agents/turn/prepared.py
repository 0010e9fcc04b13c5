"""From a request to runs that can start: agents, prompt, tools (chat-stream §4.1, §5, §10)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locutory import now
from locutory.access import Principal
from locutory_agents.jobs.store import Job
from locutory_agents.loop.agent import Agent, side_by_side
from locutory_agents.loop.budget import SYSTEM, Budget, window
from locutory_agents.loop.history import (
    PER_MESSAGE,
    Message,
    assistant_messages,
    items,
)
from locutory_agents.loop.instructions import added_context, with_variables
from locutory_agents.loop.run import AgentRun, Prompt
from locutory_agents.loop.tools import ToolRunner, offered
from locutory_agents.turn.recorder import TurnRecorder
from locutory_agents.turn.request import ChatRequest
from locutory_agents.turn.runtime import TurnRuntime
from locutory_agents.turn.steering import SteerQueue
from locutory_agents.turn.usage import UsageLedger
from locutory_contracts.chat import Tool, Turn, TurnRefused
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT, Document

LOST_ANSWER = "The answer that was edited does not exist any more."


def first_details(request: ChatRequest) -> dict[str, Any]:
    """A job's details before its model is known."""
    details: dict[str, Any] = {
        "conversationId": request.conversation_id,
        "startedAt": now().isoformat(),
        "existing": request.existing,
        "userMessage": request.user_message()
        | {"endpoint": request.endpoint, "unfinished": False, "error": False},
        "shown": request.shown(),
        "responseMessageId": request.response_id,
        "endpoint": request.endpoint,
        "conversation": {"endpoint": request.endpoint},
    }
    if request.temporary is not None:
        details["temporary"] = request.temporary
    return details


def conversation_fields(request: ChatRequest, agent: Agent) -> dict[str, Any]:
    """The settings that the conversation keeps."""
    model = agent.model
    fields: dict[str, Any] = {
        "resendFiles": True,
        **(model.settings if agent.stored is None else {}),
        "endpoint": agent.endpoint,
        "endpointType": model.endpoint_type if agent.stored is None else None,
        "model": model.model if agent.stored is None else None,
        "agent_id": agent.id,
        "maxContextTokens": window(model),
        "spec": model.spec,
        "iconURL": agent.icon_url,
    }
    project = request.body.get("chatProjectId")
    if isinstance(project, str) and project:
        fields.setdefault("chatProjectId", project)
    return {key: value for key, value in fields.items() if value is not None}


def fill_details(
    job: Job, request: ChatRequest, agents: Sequence[Agent], prompt_tokens: int
) -> None:
    """Fill in a job's details once its model is known."""
    agent = agents[0]
    details = job.details
    details["userMessage"]["endpoint"] = agent.endpoint
    details["userMessage"]["tokenCount"] = prompt_tokens
    if len(agents) > 1:
        details["userMessage"]["addedConvo"] = True
    details |= {
        "endpoint": agent.endpoint,
        "model": agent.shown_model,
        "sender": agent.sender,
        "agentId": agent.id,
        "conversation": conversation_fields(request, agent),
    }
    if agent.icon_url:
        details["iconURL"] = agent.icon_url


@dataclass(frozen=True, slots=True)
class PreparedTurn:
    """A turn whose model is open: what runs need, and how to build them."""

    runtime: TurnRuntime
    request: ChatRequest
    principal: Principal
    agents: Sequence[Agent]
    prompt_tokens: int

    @classmethod
    async def make(
        cls,
        runtime: TurnRuntime,
        request: ChatRequest,
        principal: Principal,
        agent: Agent,
    ) -> "PreparedTurn":
        """`ModelRefused` when the added model cannot be used."""
        agents = [agent]
        if (added := request.added) is not None:
            endpoint = str(added.get("endpoint") or "")
            second = await runtime.resolver.resolve(added, endpoint, principal)
            agents = side_by_side(agent, second)
        tokens = PER_MESSAGE + runtime.tokens.count(request.prompt)
        return cls(runtime, request, principal, agents, tokens)

    def turn(self, agent: Agent) -> Turn:
        """The turn as extensions see it."""
        request = self.request
        options = dict(request.options)
        for name, value in agent.model.spec_tools.items():
            if value and not options.get(name):
                options[name] = value
        return Turn(
            principal=self.principal,
            conversation_id=request.conversation_id,
            user_message_id=request.user_message_id,
            response_message_id=request.response_id,
            endpoint=agent.model.endpoint,
            model=agent.model.model,
            text=request.text,
            body=request.body,
            options=options,
            temporary=request.temporary is True,
            agent=agent.stored,
        )

    async def branch(self) -> list[Document]:
        """The stored messages before this one, root first."""
        request = self.request
        history = self.runtime.services.find(CONVERSATIONS)
        if history is None or request.new or request.parent_id == NO_PARENT:
            return []
        return await history.branch(self.principal.id, request.conversation_id, request.parent_id)

    async def kept(self) -> list[dict[str, Any]]:
        """The parts of an edited answer that stay, the edited one last."""
        request = self.request
        history = self.runtime.services.find(CONVERSATIONS)
        if request.edit is None or request.edited_id is None or history is None:
            return []
        document = await history.message(self.principal.id, request.edited_id)
        if document is None or document.get("conversationId") != request.conversation_id:
            raise TurnRefused(LOST_ANSWER)
        content = document.get("content")
        parts = content if isinstance(content, list) and content else [{"type": "text"}]
        edit = request.edit
        if edit.index >= len(parts):
            raise TurnRefused(LOST_ANSWER)
        before = [dict(part) for part in parts[: edit.index] if isinstance(part, Mapping)]
        old = parts[edit.index] if isinstance(parts[edit.index], Mapping) else {}
        return [*before, {**old, "type": edit.kind, edit.kind: edit.text}]

    async def runs(
        self, recorder: TurnRecorder, ledger: UsageLedger, steers: SteerQueue
    ) -> list[AgentRun]:
        """One run an agent. History, tools and added context are fetched side by side."""
        branch, kept, *offers = await asyncio.gather(
            self.branch(), self.kept(), *(self._offer(agent) for agent in self.agents)
        )
        if kept:
            recorder.job.details["kept"] = kept
            recorder.charge(kept)
        built = []
        for number, (agent, offer) in enumerate(zip(self.agents, offers, strict=True)):
            built.append(
                self._run(
                    agent, offer, branch, kept, recorder, ledger, steers if number == 0 else None
                )
            )
        return built

    async def _offer(self, agent: Agent) -> tuple[Turn, list[Tool], str]:
        turn = self.turn(agent)
        services, log = self.runtime.services, self.runtime.log
        tools, context = await asyncio.gather(
            offered(services, turn, log), added_context(services, turn, log)
        )
        return turn, tools, context

    def _run(
        self,
        agent: Agent,
        offer: tuple[Turn, list[Tool], str],
        branch: Sequence[Document],
        kept: Sequence[dict[str, Any]],
        recorder: TurnRecorder,
        ledger: UsageLedger,
        steers: SteerQueue | None,
    ) -> AgentRun:
        turn, tools, context = offer
        runtime, request = self.runtime, self.request
        tokens, limits = runtime.tokens, runtime.limits
        if agent.stored is not None:
            limits = limits.of_agent(agent.stored.get("recursion_limit"))
        instructions = with_variables(agent.instructions, request.body, self.principal.account)
        budget = Budget(
            window=window(agent.model),
            system=tokens.count(instructions) + SYSTEM if instructions else 0,
            dynamic=tokens.count(context) if context else 0,
            tools=runtime.tool_counts.count(tools, tokens),
            tokens=tokens,
        )
        current: list[Message] = [{"role": "user", "content": request.prompt}]
        current += assistant_messages(kept, agent.id)
        prompt = Prompt(
            system="\n\n".join(text for text in (instructions, context) if text),
            history=items(branch, agent.id, tokens),
            current=current,
            headers=request.headers_context,
        )
        return AgentRun(
            agent,
            prompt,
            recorder,
            ToolRunner(tools, turn, limits.output_characters, runtime.log),
            budget,
            limits,
            ledger,
            steers,
            runtime.log,
        )
