"""A provider with OpenAI's rule for tool calls, for the agents that client packages call.

The last message of the user says, somewhere in it, what the answer is: ``ECHO:<text>``; ``THINK:<reasoning>|<text>``;
``CALL:<tool>:<arguments>``, and with the result of the tool that; ``CUT:<text>`` with the finish
reason ``length``; ``BREAK:<text>`` with an error after the text; ``FAIL:<status>``. The model
``slow`` says a hundred words, ten a second.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

UNPAIRED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to "
    "each 'tool_call_id'."
)

COMMAND = re.compile(r"\b(ECHO|THINK|CALL|CUT|BREAK|FAIL):(.*)", re.DOTALL)


def unpaired(messages: list[Mapping[str, Any]]) -> bool:
    """Does OpenAI refuse this history?"""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return True
            waiting.remove(message["tool_call_id"])
        elif waiting:
            return True
        else:
            waiting = {call["id"] for call in message.get("tool_calls") or ()}
    return bool(waiting)


def text_of(content: Any) -> str:
    """The text of a message."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


class Provider:
    """What was asked, and how many answers are being made."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.running = 0
        self.url = ""

    async def look(self, request: web.Request) -> web.Response:
        """The last request; number and running ones."""
        last = self.asked[-1] if self.asked else {}
        told = {"last": last, "requests": len(self.asked), "running": self.running}
        return web.json_response(told)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A chat completion, streamed."""
        body = await request.json()
        self.asked.append(body)
        messages = body["messages"]
        said = [message for message in messages if message["role"] in ("user", "tool")]
        question = next(text_of(m["content"]) for m in reversed(said) if m["role"] == "user")
        found = COMMAND.search(question)
        kind, rest = (found[1], found[2].strip()) if found else ("", "")
        if unpaired(messages):
            return web.json_response({"error": {"message": UNPAIRED}}, status=400)
        if kind == "FAIL":
            return web.json_response({"error": {"message": "forced failure"}}, status=int(rest))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self.running += 1
        try:
            if said[-1]["role"] == "tool":
                kind, rest = "ECHO", f"it says: {text_of(said[-1]['content'])}"
            async for event in events(str(body["model"]), kind, rest):
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            self.running -= 1
        return response


async def events(model: str, kind: str, rest: str) -> AsyncIterator[Mapping[str, Any]]:
    """The chunks of an answer."""

    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> Mapping[str, Any]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    if model == "slow":
        for number in range(100):
            await asyncio.sleep(0.1)
            yield chunk({"content": f"word{number} "})
    elif kind == "CALL":
        name, _, arguments = rest.partition(":")
        function = {"name": name, "arguments": arguments}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        yield chunk({"tool_calls": [call]})
        yield chunk({}, "tool_calls")
        return
    elif kind == "THINK":
        thought, _, rest = rest.partition("|")
        yield chunk({"reasoning_content": thought})
    if kind in ("ECHO", "THINK", "CUT", "BREAK"):
        yield chunk({"content": rest})
    elif model != "slow":
        yield chunk({"content": "ok"})
    if kind == "BREAK":
        yield {"error": {"message": "the line went dead"}}
    else:
        yield chunk({}, "length" if kind == "CUT" else "stop")


@asynccontextmanager
async def serving() -> AsyncIterator[Provider]:
    """A provider on a free port."""
    provider = Provider()
    application = web.Application(client_max_size=8 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", provider.answer)
    application.router.add_get("/look", provider.look)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
