"""LangChain's chat model over both APIs."""

import functools

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ValidationError
from steps import AGENT, BASE, KEY, SUNNY, WEATHER, got, step


class Shape(BaseModel):
    a: int


@tool
def mine(city: str) -> str:
    "Something of the caller's."
    return city


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


def both(function=None, **options):
    """A step for each API."""
    if function is None:
        return functools.partial(both, **options)
    for responses in (False, True):
        make = functools.partial(
            ChatOpenAI, base_url=BASE, api_key=KEY, use_responses_api=responses
        )
        work = functools.partial(function, make)
        work.__name__ = f"{function.__name__} {'responses' if responses else 'chat'}"
        step(work, **options)
    return function


@both
def answers(make):
    model = make(model=AGENT)
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        answer = model.invoke(text)
        assert text_of(answer) == wanted
        assert not answer.tool_calls
        assert answer.usage_metadata["total_tokens"] > 0
        whole = functools.reduce(lambda a, b: a + b, model.stream(text))
        assert text_of(whole) == wanted
        assert not whole.tool_calls
    assert not model.bind_tools([mine]).invoke(WEATHER).tool_calls


@step
def reasoning_is_streamed_where_a_summary_is_asked_for():
    model = ChatOpenAI(model=AGENT, base_url=BASE, api_key=KEY, reasoning={"summary": "auto"})
    whole = functools.reduce(lambda a, b: a + b, model.stream("THINK:hm|hi"))
    assert "hm" in str(whole.content)


@both
def shaped(make):
    assert make(model=AGENT).with_structured_output(Shape).invoke('ECHO:{"a":1}') == Shape(a=1)


@both(raises=ValidationError)
def prose_in_place_of_a_shape(make):
    make(model=AGENT).with_structured_output(Shape).invoke("ECHO:hello")


@both
def a_second_turn(make):
    model = make(model=AGENT)
    first = model.invoke(WEATHER)
    second = model.invoke([("user", "weather?"), first, ("user", "ECHO:two")])
    assert text_of(second) == "two"
    assert [text for _, text in got()[1:]] == ["weather?", SUNNY, "ECHO:two"]


@step
def a_second_turn_that_shows_the_tool():
    """LangChain sends calls back without their results."""
    for responses in (False, True):
        model = ChatOpenAI(
            model=AGENT,
            base_url=BASE,
            api_key=KEY,
            use_responses_api=responses,
            default_headers={"X-Answer-Form": "librechat"},
        )
        first = model.invoke(WEATHER)
        assert first.tool_calls
        second = model.invoke([("user", "weather?"), first, ("user", "ECHO:two")])
        assert text_of(second) == "two"


@step
def going_on():
    model = ChatOpenAI(model=AGENT, base_url=BASE, api_key=KEY, use_previous_response_id=True)
    first = model.invoke("ECHO:one")
    second = model.invoke([("user", "ECHO:one"), first, ("user", "ECHO:two")])
    assert text_of(second) == "two"
    assert [text for _, text in got()[1:]] == ["ECHO:one", "one", "ECHO:two"]


@both(raises=openai.NotFoundError)
def unknown_model(make):
    make(model="gpt-9").invoke("x")
