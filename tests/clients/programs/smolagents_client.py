"""Smolagents' model and its agents."""

from smolagents import CodeAgent, LogLevel, OpenAIModel, ToolCallingAgent, tool
from steps import AGENT, BASE, KEY, SUNNY, WEATHER, step

model = OpenAIModel(model_id=AGENT, api_base=BASE, api_key=KEY)


@tool
def mine(city: str) -> str:
    """Something of the caller's.

    Args:
        city: a city
    """
    return city


@step
def answers():
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        said = [{"role": "user", "content": text}]
        answer = model.generate(said)
        assert answer.content == wanted
        assert not answer.tool_calls
        pieces = [piece.content or "" for piece in model.generate_stream(said)]
        assert "".join(pieces) == wanted
    parts = [{"type": "text", "text": "ECHO:hi"}]
    assert model.generate([{"role": "user", "content": parts}]).content == "hi"


@step
def agents():
    quiet = {"model": model, "verbosity_level": LogLevel.OFF}
    ToolCallingAgent(tools=[mine], max_steps=1, **quiet).run(WEATHER)
    coder = CodeAgent(tools=[], max_steps=1, **quiet)
    assert str(coder.run("ECHO:<code>final_answer(3)</code>")) == "3"
