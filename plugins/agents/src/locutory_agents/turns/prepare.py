"""From a request to runs that can start: agents, prompt, tools (chat-stream §4.1, §5, §10)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locutory import Principal, now
from locutory_agents.job import TurnRecord
from locutory_agents.loop.agent import Agent, side_by_side
from locutory_agents.loop.budget import window
from locutory_agents.loop.builder import Question
from locutory_agents.loop.history import PER_MESSAGE, assistant_messages, items
from locutory_agents.loop.run import AgentRun
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream.recorder import TurnRecorder
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.runtime import TurnRuntime
from locutory_agents.turns.steering import SteerQueue
from locutory_contracts.chat import Turn, TurnRefused
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT, Document

LOST_ANSWER = "The answer that was edited does not exist any more."


def new_record(request: ChatRequest) -> TurnRecord:
    """The record of a turn before its model is known."""
    return TurnRecord(
        conversation_id=request.conversation_id,
        started_at=now(),
        existing=request.existing,
        user_message=request.user_message()
        | {"endpoint": request.endpoint, "unfinished": False, "error": False},
        shown=request.shown(),
        response_message_id=request.response_id,
        endpoint=request.endpoint,
        conversation={"endpoint": request.endpoint},
        temporary=request.temporary,
    )


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


@dataclass(frozen=True, slots=True)
class PreparedTurn:
    """A turn whose model is open: the data for its runs, and their builder."""

    runtime: TurnRuntime
    request: ChatRequest
    principal: Principal
    agents: Sequence[Agent]
    prompt_tokens: int

    @classmethod
    async def of(
        cls,
        runtime: TurnRuntime,
        request: ChatRequest,
        principal: Principal,
        agent: Agent,
    ) -> "PreparedTurn":
        """The turn of a request whose agent is open; opens the second model where one was
        added. `ModelRefused` when that cannot be used."""
        agents = [agent]
        if (added := request.added) is not None:
            endpoint = str(added.get("endpoint") or "")
            second = await runtime.resolver.resolve(added, endpoint, principal)
            agents = side_by_side(agent, second)
        tokens = PER_MESSAGE + runtime.tokens.count(request.prompt)
        return cls(runtime, request, principal, agents, tokens)

    def fill(self, record: TurnRecord) -> None:
        """Complete a turn's record with the members that depend on its model."""
        agent = self.agents[0]
        record.user_message |= {"endpoint": agent.endpoint, "tokenCount": self.prompt_tokens}
        if len(self.agents) > 1:
            record.user_message["addedConvo"] = True
        record.endpoint = agent.endpoint
        record.model = agent.shown_model
        record.sender = agent.sender
        record.agent_id = agent.id
        record.conversation = conversation_fields(self.request, agent)
        if agent.icon_url:
            record.icon_url = agent.icon_url

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
        builder = self.runtime.runs
        branch, kept, *offers = await asyncio.gather(
            self.branch(), self.kept(), *(builder.offer(self.turn(agent)) for agent in self.agents)
        )
        if kept:
            recorder.job.record.kept = kept
            recorder.charge(kept)
        return [
            builder.build(
                agent,
                offer,
                self._question(agent, branch, kept),
                recorder,
                ledger,
                steers if agent is self.agents[0] else None,
            )
            for agent, offer in zip(self.agents, offers, strict=True)
        ]

    def _question(
        self, agent: Agent, branch: Sequence[Document], kept: Sequence[dict[str, Any]]
    ) -> Question:
        request = self.request
        return Question(
            history=items(branch, agent.id, self.runtime.tokens),
            current=[
                {"role": "user", "content": request.prompt},
                *assistant_messages(kept, agent.id),
            ],
            headers=request.headers_context,
        )
