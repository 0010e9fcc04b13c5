"""OpenAI's Agents SDK for Python, over both APIs."""

import functools
import warnings

from agents import (
    Agent,
    ModelBehaviorError,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI, BadRequestError
from pydantic import BaseModel
from steps import AGENT, BASE, KEY, SUNNY, WEATHER, got, step

set_tracing_disabled(True)
warnings.simplefilter("ignore", ResourceWarning)


class Shape(BaseModel):
    a: int


@function_tool
def mine(city: str) -> str:
    "Something of the caller's."
    return city


def agent(model, **options):
    client = AsyncOpenAI(api_key=KEY, base_url=BASE)
    return Agent(name="a", instructions="Be kind.", model=model(AGENT, client), **options)


async def streamed(model, text):
    result = Runner.run_streamed(agent(model), text)
    async for _ in result.stream_events():
        pass
    return result.final_output


def both(function=None, **options):
    """A step for each API."""
    if function is None:
        return functools.partial(both, **options)
    for model in (OpenAIResponsesModel, OpenAIChatCompletionsModel):

        async def work(model=model):
            await function(model)

        work.__name__ = f"{function.__name__} {model.__name__}"
        step(work, **options)
    return function


@both
async def answers(model):
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        result = await Runner.run(agent(model, tools=[mine]), text)
        assert result.final_output == wanted
        assert await streamed(model, text) == wanted
    assert got()[0] == ["system", "Be brief.\n\nBe kind."]


@both
async def shaped(model):
    result = await Runner.run(agent(model, output_type=Shape), 'ECHO:{"a":1}')
    assert result.final_output == Shape(a=1)


@both(raises=ModelBehaviorError)
async def prose_in_place_of_a_shape(model):
    await Runner.run(agent(model, output_type=Shape), "ECHO:hello")


@both
async def a_second_turn(model):
    first = await Runner.run(agent(model), WEATHER)
    given = [*first.to_input_list(), {"role": "user", "content": "ECHO:two"}]
    second = await Runner.run(agent(model), given)
    assert second.final_output == "two"
    assert [text for _, text in got()[1:]] == [WEATHER, SUNNY, "ECHO:two"]


@step
async def going_on():
    first = await Runner.run(agent(OpenAIResponsesModel), "ECHO:one")
    follow = {"previous_response_id": first.last_response_id}
    second = await Runner.run(agent(OpenAIResponsesModel), "ECHO:two", **follow)
    assert second.final_output == "two"
    assert [text for _, text in got()[1:]] == ["ECHO:one", "one", "ECHO:two"]


@both(raises=BadRequestError)
async def a_failure(model):
    await streamed(model, "FAIL:400")


@step(raises=ModelBehaviorError)
async def a_response_that_breaks_off():
    await streamed(OpenAIResponsesModel, "BREAK:half")
