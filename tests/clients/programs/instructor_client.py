"""Instructor over OpenAI's SDK."""

import instructor
from instructor.core.exceptions import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel
from steps import AGENT, BASE, KEY, look, step


class Shape(BaseModel):
    a: int


def shape(mode, text, **options):
    client = instructor.from_openai(OpenAI(api_key=KEY, base_url=BASE), mode=mode)
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model=AGENT, response_model=Shape, messages=messages, **options
    )


@step
def shapes():
    for mode in (instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA, instructor.Mode.MD_JSON):
        assert shape(mode, 'ECHO:{"a":1}').a == 1


@step
def shapes_that_grow():
    client = instructor.from_openai(OpenAI(api_key=KEY, base_url=BASE), mode=instructor.Mode.JSON)
    messages = [{"role": "user", "content": 'ECHO:{"a":1}'}]
    made = list(
        client.chat.completions.create_partial(model=AGENT, response_model=Shape, messages=messages)
    )
    assert made[-1].a == 1


@step(raises=InstructorRetryException)
def prose_in_place_of_a_shape():
    before = look()["requests"]
    try:
        shape(instructor.Mode.JSON, "ECHO:hello", max_retries=2)
    finally:
        assert look()["requests"] - before == 3


@step(raises=InstructorRetryException)
def tools_of_the_caller_are_not_called():
    """Agents have their own tools; the mode that is made of a tool of the caller's fails."""
    shape(instructor.Mode.TOOLS, 'ECHO:{"a":1}', max_retries=0)
