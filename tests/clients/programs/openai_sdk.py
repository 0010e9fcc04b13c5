"""OpenAI's SDK for Python."""

import time

import openai
from openai import OpenAI
from pydantic import BaseModel
from steps import AGENT, BASE, KEY, SLOW, SUNNY, WEATHER, got, look, step

client = OpenAI(api_key=KEY, base_url=BASE)


def said(text):
    return [{"role": "user", "content": text}]


def chat(text, **options):
    return client.chat.completions.create(model=AGENT, messages=said(text), **options)


def respond(given, **options):
    return client.responses.create(model=AGENT, input=given, **options)


def failure_of(text, kind):
    try:
        chat(text)
    except kind as error:
        return error
    raise AssertionError(text)


class Shape(BaseModel):
    a: int


@step
def models():
    assert {AGENT, SLOW} == {model.id for model in client.models.list()}
    assert client.models.retrieve(AGENT).id == AGENT


@step
def plain():
    answer = chat("ECHO:hi")
    assert answer.choices[0].message.content == "hi"
    assert 0 < answer.usage.completion_tokens < answer.usage.total_tokens
    assert answer._request_id


@step
def stream():
    chunks = list(chat("THINK:hm|hi", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hi"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens > 0


@step
def stream_helper():
    for text, wanted in (("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        with client.chat.completions.stream(model=AGENT, messages=said(text)) as events:
            for _ in events:
                pass
            choice = events.get_final_completion().choices[0]
        assert (choice.message.content, choice.finish_reason) == (wanted, "stop")
        assert not choice.message.tool_calls


@step
def second_turn_after_a_tool_of_the_server():
    first = chat(WEATHER).choices[0].message
    messages = [*said("weather?"), first, *said("ECHO:thanks")]
    answer = client.chat.completions.create(model=AGENT, messages=messages)
    assert answer.choices[0].message.content == "thanks"
    assert got()[-2] == ["assistant", SUNNY]


@step
def second_turn_that_shows_the_tool():
    """In LibreChat's form the call comes without its result, and goes back so."""
    form = {"X-Answer-Form": "librechat"}
    first = chat(WEATHER, extra_headers=form).choices[0].message
    assert first.tool_calls[0].function.name == "server_weather"
    messages = [*said("weather?"), first, *said("ECHO:thanks")]
    answer = client.chat.completions.create(model=AGENT, messages=messages)
    assert answer.choices[0].message.content == "thanks"
    shown = respond(WEATHER, include=["function_call_output"]).output
    assert [item.type for item in shown] == ["function_call", "function_call_output", "message"]
    again = respond([*said("weather?"), *shown, *said("ECHO:thanks")])
    assert again.output_text == "thanks"


@step
def parsed():
    completion = client.chat.completions.parse(
        model=AGENT, messages=said('ECHO:{"a":1}'), response_format=Shape
    )
    assert completion.choices[0].message.parsed == Shape(a=1)
    parsed = client.responses.parse(model=AGENT, input='ECHO:{"a":1}', text_format=Shape)
    assert parsed.output_parsed == Shape(a=1)


@step(raises=openai.LengthFinishReasonError)
def parsed_of_a_cut_answer():
    client.chat.completions.parse(model=AGENT, messages=said('CUT:{"a":'), response_format=Shape)


@step
def cut_answers():
    assert chat("CUT:half").choices[0].finish_reason == "length"
    answer = respond("CUT:half")
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert list(respond("CUT:half", stream=True))[-1].type == "response.incomplete"


@step
def responses():
    assert respond("ECHO:hi").output_text == "hi"
    assert respond(WEATHER).output_text == SUNNY
    reasoning, message = respond("THINK:hm|hi").output
    assert reasoning.content[0].text == "hm"
    assert message.content[0].text == "hi"


@step
def response_streams():
    for text, wanted in (("ECHO:hi", "hi"), ("THINK:hm|hi", "hi"), (WEATHER, SUNNY)):
        with client.responses.stream(model=AGENT, input=text) as events:
            for event in events:
                assert type(event).__name__ != "dict"
            assert events.get_final_response().output_text == wanted
    summaries = [
        event.delta
        for event in respond("THINK:hm|hi", stream=True, reasoning={"summary": "auto"})
        if event.type == "response.reasoning_summary_text.delta"
    ]
    assert summaries == ["hm"]


@step
def instructions_and_developers():
    respond([{"role": "developer", "content": "two"}, *said("ECHO:x")], instructions="one")
    assert got() == [["system", "Be brief.\n\none\n\ntwo"], ["user", "ECHO:x"]]
    client.chat.completions.create(
        model=AGENT, messages=[{"role": "developer", "content": "two"}, *said("ECHO:x")]
    )
    assert got() == [["system", "Be brief.\n\ntwo"], ["user", "ECHO:x"]]


@step
def pictures():
    part = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    text = {"type": "input_text", "text": "ECHO:look"}
    assert respond([{"role": "user", "content": [text, part]}]).output_text == "look"
    assert look()["last"]["messages"][-1]["content"][1]["type"] == "image_url"


@step
def going_on():
    for store in ({}, {"store": True}):
        first = respond("ECHO:one", **store)
        second = respond("ECHO:two", previous_response_id=first.id, **store)
        respond("ECHO:fork", previous_response_id=first.id)
        assert [text for _, text in got()[1:]] == ["ECHO:one", "one", "ECHO:fork"]
        respond("ECHO:three", previous_response_id=second.id)
        assert [text for _, text in got()[3:]] == ["ECHO:two", "two", "ECHO:three"]
        found = client.responses.retrieve(first.id)
        assert (found.output_text, found.id) == ("one", first.id)
        (item,) = client.responses.input_items.list(second.id)
        assert item.content[0].text == "ECHO:two"


@step(raises=openai.NotFoundError)
def going_on_from_what_was_not_kept():
    respond("x", previous_response_id=respond("ECHO:one", store=False).id)


@step(raises=openai.NotFoundError)
def unknown_response():
    client.responses.retrieve("resp_none")


@step(raises=openai.NotFoundError)
def unknown_model():
    client.chat.completions.create(model="gpt-9", messages=said("x"))


@step(raises=openai.AuthenticationError)
def wrong_key():
    OpenAI(api_key="sk-wrong", base_url=BASE).models.list()


@step
def failures_are_not_tried_again():
    for status, kind in (
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (401, openai.InternalServerError),
        (400, openai.BadRequestError),
    ):
        before = look()["requests"]
        error = failure_of(f"FAIL:{status}", kind)
        assert error.request_id
        assert error.response.headers["x-should-retry"] == "false"
        # As often as the server itself tries.
        assert look()["requests"] - before == (4 if status in (429, 500) else 1)


@step(raises=openai.APIError)
def a_chat_that_breaks_off():
    list(chat("BREAK:half", stream=True))


@step
def a_response_that_breaks_off():
    last = list(respond("BREAK:half", stream=True))[-1]
    assert last.type == "response.failed"
    assert last.response.error.message == "the line went dead"


@step(raises=openai.APITimeoutError)
def no_patience():
    hasty = OpenAI(api_key=KEY, base_url=BASE, timeout=0.3, max_retries=0)
    hasty.chat.completions.create(model=SLOW, messages=said("x"))


@step
def giving_up_ends_the_run():
    events = client.chat.completions.create(model=SLOW, messages=said("x"), stream=True)
    next(iter(events))
    events.close()
    for _ in range(200):
        if not look()["running"]:
            break
        time.sleep(0.05)
    assert look()["running"] == 0
