"""The decoder: whatever the network cuts apart, the events are the same."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory_contracts.models import (
    Finished,
    ModelEvent,
    ModelFailure,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from locutory_endpoints.wire.stream import Decoder
from locutory_endpoints.wire.usage import read_usage


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def sse(*chunks: Any, end: str = "\n\n", done: bool = True) -> bytes:
    texts = [json.dumps(each, ensure_ascii=False) for each in chunks] + (["[DONE]"] if done else [])
    return "".join(f"data: {text}{end}" for text in texts).encode()


def decode(*pieces: bytes, cut: bool = False, decoder: Decoder | None = None) -> list[ModelEvent]:
    decoder = decoder or Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish(cut=cut)


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


HELLO = (chunk({"content": "Grüß "}), chunk({"content": "Gott 👋"}), chunk({}, "stop"))
EXPECTED = [TextDelta("Grüß "), TextDelta("Gott 👋"), Finished("stop")]


@given(st.lists(st.integers(1, 400), max_size=12), st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]))
@settings(max_examples=200, deadline=None)
def test_any_split_gives_the_same_events(cuts: list[int], end: str) -> None:
    data = b": comment" + end.encode() + sse(*HELLO, end=end)
    places = sorted({cut % len(data) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert decode(*pieces) == EXPECTED


def test_byte_by_byte() -> None:
    data = sse(*HELLO)
    assert decode(*(data[at : at + 1] for at in range(len(data)))) == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        sse(*HELLO, done=False),
        sse(*HELLO)[:-2],
        b"\xef\xbb\xbf" + sse(*HELLO),
        b"event: message\nid: 1\nretry: 5\n" + sse(*HELLO),
        sse(*HELLO, end="\n"),
        b"data:" + json.dumps(HELLO[0]).encode() + b"\n\n" + sse(*HELLO[1:]),
        b"data: {broken\n\n" + sse(*HELLO),
        b"data: 17\n\ndata: null\n\ndata: []\n\ndata: {}\n\n" + sse(*HELLO),
    ],
    ids=[
        "no DONE",
        "no last newline",
        "BOM",
        "other fields",
        "no blank lines",
        "no blank after colon",
        "garbage",
        "wrong kinds",
    ],
)
def test_tolerated(data: bytes) -> None:
    assert decode(data) == EXPECTED


def test_multi_line_data() -> None:
    lines = json.dumps(HELLO[0], indent=1).splitlines()
    data = "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
    assert decode(data + sse(*HELLO[1:])) == EXPECTED


@pytest.mark.parametrize(
    "delta",
    [{"content": 5}, {"content": {"a": 1}}, {"tool_calls": 5}, {"tool_calls": [None]}, [], "x", 7],
)
def test_unexpected_types_are_passed_over(delta: Any) -> None:
    odd = decode(sse(chunk(delta), *HELLO))
    assert odd[-3:] == EXPECTED


def test_lone_surrogates_become_replacement_characters() -> None:
    data = b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
    assert text_of(decode(data)) == "a�"
    pair = b'data: {"choices":[{"delta":{"content":"\\ud83d\\udc4b"}}]}\n\n'
    assert text_of(decode(pair)) == "👋"
    assert text_of(decode(b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n')) == "�"


def test_reasoning_names() -> None:
    events = decode(sse(chunk({"reasoning": "r"}), chunk({"reasoning_content": "c"}), *HELLO))
    assert events[:2] == [ReasoningDelta("r"), ReasoningDelta("c")]
    both = sse(chunk({"reasoning": "r", "reasoning_content": "c"}), *HELLO)
    assert decode(both)[0] == ReasoningDelta("c")
    other = Decoder(("reasoning", "reasoning_content"))
    assert decode(both, decoder=other)[0] == ReasoningDelta("r")


def test_parts_of_content() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "so"},
    ]
    assert decode(sse(chunk({"content": parts}), chunk({}, "stop"))) == [
        ReasoningDelta("hm"),
        TextDelta("so"),
        Finished("stop"),
    ]


def test_tool_calls() -> None:
    def call(**members: Any) -> dict[str, Any]:
        return chunk({"tool_calls": [members]})

    events = decode(
        sse(
            call(index=0, id="a", function={"name": "f", "arguments": ""}),
            call(index=0, function={"arguments": '{"x":'}),
            call(index=0, function={"arguments": "1}"}),
            call(index=1, id="b", function={"name": "g", "arguments": {"y": 2}}),
            chunk({}, "tool_calls"),
        )
    )
    assert events == [
        ToolCallDelta(0, "a", "f", ""),
        ToolCallDelta(0, "", "", '{"x":'),
        ToolCallDelta(0, "", "", "1}"),
        ToolCallDelta(1, "b", "g", '{"y":2}'),
        Finished("tool_calls"),
    ]


def test_tool_calls_without_index_and_reason() -> None:
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{"}},
        {"id": "b", "function": {"arguments": "}"}},
    ]
    events = decode(sse(*(chunk({"tool_calls": [call]}) for call in calls)))
    assert [event.index for event in events if isinstance(event, ToolCallDelta)] == [0, 1, 1]
    assert events[-1] == Finished("tool_calls")


def test_unstreamed_answer() -> None:
    body = {
        "choices": [
            {
                "message": {
                    "content": "Hi",
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    data = json.dumps(body, indent=2).encode()
    assert decode(data[:30], data[30:]) == [
        ReasoningDelta("hm"),
        TextDelta("Hi"),
        ToolCallDelta(0, "a", "f", "{}"),
        Finished("tool_calls"),
        Usage(1, 2, 3),
    ]


def test_usage_is_told_once_and_last() -> None:
    running = {"prompt_tokens": 1, "completion_tokens": 1}
    last = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    events = decode(
        sse(
            chunk({"content": "a"}, usage=running),
            chunk({}, "stop"),
            {"choices": [], "usage": last},
        )
    )
    assert events[-1] == Usage(9, 4, 13)
    assert sum(isinstance(event, Usage) for event in events) == 1


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            Usage(9, 1, 10, 4),
        ),
        (
            {"input_tokens": 9, "output_tokens": 1, "cache_creation_input_tokens": 3},
            Usage(9, 1, 10, 0, 3),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 1, "prompt_cache_hit_tokens": 2},
            Usage(5, 1, 6, 2),
        ),
        ({"prompt_tokens": None, "completion_tokens": "x"}, None),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)
def test_usage_spellings(usage: Any, expected: Usage | None) -> None:
    assert read_usage(usage) == expected


def test_error_inside_the_stream() -> None:
    decoder = Decoder(secrets=("sk-secret-value",))
    assert decoder.feed(sse(HELLO[0], done=False)) == [TextDelta("Grüß ")]
    with pytest.raises(ModelFailure, match=r"^no \*\*\* left$") as caught:
        decoder.feed(sse({"error": {"message": "no sk-secret-value left", "code": 502}}))
    assert caught.value.status == 502


ERRORS = {
    "object": b'data: {"error":{"message":"overloaded","code":502}}\n\n',
    "no code": b'data: {"error":{"message":"overloaded"}}\n\n',
    "text": b'data: {"error":"overloaded"}\n\n',
    "list": b'data: [{"error":{"message":"overloaded"}}]\n\n',
    "object of vLLM": b'data: {"object":"error","message":"overloaded","code":400}\n\n',
    "detail of FastAPI": b'data: {"detail":"overloaded"}\n\n',
    "details of FastAPI": b'data: {"detail":[{"msg":"overloaded"}]}\n\n',
    "status and message": b'data: {"message":"overloaded","status":503}\n\n',
    "type error": b'data: {"type":"error","error":{"message":"overloaded"}}\n\n',
    "event error": b'event: error\ndata: {"message":"overloaded"}\n\n',
    "event error, text": b"event:error\ndata: overloaded\n\n",
    "error line": b'error: {"code":500,"message":"overloaded"}\n\n',
    "error line, text": b"error: overloaded\n",
    "beside choices": b'data: {"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"message":"overloaded"}}\n\n',
    "in the choice": b'data: {"choices":[{"delta":{},"error":{"message":"overloaded"}}]}\n\n',
    "without an end": b'data: {"error":{"message":"overloaded"}}',
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_leaves_what_was_said_before_it(error: bytes) -> None:
    """In one network read, which proxies make of many."""
    said = [chunk({"content": f"word{n} "}) for n in range(300)]
    decoder = Decoder()
    events = decoder.feed(sse(*said, done=False) + error)
    with pytest.raises(ModelFailure, match="overloaded"):
        decoder.finish()
    assert text_of(events) == "".join(f"word{n} " for n in range(300))
    with pytest.raises(ModelFailure, match="overloaded"):
        decode(error)


@pytest.mark.parametrize(
    "data",
    [b'data: {"type":"ping"}\n\n', b'data: {"status":"processing"}\n\n', b'data: {"error":null}\n\n',
     b"event: ping\ndata: {}\n\n", b'data: {"code":0,"message":"ok"}\n\n'],
)  # fmt: skip
def test_what_is_no_error(data: bytes) -> None:
    assert decode(data + sse(*HELLO)) == EXPECTED


def test_a_cut_leaves_what_was_said_before_it() -> None:
    """Also what no blank line had ended yet."""
    decoder = Decoder()
    assert decoder.feed(sse(HELLO[0], done=False)[:-1]) == []
    assert decoder.finish(cut=True) == [TextDelta("Grüß ")]
    with pytest.raises(ModelFailure, match="connection") as caught:
        decoder.check()
    assert caught.value.cut


def test_halves_of_characters_are_joined() -> None:
    """Of UTF-16 pairs that servers cut into two deltas, in each kind of text."""

    def escaped(name: str, *texts: str) -> bytes:
        deltas = (f'{{"choices":[{{"delta":{{"{name}":"{text}"}}}}]}}' for text in texts)
        return "".join(f"data: {delta}\n\n" for delta in deltas).encode()

    halves = ("\\ud83d", "\\ude00 ok")
    assert text_of(decode(escaped("content", *halves))) == "😀 ok"
    assert text_of(decode(escaped("content", "a\\ud83d", "b", "\\ude00"))) == "a\ufffdb\ufffd"
    assert text_of(decode(escaped("content", "a", "\\ud83d"))) == "a\ufffd"
    assert text_of(decode(escaped("content", "\\ud83d\\ude00\\ud83d", "\\ude01"))) == "😀😁"
    events = decode(escaped("reasoning_content", *halves))
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert thought == "😀 ok"
    raw = (b"\xed\xa0\xbd", b"\xed\xb8\x80 ok")  # the halves as bytes
    cut = b"".join(b'data: {"choices":[{"delta":{"content":"' + h + b'"}}]}\n\n' for h in raw)
    assert text_of(decode(cut)) == "😀 ok"
    calls = b"".join(
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"%d","function":{"name":"f",'
        b'"arguments":"%b"}}]}}]}\n\n' % (index, index, text)
        for index, text in ((0, b'{\\"x\\":\\"\\ud83d'), (1, b"{}"), (0, b'\\ude00\\"}'))
    )
    made = [event for event in decode(calls) if isinstance(event, ToolCallDelta)]
    assert "".join(call.arguments for call in made if call.index == 0) == '{"x":"😀"}'
    whole = b'{"choices":[{"message":{"content":"\\ud83d\\ude00 \\ud83d"},"finish_reason":"stop"}]}'
    assert text_of(decode(whole)) == "😀 \ufffd"


def test_of_several_answers_one_is_read() -> None:
    def both(first: int, second: int, *texts: str) -> dict[str, Any]:
        places = zip((first, second), texts, strict=True)
        return {"choices": [{"index": at, "delta": {"content": text}} for at, text in places]}

    events = decode(
        sse(both(1, 0, "b1", "a1"), both(0, 1, "a2", "b2"), both(1, 2, "b3", "c"), *HELLO)
    )
    assert text_of(events) == "a1a2Grüß Gott 👋"


def test_calls_of_the_former_wire() -> None:
    def call(**members: Any) -> dict[str, Any]:
        return chunk({"function_call": members})

    pieces = (call(name="f", arguments=""), call(arguments='{"x":'), call(arguments="1}"))
    expected = [
        ToolCallDelta(0, "", "f", ""),
        ToolCallDelta(0, "", "", '{"x":'),
        ToolCallDelta(0, "", "", "1}"),
        Finished("tool_calls"),
    ]
    assert decode(sse(*pieces, chunk({}, "function_call"))) == expected
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = {"choices": [{"message": message, "finish_reason": "function_call"}]}
    assert decode(json.dumps(body).encode()) == [
        ToolCallDelta(0, "", "f", "{}"),
        Finished("tool_calls"),
    ]


def test_reasoning_between_tags_is_no_text() -> None:
    tagged = [chunk({"content": text}) for text in ("<th", "ink>", "hmm", "</think>", "Answer")]
    expected = [ReasoningDelta("hmm"), TextDelta("Answer"), Finished("stop")]
    assert decode(sse(*tagged, chunk({}, "stop"))) == expected
    body = {"choices": [{"message": {"content": "<think>hmm</think>Answer"}}]}
    assert decode(json.dumps(body).encode()) == expected
    # A server that separates reasoning itself leaves no tags: these are what the model wrote.
    apart = chunk({"reasoning_content": "hm"}), chunk({"content": "<think> begins it"})
    assert text_of(decode(sse(*apart, chunk({}, "stop")))) == "<think> begins it"
    call = chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]})
    assert decode(sse(chunk({"content": "a <"}), call, chunk({}, "stop")))[:2] == [
        TextDelta("a "),
        TextDelta("<"),
    ]


@pytest.mark.parametrize("line", [b"data: x\n", b"data:\n", b"x" * 1000])
def test_an_endless_event_is_given_up(line: bytes) -> None:
    """Whether it is one line or many; what came before it stays."""
    decoder = Decoder()
    assert decoder.feed(sse(HELLO[0], done=False)) == [TextDelta("Grüß ")]
    block = line * (1_000_000 // len(line))
    with pytest.raises(ModelFailure, match="too long"):
        decode(*[block] * 200, decoder=decoder)


def test_an_endless_unstreamed_answer_is_given_up() -> None:
    with pytest.raises(ModelFailure, match="too long"):
        decode(b'{"x":"', *[b"x" * 1_000_000] * 40)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>502</html>",
        b"data: {oops\n\n",
        b"data: [DONE]\n\n",
        b"{}",
        b"{oops",
        b": only comments\n\n",
    ],
)
def test_nothing_to_read_is_a_failure(data: bytes) -> None:
    with pytest.raises(ModelFailure):
        decode(data)


def test_cut_before_the_end_is_a_failure_and_after_it_is_not() -> None:
    decoder = Decoder()
    assert decoder.feed(sse(HELLO[0], done=False)) == [TextDelta("Grüß ")]
    with pytest.raises(ModelFailure, match="connection"):
        decoder.finish(cut=True)
    assert decode(sse(*HELLO), cut=True) == EXPECTED


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_noise_never_breaks_it(noise: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(noise)
        decoder.feed(b"\n\ndata: " + noise + b"\n\n")
        decoder.finish()
    except ModelFailure:
        pass


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "content",
                        "tool_calls",
                        "function",
                        "usage",
                        "error",
                        "message",
                        "index",
                        "id",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_json_never_breaks_it(value: Any) -> None:
    decoder = Decoder()
    try:
        decoder.feed(b"data: " + json.dumps(value).encode() + b"\n\n")
        decoder.finish()
    except ModelFailure:
        pass


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "st\ud800"),
        chunk({"tool_calls": [{"index": 0, "id": "c\ud800", "function": {"name": "n\ud800"}}]}),
    ],
)
def test_halves_of_characters_in_other_places_can_be_stored(last: Any) -> None:
    data = sse(chunk({"content": "hello"})) + b"data: " + json.dumps(last).encode() + b"\n\n"
    events = decode(data)
    assert text_of(events) == "hello"
    for event in events:
        for value in vars(event).values() if hasattr(event, "__dict__") else ():
            str(value).encode()
    repr(events).encode()


def test_halves_of_characters_in_an_error_can_be_stored() -> None:
    decoder = Decoder()
    data = b'data: {"error":{"message":"bad \\ud800","code":"\\ud800"}}\n\n'
    with pytest.raises(ModelFailure) as failure:
        decode(data, decoder=decoder)
    str(failure.value).encode()
    assert "bad" in str(failure.value)


@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens":1e308}',
        '{"prompt_tokens":99999999999999999999}',
        '{"prompt_tokens":NaN,"completion_tokens":Infinity}',
        '{"prompt_tokens":-5,"completion_tokens":1000000001}',
    ],
)
def test_counts_that_cannot_be_are_none(usage: str) -> None:
    data = sse(chunk({"content": "u"}, "stop"), done=False)
    data += f'data: {{"choices":[],"usage":{usage}}}\n\ndata: [DONE]\n\n'.encode()
    assert decode(data) == [TextDelta("u"), Finished("stop")]


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "said", "index": 0, "finish_reason": "stop"},
        {"delta": "said", "index": 0, "finish_reason": "stop"},
        {"delta": {"content": {"type": "text", "text": "said"}}, "finish_reason": "stop"},
        {"delta": {"content": "said"}, "index": 0.0, "finish_reason": "stop"},
        {"delta": {"content": "said"}, "index": "0", "finish_reason": "stop"},
    ],
)
def test_other_forms_of_text(choice: Any) -> None:
    assert decode(sse({"choices": [choice]})) == [TextDelta("said"), Finished("stop")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"code": 1302, "msg": "busy"}, "busy"),
        ({"message": "quota", "type": "x"}, "quota"),
        ({"errors": [{"message": "several"}]}, "several"),
        ({"success": False, "message": "nope"}, "nope"),
        ({"base_resp": {"status_code": 1008, "status_msg": "balance"}, "choices": None}, "balance"),
    ],
)
def test_errors_in_other_forms_are_told(data: Any, expected: str) -> None:
    decoder = Decoder()
    events = decoder.feed(sse(chunk({"content": "hello"}), data, done=False))
    assert events == [TextDelta("hello")]
    with pytest.raises(ModelFailure, match=expected):
        decoder.finish()
