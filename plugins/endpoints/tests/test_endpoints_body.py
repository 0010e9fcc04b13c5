"""What reaches the provider (endpoints §6, §7)."""

from typing import Any

import pytest

from locutory_contracts.models import ModelCall, ToolSchema
from locutory_endpoints.wire.body import Dialect, request_base, request_body
from locutory_endpoints.wire.headers import expand, fill, personal, unset_variable

SAMPLING = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 1, "frequency_penalty": -1}


def base(model: str, settings: dict[str, Any] | None = None, **dialect: Any) -> dict[str, Any]:
    made = request_base(model, settings or {}, "u", Dialect(**dialect))
    for name in ("model", "user", "stream", "stream_options"):
        made.pop(name, None)
    return made


def test_the_frame() -> None:
    assert request_base("m", {}, "u-1", Dialect()) == {
        "model": "m",
        "user": "u-1",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream_options" not in request_base("m", {}, "u", Dialect(usage=False))
    assert request_base("m", {"disableStreaming": True}, "u", Dialect()) == {
        "model": "m",
        "user": "u",
        "stream": False,
    }


def test_ordinary_parameters_and_what_never_leaves() -> None:
    kept = {**SAMPLING, "stop": ["x"], "max_tokens": 5, "verbosity": "low"}
    private = {
        "promptPrefix": "p",
        "modelLabel": "l",
        "resendFiles": True,
        "maxContextTokens": 9,
        "spec": "s",
        "iconURL": "i",
        "artifacts": "a",
        "imageDetail": "low",
        "fileTokenLimit": 3,
        "chatProjectId": "c",
        "greeting": "g",
        "useResponsesApi": True,
        "web_search": True,
    }
    assert base("gpt-4o", {**kept, **private}) == kept


@pytest.mark.parametrize(
    "model", ["gpt-5", "gpt-5.4", "gpt-5-mini", "openai/gpt-6", "gpt-5-chat-latest"]
)
def test_newer_models_count_completion_tokens(model: str) -> None:
    assert base(model, {"max_tokens": 5}) == {"max_completion_tokens": 5}


def test_older_models_count_tokens() -> None:
    assert base("gpt-4o", {"max_tokens": 5}) == {"max_tokens": 5}
    assert base("o3", {"max_tokens": 5}) == {"max_tokens": 5}
    assert base("o3", {"max_tokens": 5}, official=True) == {"max_completion_tokens": 5}


@pytest.mark.parametrize("model", ["o1", "o3", "o3-mini", "gpt-5", "gpt-5-nano", "openai/o1-pro"])
def test_reasoning_models_take_no_sampling(model: str) -> None:
    extra = {"n": 2, "logprobs": True, "logit_bias": {"1": 1}}
    assert base(model, {**SAMPLING, "stop": ["x"]}, extra=extra) == {"stop": ["x"]}


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5-chat-latest", "gpt-4o", "proto1-x"])
def test_other_models_take_sampling(model: str) -> None:
    assert base(model, SAMPLING) == SAMPLING


def test_search_models_keep_the_limit_only() -> None:
    made = request_base(
        "gpt-4o-search-preview", {**SAMPLING, "max_tokens": 3, "stop": ["x"]}, "u", Dialect()
    )
    assert {key for key in made if key not in ("model", "stream", "stream_options")} == {
        "max_tokens"
    }


def test_forced_and_dropped_come_last() -> None:
    made = base(
        "m",
        {"temperature": 0.2, "top_p": 0.3},
        extra={"temperature": 1, "safe_prompt": True, "maxTokens": 4},
        dropped=["topP", "user", "stream", "messages", "model"],
    )
    assert made == {"temperature": 1, "safe_prompt": True, "max_tokens": 4}
    framed = request_base("m", {}, "u", Dialect(dropped=["user", "stream_options"]))
    assert framed == {"model": "m", "stream": True}


def test_defaults_count_where_nothing_was_chosen() -> None:
    assert base("m", {"top_p": 0.1}, defaults={"temperature": 0.7, "top_p": 1}) == {
        "temperature": 0.7,
        "top_p": 0.1,
    }


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ({}, {"reasoning_effort": "high"}),
        ({"reasoning_format": "disabled"}, {}),
        ({"reasoning_format": "reasoning_object"}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        ({"openrouter": True}, {"reasoning": {"effort": "high"}}),
        ({"dropped": ["reasoning_effort"]}, {}),
        ({"reasoning_format": "reasoning_object", "dropped": ["reasoning_summary"]},
         {"reasoning": {"effort": "high"}}),
    ],
)  # fmt: skip
def test_reasoning(dialect: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = {"reasoning_effort": "high", "reasoning_summary": "auto"}
    assert base("m", settings, **dialect) == expected


def test_openrouter() -> None:
    assert base("m", {"web_search": True}, openrouter=True) == {
        "include_reasoning": True,
        "plugins": [{"id": "web"}],
    }
    assert base("m", extra={"web_search": True}, openrouter=True)["plugins"] == [{"id": "web"}]
    assert base("m", extra={"web_search": True}) == {}


def test_names_of_other_families() -> None:
    settings = {
        "maxOutputTokens": 5,
        "topP": 0.1,
        "topK": 3,
        "effort": "low",
        "thinking": True,
        "thinkingBudget": 2000,
    }
    assert base("m", settings) == {
        "max_tokens": 5,
        "top_p": 0.1,
        "top_k": 3,
        "reasoning_effort": "low",
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }


HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b", "reasoning_content": "old"},
    {"role": "user", "content": "c"},
    {"role": "assistant", "content": "", "reasoning_content": "new", "tool_calls": []},
    {"role": "tool", "tool_call_id": "1", "content": "r"},
]


@pytest.mark.parametrize(
    ("model", "dialect", "kept"),
    [
        ("m", {}, []),
        ("deepseek-reasoner", {}, ["new"]),
        ("m", {"reasoning_in_turn": True}, ["new"]),
        ("m", {"reasoning_in_history": True}, ["old", "new"]),
    ],
)
def test_earlier_reasoning(model: str, dialect: dict[str, Any], kept: list[str]) -> None:
    made = request_body({"model": model}, ModelCall(HISTORY), Dialect(**dialect))
    found = [m["reasoning_content"] for m in made["messages"] if "reasoning_content" in m]
    assert found == kept
    assert HISTORY[1]["reasoning_content"] == "old"


def test_cache_marks_for_openrouter() -> None:
    dialect = Dialect(openrouter=True, defaults={"promptCache": True})
    call = ModelCall([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    made = request_body({"model": "anthropic/claude-sonnet-5"}, call, dialect)
    assert all(m["content"][0]["cache_control"] for m in made["messages"])
    plain = request_body({"model": "openai/gpt-5"}, call, dialect)
    assert plain["messages"][0]["content"] == "s"


def test_tools_and_token_limit_of_a_call() -> None:
    call = ModelCall([], [ToolSchema("t", "d", {"type": "object"})], max_tokens=4)
    made = request_body({"model": "gpt-5", "max_completion_tokens": 9}, call, Dialect())
    assert made["max_completion_tokens"] == 4
    assert made["tools"] == [
        {
            "type": "function",
            "function": {"name": "t", "description": "d", "parameters": {"type": "object"}},
        }
    ]
    assert "tools" not in request_body({"model": "m"}, call, Dialect(dropped=["tools"]))


def test_the_environment_is_filled_in_but_never_the_servers_secrets() -> None:
    environment = {"KEY": "k-1", "JWT_SECRET": "s", "CREDS_KEY": "c", "MONGO_URI": "m", "EMPTY": ""}
    assert expand("Bearer ${KEY}", environment) == "Bearer k-1"
    for name in ("JWT_SECRET", "CREDS_KEY", "MONGO_URI", "MISSING", "EMPTY"):
        assert expand(f"${{{name}}}", environment) == f"${{{name}}}"
        assert unset_variable(expand(f"${{{name}}}", environment)) == name


def test_a_users_text_is_never_a_placeholder() -> None:
    from locutory import Principal

    sly = Principal(
        "1" * 24, account={"name": "${KEY} {{LIBRECHAT_USER_EMAIL}}\r\nX-Evil: 1", "email": "e@x"}
    )
    filled = fill({"X": "{{LIBRECHAT_USER_NAME}}"}, sly, {})
    assert filled["X"] == "${KEY} {{LIBRECHAT_USER_EMAIL}}X-Evil: 1"
    assert personal({"X": "{{LIBRECHAT_USER_NAME}}"})
    assert not personal({"X": "{{other}} ${KEY}"})
