"""The built-in guide."""

import time
from pathlib import Path
from typing import Any

import pytest

from locutory import Principal
from locutory_contracts.models import (
    CATALOGUE,
    TOKENS,
    Finished,
    ModelCall,
    ModelRefused,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSchema,
    Usage,
)
from locutory_endpoints.providers.guide import CLOCK_TOOL, TITLE_PROMPT, GuideModel, reply
from locutory_endpoints.providers.guide_texts import CONFIG_VERSION, Texts
from locutory_endpoints.tokens import O200kCounter
from locutory_testing import Serve

QUIET = {"LOCUTORY_OLLAMA": "false"}
ANN = Principal("a" * 24)
CLOCK = ToolSchema(CLOCK_TOOL, "Tells the time", {"type": "object", "properties": {}})


async def say(text: str, *more: Any, tools: Any = ()) -> list[Any]:
    guide = GuideModel(O200kCounter(), 0)
    call = ModelCall([{"role": "user", "content": text}, *more], tools)
    return [event async for event in guide.stream(call)]


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("help", "guide"), ("", "guide"), ("How do I add a provider?", "OPENAI_API_KEY"),
        ("what about Ollama", "ollama pull"), ("show me markdown", "~~"), ("some code please", "```python"),
        ("latex", "\\frac"), ("a table", "|---|"), ("echo: one  two", "one  two"), ("echo", "nothing"),
        ("what time is it?", "no clock"), ("Bonjour tout le monde", "I am the **guide**"),
    ],
)  # fmt: skip
async def test_answers(question: str, part: str) -> None:
    events = await say(question)
    assert part in text_of(events)
    assert isinstance(events[-2], Finished)
    usage = events[-1]
    assert isinstance(usage, Usage)
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens == O200kCounter().count(text_of(events))


async def test_it_says_who_it_is_once() -> None:
    welcome = text_of(await say("hello"))
    assert welcome.startswith("I am the **guide**")
    assert "hello" not in welcome
    told = ({"role": "assistant", "content": welcome}, {"role": "user", "content": "and now?"})
    later = text_of(await say("hello", *told))
    assert later != welcome
    assert "**help**" in later


def test_what_it_says_is_true_where_it_is_said() -> None:
    """Of models that are connected, of a local one that nobody looks for, of examples."""
    alone, beside = Texts(), Texts(alone=False, ollama=False)
    assert "No model is connected yet" in alone.welcome
    assert "No model" not in beside.welcome

    def providers(texts: Texts) -> str:
        return next(answer for words, answer in texts.topics if "provider" in words)

    assert "make room" in providers(alone)
    assert "Ollama" in providers(alone)
    assert "make room" not in providers(beside)
    assert "Ollama" not in providers(beside)
    example = f"version: {CONFIG_VERSION}"
    assert example in providers(alone)
    readme = Path(__file__).parents[3] / "README.md"
    assert example in readme.read_text("utf-8")


async def test_it_streams_words() -> None:
    events = await say("echo one two three")
    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "one ",
        "two ",
        "three",
    ]
    guide = GuideModel(O200kCounter(), 0.01)
    started = time.monotonic()
    async for _ in guide.stream(ModelCall([{"role": "user", "content": "echo a b c d e"}])):
        pass
    assert time.monotonic() - started >= 0.05


async def test_reasoning_is_shown() -> None:
    events = await say("think")
    assert isinstance(events[0], ReasoningDelta)
    assert reply("think", Texts(), first=True)[0] == "".join(
        e.text for e in events if isinstance(e, ReasoningDelta)
    )


async def test_it_calls_a_clock_where_one_is_offered() -> None:
    events = await say("What time is it?", tools=[CLOCK])
    assert events[0] == ToolCallDelta(0, "call_guide_clock", CLOCK_TOOL, "{}")
    assert events[1] == Finished("tool_calls")
    result = {"role": "tool", "tool_call_id": "call_guide_clock", "content": "Monday, noon"}
    events = await say(
        "What time is it?", {"role": "assistant", "content": ""}, result, tools=[CLOCK]
    )
    assert "Monday, noon" in text_of(events)


async def test_it_names_conversations() -> None:
    prompt = TITLE_PROMPT.replace(
        "{convo}", "User: How do I bake **bread** at home with little time?\nAI: x"
    )
    assert text_of(await say(prompt)) == "How do I bake bread at"
    assert text_of(await say(TITLE_PROMPT.replace("{convo}", ""))) == "First steps"


async def test_parts_of_content() -> None:
    guide = GuideModel(O200kCounter(), 0)
    call = ModelCall(
        [{"role": "user", "content": [{"type": "text", "text": "echo hi"}, {"type": "image_url"}]}]
    )
    assert text_of([event async for event in guide.stream(call)]) == "hi"


async def test_when_it_is_offered(serve: Serve) -> None:
    body = {"endpoint": "Guide", "model": "guide"}
    async with serve("endpoints", environment=QUIET) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        assert set(await catalogue.entries(ANN)) == {"agents", "Guide"}
        assert (await catalogue.prepare({"endpoint": "Guide"}, ANN)).model == "guide"
        prepared = await catalogue.prepare(body, ANN)
        assert (prepared.sender, prepared.endpoint_type) == ("Guide", "custom")
        assert prepared.title.prompt == TITLE_PROMPT
    async with serve(
        "endpoints", environment={**QUIET, "OPENAI_API_KEY": "user_provided"}
    ) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        assert "Guide" not in await catalogue.entries(ANN)
        assert "Guide" not in await catalogue.models(ANN)
        with pytest.raises(ModelRefused, match="endpoint_models_not_loaded"):
            await catalogue.prepare(body, ANN)
    always = {**QUIET, "OPENAI_API_KEY": "user_provided", "LOCUTORY_GUIDE": "always"}
    async with serve("endpoints", environment=always) as server:
        assert "Guide" in await server.kernel.services.get(CATALOGUE).entries(ANN)
    async with serve("endpoints", environment={**QUIET, "LOCUTORY_GUIDE": "never"}) as server:
        assert set(await server.kernel.services.get(CATALOGUE).entries(ANN)) == {"agents"}
        assert server.kernel.services.get(TOKENS).count("hello world") == 2
