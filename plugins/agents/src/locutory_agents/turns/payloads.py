"""The saved answer of a turn, and the event that ends its stream
(chat-stream §6.5, §6.6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory_agents.job import Job
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream import frames
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal
from locutory_agents.stream.transcript import Content, flatten

SHUT_DOWN = "Generation interrupted because its server shut down"
TIMED_OUT = "Generation timed out"
MAX_OUTPUT_BYTES = 8 * 1024 * 1024

FAILED = "Something went wrong while the answer was being prepared. Please try again."


def error_part(text: str) -> dict[str, Any]:
    """A failure of the model as part of the answer."""
    return {"type": "error", "error": f"An error occurred while processing the request: {text}"}


def response_fields(job: Job) -> dict[str, Any]:
    """The members that every form of the answer has."""
    record = job.record
    fields: dict[str, Any] = {
        "messageId": record.response_message_id,
        "conversationId": job.stream_id,
        "parentMessageId": record.user_message["messageId"],
        "isCreatedByUser": False,
        "sender": record.sender or "AI",
        "endpoint": record.endpoint,
        "model": record.model,
    }
    if record.icon_url:
        fields["iconURL"] = record.icon_url
    return fields


def storable(content: Content) -> Content:
    """The content cut to the size of one stored document (16 MB): the longest tool results are cut,
    since they make it too large."""
    outputs = [
        call
        for part in content
        if isinstance(call := part.get("tool_call"), dict) and isinstance(call.get("output"), str)
    ]
    total = sum(len(call["output"].encode()) for call in outputs)
    while total > MAX_OUTPUT_BYTES:
        longest = max(outputs, key=lambda call: len(call["output"]))
        before = len(longest["output"].encode())
        longest["output"] = f"{longest['output'][: len(longest['output']) // 2]}\n[shortened]"
        total += len(longest["output"].encode()) - before
    return content


def partial_content(feed: Feed) -> Content:
    """The content streamed so far, as it is saved: kept parts first, calls without a result are
    marked as cancelled."""
    content = storable(merged(feed.job.record.kept, feed.transcript.content()))
    for part in content:
        call = part.get("tool_call")
        if isinstance(call, dict) and call.get("progress") != 1:
            call["runStepStatus"] = "cancelled"
    return content


def partial_response(
    feed: Feed, content: Content, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The unfinished answer as a message to save."""
    message = response_fields(feed.job) | {
        "text": flatten(content),
        "content": content,
        "unfinished": True,
        "error": False,
    }
    if feed.transcript.attachments:
        message["attachments"] = list(feed.transcript.attachments)
    if metadata:
        message["metadata"] = dict(metadata)
    return message


def response(
    feed: Feed,
    ledger: UsageLedger,
    *,
    counted: int,
    prompt_tokens: int,
    reason: str,
    edited: bool,
    cut: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole answer as it is saved and shown. ``counted`` and ``prompt_tokens`` replace what the
    providers did not report; ``reason`` is the model's reason to stop, ``cut`` means that it was
    interrupted."""
    transcript = feed.transcript
    output, prompt = ledger.output_tokens, ledger.input_tokens
    common: dict[str, Any] = {
        "text": "",
        "content": storable(merged(feed.job.record.kept, transcript.content())),
        "tokenCount": counted if output is None else output,
        "attachments": list(transcript.attachments),
    }
    metadata = ledger.metadata(transcript.context)
    if metadata:
        common["metadata"] = metadata
    if reason not in ("", "stop", "tool_calls"):
        common["finish_reason"] = reason
    base = response_fields(feed.job)
    if cut:
        common["unfinished"] = True
    saved = base | {"unfinished": False, "error": False} | common
    told = {"isEdited": edited, "promptTokens": prompt_tokens if prompt is None else prompt}
    return saved, base | told | common


def merged(kept: Sequence[Mapping[str, Any]], new: Content) -> Content:
    """Kept parts of an edited answer, then the new ones; text that meets text of the same
    kind at the seam becomes one part."""
    if not kept or not new:
        return [*map(dict, kept), *new]
    last, first = dict(kept[-1]), new[0]
    kind = last.get("type")
    same = kind in ("text", "think") and kind == first.get("type")
    if not same or not isinstance(last.get(str(kind)), str):
        return [*map(dict, kept), *new]
    last[str(kind)] += first[str(kind)]
    return [*map(dict, kept[:-1]), last, *new[1:]]


def final_event(
    conversation: Mapping[str, Any],
    request: Mapping[str, Any],
    response: Mapping[str, Any],
    pending: Sequence[Mapping[str, Any]],
) -> Terminal:
    """The normal end. ``pending``: steers that no model saw."""
    title = conversation.get("title") or None
    event: dict[str, Any] = {
        "conversation": {**conversation, "title": title},
        "title": title,
        "requestMessage": request,
        "responseMessage": response,
    }
    if pending:
        event["pendingSteers"] = list(pending)
    return frames.final(event)


def abort_event(
    job: Job, content: Content, *, early: bool, pending: Sequence[Mapping[str, Any]]
) -> Terminal:
    """The end of a stopped turn. ``early``: nothing had begun, and nothing was saved."""
    user = job.record.user_message
    request: dict[str, Any] = {
        key: user[key] for key in ("messageId", "parentMessageId") if key in user
    }
    request |= {"conversationId": job.stream_id, "text": user.get("text", "")}
    if user.get("quotes"):
        request["quotes"] = user["quotes"]
    request["isCreatedByUser"] = True
    response = None
    if not early:
        response = response_fields(job) | {"content": content, "unfinished": True, "error": False}
    event: dict[str, Any] = {
        "conversation": None if early else {"conversationId": job.stream_id},
        "title": "New Chat",
        "requestMessage": request,
        "responseMessage": response,
        "aborted": True,
        "earlyAbort": early,
    }
    if pending:
        event["pendingSteers"] = list(pending)
    return frames.final(event)


def unsaved_conversation(job: Job) -> dict[str, Any]:
    """The conversation of a server without history."""
    return {"conversationId": job.stream_id, **job.record.conversation, "title": None}
