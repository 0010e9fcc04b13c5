"""Pydantic AI over both APIs."""

import functools
import warnings

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import AGENT, BASE, KEY, SUNNY, WEATHER, got, look, step

warnings.simplefilter("error", UserWarning)  # "Handling of this item type is not implemented"


class Shape(BaseModel):
    a: int


def both(function=None, **options):
    """A step for each API."""
    if function is None:
        return functools.partial(both, **options)
    for kind in (OpenAIChatModel, OpenAIResponsesModel):

        async def work(kind=kind):
            provider = OpenAIProvider(base_url=BASE, api_key=KEY)
            await function(functools.partial(kind, provider=provider))

        work.__name__ = f"{function.__name__} {kind.__name__}"
        step(work, **options)
    return function


async def streamed(agent, text):
    async with agent.run_stream(text) as result:
        return "".join([piece async for piece in result.stream_text(delta=True)])


@both
async def answers(model):
    agent = Agent(model(AGENT), instructions="Be kind.")
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        before = look()["requests"]
        result = await agent.run(text)
        assert result.output == wanted
        assert look()["requests"] - before == (2 if text == WEATHER else 1)
        assert await streamed(agent, text) == wanted
    assert got()[0] == ["system", "Be brief.\n\nBe kind."]


@both
async def tools_of_the_caller(model):
    agent = Agent(model(AGENT))

    @agent.tool_plain
    def mine(city: str) -> str:
        return city

    assert (await agent.run(WEATHER)).output == SUNNY


@both
async def shaped(model):
    for shape in (Shape, NativeOutput(Shape), PromptedOutput(Shape)):
        assert (await Agent(model(AGENT), output_type=shape).run('ECHO:{"a":1}')).output.a == 1


@both
async def a_second_turn(model):
    agent = Agent(model(AGENT))
    first = await agent.run("THINK:hm|hi")
    second = await agent.run("ECHO:two", message_history=first.all_messages())
    assert second.output == "two"
    assert [text for _, text in got()[1:]] == ["THINK:hm|hi", "hi", "ECHO:two"]


@both(raises=ModelHTTPError)
async def unknown_model(model):
    await Agent(model("gpt-9")).run("x")


@both(raises=ModelHTTPError)
async def a_failure(model):
    await Agent(model(AGENT)).run("FAIL:429")
