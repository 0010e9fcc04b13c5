"""Programs that do not wait for their answer (contract agents-api §4)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
import pytest
from bson import ObjectId

from locutory import Decision, On, Plugin, Provide, hook
from locutory.access import Principal
from locutory_contracts.access import VIEW
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import UsageReported
from locutory_contracts.models import CATALOGUE, ModelCall, ModelEvent, PreparedModel, TextDelta
from locutory_testing import Serve, SignIn
from locutory_testing.waiting import PATIENCE

AGENT = {"_id": ObjectId(), "id": "agent_slow", "name": "Slow", "provider": "Fake", "model": "f"}


class Slow(Plugin):
    """One account, one agent, and a model that says ``words`` words and then nothing."""

    name = "testslow"
    summary = "A slow model for tests"
    provides = (ACCOUNTS, STORED_AGENTS, CATALOGUE)

    def __init__(self, words: int) -> None:
        self.words = words
        self.asked, self.ended, self.told = (asyncio.Event() for _ in range(3))
        self.paid: list[UsageReported] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(key, self) for key in self.provides]

    @hook
    def subscriptions(self) -> list[On]:
        async def pay(fact: UsageReported) -> None:
            self.paid.append(fact)
            self.told.set()

        return [On(UsageReported, pay)]

    async def find(self, name: str) -> Mapping[str, Any]:
        return AGENT if name == AGENT["id"] else {"_id": ObjectId(name), "role": "ADMIN"}

    async def decide(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        return Decision(True, "test")

    async def reachable(self, principal: Principal) -> Sequence[Mapping[str, Any]]:
        return [AGENT]

    def spec(self, body: Mapping[str, Any]) -> str | None:
        return None

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        return PreparedModel("Fake", "custom", "f", "openAI", "Fake", self, {}, 32_000)

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        try:
            for _ in range(self.words):
                yield TextDelta("word ")
            self.asked.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@pytest.mark.parametrize("words", [0, 3], ids=["before the first word", "in the middle"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
async def test_hanging_up_ends_the_run(serve: Serve, path: str, stream: bool, words: int) -> None:
    slow = Slow(words)
    async with serve("agentsapi", "agents", SignIn(), slow) as server:
        session = {"authorization": f"Bearer {'a' * 24}:ADMIN"}
        made = await server.client.post("/api/api-keys", json={"name": "k"}, headers=session)
        body = {"model": AGENT["id"], "input": "hi", "stream": stream}
        body["messages"] = [{"role": "user", "content": "hi"}]
        async with server.connect(made.json()["key"]) as program:
            asking = asyncio.create_task(program.post(f"/api/agents/v1/{path}", json=body))
            await asyncio.wait_for(slow.asked.wait(), PATIENCE)
            assert not slow.ended.is_set()
            asking.cancel()
            with pytest.raises((asyncio.CancelledError, httpx2.HTTPError)):
                await asking
        await asyncio.wait_for(slow.ended.wait(), PATIENCE)
        if words:
            await asyncio.wait_for(slow.told.wait(), PATIENCE)
            (fact,) = slow.paid
            assert [used.context for used in fact.usage] == ["incomplete"]
