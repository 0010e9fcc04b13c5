"""LiteLLM's own client."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from steps import AGENT, BASE, KEY, SUNNY, WEATHER, got, look, step

OPTIONS = {"model": f"openai/{AGENT}", "api_base": BASE, "api_key": KEY, "num_retries": 0}


def said(text):
    return [{"role": "user", "content": text}]


def complete(text, **options):
    return litellm.completion(messages=said(text), **{**OPTIONS, **options})


@step
def completions():
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        answer = complete(text)
        choice = answer.choices[0]
        assert (choice.message.content, choice.finish_reason) == (wanted, "stop")
        assert not choice.message.tool_calls
        assert answer.usage.total_tokens > 0
        chunks = list(complete(text, stream=True, stream_options={"include_usage": True}))
        told = [c.choices[0].delta.content or "" for c in chunks if c.choices]
        assert "".join(told) == wanted
        assert [c.usage.total_tokens > 0 for c in chunks if getattr(c, "usage", None)] == [True]


@step
def responses():
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        assert litellm.responses(input=text, **OPTIONS).output_text == wanted
        events = list(litellm.responses(input=text, stream=True, **OPTIONS))
        assert events[-1].type == "response.completed"
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        assert "".join(deltas) == wanted


@step
def a_second_turn():
    first = complete(WEATHER).choices[0].message
    litellm.completion(messages=[*said("weather?"), first, *said("ECHO:two")], **OPTIONS)
    assert [text for _, text in got()[1:]] == ["weather?", SUNNY, "ECHO:two"]


@step(raises=litellm.NotFoundError)
def unknown_model():
    complete("x", model="openai/gpt-9")


@step(raises=litellm.AuthenticationError)
def wrong_key():
    complete("x", api_key="sk-wrong")


@step(raises=litellm.RateLimitError)
def a_failure():
    complete("FAIL:429")


@step
def a_failure_is_not_tried_again():
    before = look()["requests"]
    try:
        litellm.completion(messages=said("FAIL:429"), **{**OPTIONS, "num_retries": None})
    except litellm.RateLimitError:
        assert look()["requests"] - before == 4
