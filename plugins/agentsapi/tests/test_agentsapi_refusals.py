"""What programs are told when a run may not begin."""

import json
from typing import Any

import pytest

from locutory_agentsapi.routes.completions import envelope
from locutory_agentsapi.routes.inputs import messages_of
from locutory_agentsapi.routes.messages import checked
from locutory_agentsapi.routes.responses import envelope as response_envelope
from locutory_agentsapi.routes.running import BadRun, failure
from locutory_contracts.chat import TurnRefused


def test_an_empty_balance_is_told_in_words() -> None:
    """402, which programs do not retry, with OpenAI's code for it; not JSON in a text."""
    payload = {"type": "token_balance", "balance": 12, "tokenCost": 48, "promptTokens": 8}
    error = failure(TurnRefused(json.dumps(payload)))
    assert error.status == 402
    assert envelope(error) == {
        "error": {
            "message": "Insufficient balance: the prompt costs 48 credits, and you have 12.",
            "type": "invalid_request_error",
            "param": None,
            "code": "insufficient_quota",
        }
    }
    assert response_envelope(error)["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize("payload", ['{"type": "no_user_key"}', "not today", "[1]", "7"])
def test_other_refusals_are_handed_on(payload: str) -> None:
    error = failure(TurnRefused(payload))
    assert (error.status, str(error), error.code) == (400, payload, None)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (7, " must be an object with a type"),
        (None, " must be an object with a type"),
        ({"text": "x"}, " must be an object with a type"),
        ({"type": ["text"]}, " must be an object with a type"),
        ({"type": "text", "text": {"$gt": ""}}, ".text must be a string"),
        ({"type": "image_url"}, ".image_url.url must be a string"),
        ({"type": "image_url", "image_url": {"url": 5}}, ".image_url.url must be a string"),
    ],
)
@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
def test_parts_that_no_model_takes(role: str, part: Any, text: str) -> None:
    """A provider would answer them with an error of its own, or break."""
    with pytest.raises(BadRun) as refused:
        checked({"messages": [{"role": role, "content": [{"type": "text", "text": "x"}, part]}]})
    assert str(refused.value) == f"messages[0].content[1]{text}"
    assert refused.value.status == 400


def test_parts_that_models_take() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    (message,) = checked({"messages": [{"role": "user", "content": parts}]})
    parts[1] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert message["content"] == parts


@pytest.mark.parametrize("role", [["user"], {"$ne": ""}, 7, None, "root"])
def test_roles_that_are_none(role: Any) -> None:
    with pytest.raises(BadRun, match="input is required"):
        messages_of({"input": [{"type": "message", "role": role, "content": "x"}]})
