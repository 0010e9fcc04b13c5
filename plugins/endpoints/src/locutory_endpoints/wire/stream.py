"""From the bytes of an OpenAI-compatible answer to model events.

`Decoder.feed` takes what one network read brought, whatever it cuts apart, and gives the
events in it. It is the hot path of every chat: no objects are made besides the events, and
nothing is awaited.
"""

import json
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
)
from locutory_endpoints.wire import failures
from locutory_endpoints.wire.lines import EventLines
from locutory_endpoints.wire.surrogates import Joiner
from locutory_endpoints.wire.thinking import ThinkTags
from locutory_endpoints.wire.usage import read_usage

_MOST = 1000
"""Calls, or parts of content, that are read from one chunk."""

_LONGEST_WORD = 1000

_loads = orjson.loads


class Decoder:
    """Decodes one answer: server-sent events, or one JSON object.

    Args:
        reasoning: names of the members that hold reasoning, the first present one counts.
        secrets: texts that must not appear in failures.

    After the last byte call `finish`. A failure never takes away what was said before it: where
    there are events to give first it is kept for `check`, which the next call does too.
    ``done``: the provider announced the end. ``stopped``: the model told why it stopped.
    """

    def __init__(
        self,
        reasoning: tuple[str, ...] = ("reasoning_content", "reasoning"),
        secrets: Iterable[str] = (),
    ) -> None:
        self._reasoning = reasoning
        self._secrets = tuple(secrets)
        self._lines = EventLines()
        self._tags: ThinkTags | None = ThinkTags()
        self._joiner = Joiner()
        self._failure: ModelFailure | None = None
        self._usage: Any = None
        self._counted = False
        self._choice: Any = None
        self._calls: dict[str, int] = {}
        self._last_call = -1
        self._understood = self._garbage = self._answered = False
        self.stopped = False
        self.done = False

    def feed(self, piece: bytes) -> list[ModelEvent]:
        """Events of the next bytes. Raises `ModelFailure`."""
        self.check()
        out: list[ModelEvent] = []
        try:
            for data, error in self._lines.feed(piece):
                self._event(data, error, out)
            if self._lines.overflow:
                raise ModelFailure(failures.TOO_LONG, cut=True)
        except ModelFailure as failure:
            self._fail(failure, out)
        return out

    def finish(self, *, cut: bool = False, strict: bool = False) -> list[ModelEvent]:
        """The events at the end of the response: remaining text, the reason to stop, the usage.
        Raises `ModelFailure` when nothing of the answer could be read, when it was ``cut`` before
        the model had given its reason to stop, and, when ``strict``, when it has not given one."""
        self.check()
        out: list[ModelEvent] = []
        try:
            for data, error in self._lines.rest():
                self._event(data, error, out)
            self._end(cut, strict, out)
        except ModelFailure as failure:
            self._fail(failure, out)
        return out

    def flush(self) -> list[ModelEvent]:
        """Text that was held back, when nothing more comes."""
        out: list[ModelEvent] = []
        self._flush(out)
        return out

    def check(self) -> None:
        """Raise the failure that came after the last events."""
        if self._failure is not None:
            raise self._failure

    def _fail(self, failure: ModelFailure, out: list[ModelEvent]) -> None:
        self._flush(out)
        if not out:
            raise failure
        self._failure = failure

    def _end(self, cut: bool, strict: bool, out: list[ModelEvent]) -> None:
        if left := self._joiner.left("reasoning"):
            out.append(ReasoningDelta(left))
        self._flush(out)
        if not self._understood:
            if cut:
                raise ModelFailure(failures.CUT, cut=True)
            if self._garbage or self._lines.noise or self._lines.whole:
                raise ModelFailure(failures.UNREADABLE)
            raise failures.EmptyAnswer
        if not self.stopped and not self._counted and not self._lines.whole:
            if cut and not self.done:
                raise ModelFailure(failures.CUT, cut=True)
            if strict and not self._answered:
                raise failures.EmptyAnswer
            if strict:
                raise ModelFailure(failures.INCOMPLETE, cut=True)
        if not self.stopped:
            self.stopped = True
            out.append(Finished("tool_calls" if self._last_call >= 0 else "stop"))
        usage = read_usage(self._usage)
        if usage is not None:
            out.append(usage)

    # -- events --------------------------------------------------------------------------

    def _event(self, data: list[bytes], error: bool, out: list[ModelEvent]) -> None:
        text = data[0] if len(data) == 1 else b"\n".join(data)
        try:
            chunk = _loads(text)
        except orjson.JSONDecodeError:
            self._odd(text, data, error, out)
            return
        if error:
            raise failures.of_stream(_error_of(chunk), self._secrets)
        self._chunk(chunk, out)

    def _odd(self, text: bytes, data: list[bytes], error: bool, out: list[ModelEvent]) -> None:
        """Handle data that is not JSON: the end mark, several objects without blank lines between
        them, text with broken characters, or garbage, which is ignored."""
        if text.strip() == b"[DONE]":
            self.done = True
            return
        if len(data) > 1:
            for line in data:
                self._event([line], error, out)
            return
        chunk = _lenient(text)
        if error:
            reason = text.decode("utf-8", "replace").strip() if chunk is None else _error_of(chunk)
            raise failures.of_stream(reason, self._secrets)
        if chunk is None:
            self._garbage = True
            return
        self._joiner.ragged = True
        self._chunk(chunk, out)
        self._joiner.ragged = False

    def _chunk(self, chunk: Any, out: list[ModelEvent]) -> None:
        """One ``chat.completion.chunk``. Members of unexpected types are passed over."""
        if chunk.__class__ is list and chunk:
            chunk = chunk[0]  # as some send a whole answer, or its error
        try:
            choices = chunk.get("choices")
            if choices:
                self._understood = True
                choice = choices[0]
                if len(choices) > 1 or choice.get("index") != self._choice:
                    choice = self._chosen(choices)
                if choice is not None:
                    self._read_choice(choice, out)
            usage = chunk.get("usage")
            if usage:
                self._usage = usage
                self._understood = True
                self._counted = self._counted or not choices
            if not choices or "error" in chunk:
                self._error(chunk, bare=choices is None and not usage)
        except (AttributeError, TypeError, KeyError, IndexError):
            return

    def _chosen(self, choices: Any) -> Any:
        """Of several answers to one question always the same: the lowest of the first chunk.
        ``None`` when this chunk has nothing of it."""
        if self._choice is None:
            known = [found for each in choices if (found := _index(each)) is not None]
            self._choice = min(known, default=None)
        for choice in choices:
            if _index(choice) in (None, self._choice):
                return choice
        return None

    def _read_choice(self, choice: Any, out: list[ModelEvent]) -> None:
        delta = choice.get("delta")
        if delta.__class__ is str:
            self._text(delta, out)
        elif delta:
            text = delta.get("content")
            if text:
                if text.__class__ is str:
                    self._text(text, out)
                else:
                    self._content(text, out)
            if len(delta) > 1 or not text:
                self._rare(delta, out)
        elif delta is None and "message" in choice:
            self._rare(choice["message"], out, whole=True)
        elif delta is None and isinstance(choice.get("text"), str):
            self._text(choice["text"], out)  # of the completions that came before chats
        if choice.get("error"):
            raise failures.of_stream(choice["error"], self._secrets)
        reason = choice.get("finish_reason")
        if reason and reason != "error" and not self.stopped:
            self.stopped = True
            self._flush(out)
            out.append(Finished(_REASONS.get(reason, _word(reason))))

    def _error(self, chunk: Any, *, bare: bool) -> None:
        """Fail when a chunk is an error. ``bare``: it has nothing that a chunk has."""
        error = chunk.get("error")
        if error is None and bare:
            code = chunk.get("code") or chunk.get("status") or chunk.get("status_code")
            failed = isinstance(code, int) and 400 <= code < 600
            if chunk.get("object") == "error" or chunk.get("type") == "error" or failed:
                error = chunk
            elif chunk.get("detail"):
                error = chunk["detail"] if isinstance(chunk["detail"], str) else chunk
            else:
                error = _other_error(chunk)
        if error:
            raise failures.of_stream(error, self._secrets)

    # -- what a model says ---------------------------------------------------------------

    def _text(self, text: str, out: list[ModelEvent]) -> None:
        joiner = self._joiner
        if joiner.ragged or joiner.halves:
            text = joiner.join("text", text)
        if text:
            self._answered = True
            if self._tags is None:
                out.append(TextDelta(text))
            else:
                out += self._tags.feed(text)

    def _thought(self, thought: Any, out: list[ModelEvent]) -> bool:
        if not thought or not isinstance(thought, str):
            return False
        self._answered = True
        thought = self._joiner.join("reasoning", thought)
        if thought:
            self._flush(out)
            # A server that separates reasoning leaves no tags: those in the text mean nothing.
            self._tags = None
            out.append(ReasoningDelta(thought))
        return True

    def _flush(self, out: list[ModelEvent]) -> None:
        """Emit the text that was held back."""
        left = self._joiner.left("text")
        if left:
            self._text(left, out)
        if self._tags is not None:
            out += self._tags.flush()

    def _rare(self, delta: Any, out: list[ModelEvent], *, whole: bool = False) -> None:
        """Members of a delta that few chunks have; all of them of a ``whole`` message."""
        for name in self._reasoning:
            if self._thought(delta.get(name), out):
                break
        content = delta.get("content") if whole else None
        if isinstance(content, str):
            self._text(content, out)
        elif content:
            self._content(content, out)
        for position, call in enumerate((delta.get("tool_calls") or ())[:_MOST]):
            self._call({**call, "index": position} if whole else call, out)
        function = delta.get("function_call")
        if isinstance(function, dict) and not delta.get("tool_calls"):
            self._call({"index": 0, "function": function}, out)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._text(refusal, out)

    def _content(self, parts: Any, out: list[ModelEvent]) -> None:
        """Content as a list of parts, or one part, as some providers send it."""
        if isinstance(parts, dict):
            parts = [parts]
        for part in parts[:_MOST]:
            if isinstance(part, str):
                self._text(part, out)
                continue
            kind = part.get("type")
            if kind == "text" and isinstance(part.get("text"), str):
                self._text(part["text"], out)
            elif kind == "thinking":
                thought = part.get("thinking")
                for piece in [thought] if isinstance(thought, str) else thought[:_MOST]:
                    self._thought(piece if isinstance(piece, str) else piece.get("text"), out)

    def _call(self, call: Any, out: list[ModelEvent]) -> None:
        """A piece of a tool call; calls without an index are distinguished by their id."""
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
        arguments = self._joiner.join(index, arguments)
        self._answered = True
        self._flush(out)
        out.append(ToolCallDelta(index, _word(identity), _word(name), arguments))


_REASONS = {"function_call": "tool_calls"}


def _index(choice: Any) -> int | None:
    """The number of the answer that a choice belongs to; some servers write it in other
    ways."""
    try:
        return int(choice.get("index"))
    except (TypeError, ValueError, OverflowError):
        return None


def _other_error(chunk: Any) -> Any:
    """The error in data that has nothing of an answer, in the forms of some providers."""
    errors, base = chunk.get("errors"), chunk.get("base_resp")
    if isinstance(errors, list) and errors:
        return errors[0]
    if isinstance(base, dict) and base.get("status_code") and base.get("status_msg"):
        return {"message": base["status_msg"]}
    message = chunk.get("message") or chunk.get("msg")
    failed = chunk.get("success") is False or chunk.get("code") or chunk.get("type")
    return {"message": message} if failed and isinstance(message, str) else None


def _word(value: Any) -> str:
    """A short text that can be stored."""
    return str(value)[:_LONGEST_WORD].encode("utf-8", "replace").decode()


def _error_of(chunk: Any) -> Any:
    """The error in the data of an error event."""
    return chunk.get("error") or chunk if isinstance(chunk, dict) else chunk


def _lenient(text: bytes) -> Any:
    """JSON with halves of characters, escaped or not, and with invalid bytes; ``None`` for anything
    but JSON."""
    try:
        decoded = text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        decoded = text.decode("utf-8", "replace")
    try:
        return json.loads(decoded)
    except (ValueError, RecursionError):
        return None
