"""The form of answers: as today's OpenAI SDKs read them, or as LibreChat gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from locutory import Request
from locutory_agentsapi.routes.running import BadRun

Name = Literal["openai", "librechat"]

HEADER = "x-answer-form"
"""Request header that chooses the form of one answer."""

CALLS = "function_call_output"
"""Value of ``include`` that asks a response for the calls that the server ran."""


@dataclass(frozen=True, slots=True)
class Form:
    """The optional parts of a response. ``calls``: the tool calls that the server has run; SDKs
    would run them again, so they are included only on request. ``reasoning``: as the text of
    OpenAI's reasoning items, as their summary, or with LibreChat's event names."""

    calls: bool = False
    reasoning: Literal["text", "summary", "librechat"] = "text"


def form_of(request: Request, body: Mapping[str, Any], default: Name) -> Form:
    """The form that a request asks for; `BadRun` for one that there is not."""
    name = request.headers.get(HEADER, default).strip().lower()
    if name not in get_args(Name):
        raise BadRun(f"{HEADER} must be one of: {', '.join(get_args(Name))}")
    if name == "librechat":
        return Form(calls=True, reasoning="librechat")
    include, reasoning = body.get("include"), body.get("reasoning")
    summary = isinstance(reasoning, Mapping) and bool(reasoning.get("summary"))
    return Form(
        calls=isinstance(include, list) and CALLS in include,
        reasoning="summary" if summary else "text",
    )
