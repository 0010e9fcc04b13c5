"""Bodies and responses of the two routes that run an agent, for the documentation. The routes
validate bodies themselves: OpenAI's clients expect their own error texts."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Part = dict[str, Any]


class Open(BaseModel):
    """A body that may have members of its client's own."""

    model_config = ConfigDict(extra="allow")


class ChatMessage(Open):
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Part] | None = Field(
        default=None, description="Text, or parts of type `text` and `image_url`"
    )
    name: str | None = None
    tool_calls: list[Part] | None = Field(default=None, description="Calls of an assistant")
    tool_call_id: str | None = Field(default=None, description="The call that a tool answers")


class CompletionRequest(Open):
    """A chat completion. Other members of OpenAI's are accepted; the agent's own settings and
    tools apply."""

    model: str = Field(description="Id of the agent")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = Field(default=False, description="Answer with server-sent events")
    conversation_id: str | None = Field(
        default=None, description="A conversation of the caller; nothing is loaded or saved"
    )
    parent_message_id: str | None = None


class ResponseRequest(Open):
    """A response. Other members of OpenAI's are accepted; the agent's own settings and tools
    apply."""

    model: str = Field(description="Id of the agent")
    input: str | list[Part] = Field(
        description="Text, or items of type `message`, `function_call` and `function_call_output`"
    )
    stream: bool = Field(default=False, description="Answer with server-sent events")
    instructions: str | None = None
    previous_response_id: str | None = Field(
        default=None, description="An earlier answer whose conversation goes on"
    )
    store: bool | None = Field(default=None, description="Keep the answer as a conversation")
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_output_tokens: int | None = Field(default=None, ge=1)


USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}

COMPLETION = {
    "id": "chatcmpl-3v9Dj5yUOJOVvh5kyRyFa",
    "object": "chat.completion",
    "created": 1764547200,
    "model": "agent_3v9Dj5yUOJOVvh5_kyRyF",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}

RESPONSE = {
    "id": "resp_3v9Dj5yUOJOVvh5kyRyFa",
    "object": "response",
    "created_at": 1764547200,
    "completed_at": 1764547201,
    "status": "completed",
    "model": "agent_3v9Dj5yUOJOVvh5_kyRyF",
    "output": [
        {
            "type": "message",
            "id": "msg_3v9Dj5yUOJOVvh5kyRyFa",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "error": None,
    "previous_response_id": None,
    "store": False,
    "usage": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
}

MODEL = {
    "id": "agent_3v9Dj5yUOJOVvh5_kyRyF",
    "object": "model",
    "created": 1764547200,
    "owned_by": "librechat",
    "name": "Helper",
    "description": "Helps",
    "provider": "openAI",
}
