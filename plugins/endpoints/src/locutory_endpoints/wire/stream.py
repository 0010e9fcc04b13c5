"""From the bytes of an OpenAI-compatible answer to model events.

`Decoder.feed` takes what one network read brought, whatever it cuts apart, and gives the
events in it. It is the hot path of every chat: no objects are made besides the events, and
nothing is awaited.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from locutory_contracts.models import (
    Finished,
    ModelEvent,
    ModelFailure,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from locutory_endpoints.wire import failures

LONGEST_EVENT = 32 * 1024 * 1024
"""Bytes that one event, or a whole unstreamed answer, may have."""

_MARK = b"\xef\xbb\xbf"  # byte order mark
_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_loads = orjson.loads


class Decoder:
    """Decodes one answer: server-sent events, or one JSON object.

    Args:
        reasoning: names of the members that hold reasoning, the first present one counts.
        secrets: texts that must not appear in failures.

    After the last byte call `finish`. ``done`` says that the provider announced the end.
    """

    def __init__(
        self,
        reasoning: tuple[str, ...] = ("reasoning_content", "reasoning"),
        secrets: Iterable[str] = (),
    ) -> None:
        self._reasoning = reasoning
        self._secrets = tuple(secrets)
        self._parts: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []
        self._whole: bool | None = None
        self._first = True
        self._usage: Any = None
        self._finished = False
        self._calls: dict[str, int] = {}
        self._last_call = -1
        self._understood = False
        self.done = False

    def feed(self, piece: bytes) -> list[ModelEvent]:
        """Events of the next bytes. Raises `ModelFailure` for an error object."""
        out: list[ModelEvent] = []
        if self._whole is None:
            self._sniff(piece)
        if self._whole or (b"\n" not in piece and b"\r" not in piece):
            self._keep(piece)
            return out
        if self._parts:
            self._parts.append(piece)
            piece = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        held = b""
        if b"\r" in piece:
            if piece[-1:] == b"\r":  # perhaps half of CRLF
                piece, held = piece[:-1], b"\r"
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._first:
            self._first = False
            piece = piece.removeprefix(_MARK)
        lines = piece.split(b"\n")
        rest = lines.pop() + held
        if rest:
            self._keep(rest)
        data = self._data
        for line in lines:
            if line[:5] == b"data:":
                data.append(line[5:])
            elif not line and data:
                self._event(data, out)
                data.clear()
        return out

    def finish(self, *, cut: bool = False) -> list[ModelEvent]:
        """Events that only the end reveals: leftovers, the reason to stop, the usage.

        Raises `ModelFailure` when nothing of the answer could be read, or when it was
        ``cut`` before the model had said that it stopped.
        """
        out: list[ModelEvent] = []
        rest = b"".join(self._parts)
        self._parts.clear()
        if self._whole:
            self._complete(rest, out)
        else:
            for line in rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
                if line[:5] == b"data:":
                    self._data.append(line[5:])
            if self._data:
                self._event(self._data, out)
                self._data.clear()
        if not self._understood:
            raise ModelFailure(failures.CUT if cut else failures.UNREADABLE)
        if cut and not self._finished and not self.done:
            raise ModelFailure(failures.CUT)
        if not self._finished:
            self._finished = True
            out.append(Finished("tool_calls" if self._last_call >= 0 else "stop"))
        usage = read_usage(self._usage)
        if usage is not None:
            out.append(usage)
        return out

    def _sniff(self, piece: bytes) -> None:
        """Tell an unstreamed answer by its first character."""
        start = piece.lstrip(_MARK + b" \t\r\n")
        if start:
            self._whole = start[:1] in (b"{", b"[")

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > LONGEST_EVENT:
            raise ModelFailure(failures.UNREADABLE)
        self._parts.append(piece)

    def _event(self, data: list[bytes], out: list[ModelEvent]) -> None:
        text = data[0] if len(data) == 1 else b"\n".join(data)
        try:
            chunk = _loads(text)
        except orjson.JSONDecodeError:
            self._odd(text, data, out)
            return
        self._chunk(chunk, out)

    def _odd(self, text: bytes, data: list[bytes], out: list[ModelEvent]) -> None:
        """Data that is no JSON: the end mark, several objects without blank lines between
        them, text with broken characters, or garbage, which is passed over."""
        if text.strip() == b"[DONE]":
            self.done = True
            return
        if len(data) > 1:
            for line in data:
                self._event([line], out)
            return
        repaired = _LONE_SURROGATE.sub(r"\\ufffd", text.decode("utf-8", "replace"))
        try:
            chunk = _loads(repaired)
        except orjson.JSONDecodeError:
            return
        self._chunk(chunk, out)

    def _chunk(self, chunk: Any, out: list[ModelEvent]) -> None:
        """One ``chat.completion.chunk``. Members of unexpected types are passed over."""
        try:
            choices = chunk.get("choices")
            if choices:
                self._understood = True
                choice = choices[0]
                delta = choice.get("delta")
                if delta:
                    text = delta.get("content")
                    if text:
                        if text.__class__ is str:
                            out.append(TextDelta(text))
                        else:
                            self._content(text, out)
                    if len(delta) > 1 or not text:
                        self._rare(delta, out)
                reason = choice.get("finish_reason")
                if reason and not self._finished:
                    self._finished = True
                    out.append(Finished(str(reason)))
                if delta is None and "message" in choice:
                    self._message(choice, out)
            usage = chunk.get("usage")
            if usage:
                self._usage = usage
                self._understood = True
            if not choices or "error" in chunk:
                self._error(chunk)
        except (AttributeError, TypeError, KeyError, IndexError):
            return

    def _error(self, chunk: Any) -> None:
        error = chunk.get("error")
        if error is None and chunk.get("object") == "error":
            error = chunk
        if error:
            raise failures.of_stream(error, self._secrets)

    def _rare(self, delta: Any, out: list[ModelEvent]) -> None:
        """Members of a delta that few chunks have."""
        for name in self._reasoning:
            thought = delta.get(name)
            if thought and isinstance(thought, str):
                out.append(ReasoningDelta(thought))
                break
        calls = delta.get("tool_calls")
        if calls:
            for call in calls:
                self._call(call, out)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            out.append(TextDelta(refusal))

    def _content(self, parts: Any, out: list[ModelEvent]) -> None:
        """Content as a list of parts, as some providers send it."""
        for part in parts:
            if isinstance(part, str):
                out.append(TextDelta(part))
                continue
            kind = part.get("type")
            if kind == "text" and isinstance(part.get("text"), str):
                out.append(TextDelta(part["text"]))
            elif kind == "thinking":
                thought = part.get("thinking")
                pieces = [thought] if isinstance(thought, str) else [t.get("text") for t in thought]
                out.extend(ReasoningDelta(t) for t in pieces if t and isinstance(t, str))

    def _call(self, call: Any, out: list[ModelEvent]) -> None:
        """A piece of a tool call; calls without an index are told apart by their id."""
        function = call.get("function") or {}
        identity, name = call.get("id") or "", function.get("name") or ""
        index = call.get("index")
        if not isinstance(index, int):
            if identity and identity not in self._calls:
                self._calls[identity] = self._last_call + 1
            index = self._calls.get(identity, max(self._last_call, 0))
        self._last_call = max(self._last_call, index)
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        out.append(ToolCallDelta(index, str(identity), str(name), arguments))

    def _message(self, choice: Any, out: list[ModelEvent]) -> None:
        """A whole message in place of deltas."""
        message = choice["message"]
        for name in self._reasoning:
            thought = message.get(name)
            if thought and isinstance(thought, str):
                out.append(ReasoningDelta(thought))
                break
        content = message.get("content")
        if isinstance(content, str) and content:
            out.append(TextDelta(content))
        elif content:
            self._content(content, out)
        for position, call in enumerate(message.get("tool_calls") or ()):
            self._call({**call, "index": position}, out)
        refusal = message.get("refusal")
        if refusal and isinstance(refusal, str):
            out.append(TextDelta(refusal))

    def _complete(self, body: bytes, out: list[ModelEvent]) -> None:
        """An unstreamed answer."""
        try:
            answer = _loads(body.removeprefix(_MARK))
        except orjson.JSONDecodeError:
            raise ModelFailure(failures.UNREADABLE) from None
        if isinstance(answer, list) and answer:
            answer = answer[0]
        started = len(out)
        self._chunk(answer, out)
        for position in range(started, len(out)):
            if isinstance(out[position], Finished):
                out.append(out.pop(position))
                break


def _count(*values: Any) -> int:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return int(value)
    return 0


def read_usage(usage: Any) -> Usage | None:
    """Token counts in the spellings that providers use; ``None`` when there are none."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt = _count(usage.get("prompt_tokens"), usage.get("input_tokens"))
    completion = _count(usage.get("completion_tokens"), usage.get("output_tokens"))
    total = _count(usage.get("total_tokens")) or prompt + completion
    if not total:
        return None
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=total,
        cache_read=_count(details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens")),
        cache_creation=_count(
            details.get("cache_write_tokens"),
            details.get("cache_creation_tokens"),
            usage.get("cache_creation_input_tokens"),
        ),
    )
