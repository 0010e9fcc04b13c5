"""The parts of reading a body, with values that nobody would think of."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from locutory_httpserver.bodies import Body, inflate
from locutory_httpserver.parsing import (
    MALFORMED,
    BodyRefused,
    drop_operators,
    form_parts,
    json_values,
    may_hold_operators,
    parse_form,
    parse_json,
)

ENCODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}


def outcome(call: Any, *arguments: Any) -> Any:
    """What a call returns, or the `BodyRefused` that it raises."""
    try:
        return call(*arguments)
    except BodyRefused as error:
        return error


def test_operators_are_dropped_at_any_depth() -> None:
    body = {
        "$where": 1,
        "a.b": {"c": 1},
        "nul\0": 1,
        "ok": [{"$gt": ""}, [{"x": {"y.z": 1, "y": {"$in": []}}}]],
        "text": "$gt a.b",
    }
    expected = {"ok": [{}, [{"x": {"y": {}}}]], "text": "$gt a.b"}
    assert drop_operators(body) == expected


def holds_operator(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            key.startswith("$") or "." in key or holds_operator(inner)
            for key, inner in value.items()
        )
    return isinstance(value, list) and any(map(holds_operator, value))


def values_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_of, inner))


KEYS = st.text(st.sampled_from("ab$.[]"), max_size=4)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_no_operator_survives(body: dict[str, Any]) -> None:
    harmless = not holds_operator(body)
    before = json.loads(json.dumps(body))
    after = drop_operators(body)
    assert not holds_operator(after)
    if harmless:
        assert after == before


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(0, 20))
@example(['a,b{[\\"', {'"': '\\\\"[,'}], 0)
def test_values_are_never_counted_too_low(value: Any, many: int) -> None:
    """Nor much too high, when they are many."""
    for text in (orjson.dumps(value), json.dumps(value, indent=1).encode()):
        counted = json_values(text, many)
        exact = values_of(value)
        assert counted > many or counted + 1 >= exact
        assert exact - 1 <= many or counted > many
        if counted > many:
            assert exact * 2 + 1 > many


def test_texts_hold_no_values() -> None:
    for text in ("a,b;c\n" * 30_000, '{["\\,' * 30_000, "\\" * 90_001 + '",'):
        assert json_values(orjson.dumps({"text": text}), 50) <= 2


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(st.sampled_from('ab$.\0\\"ü'), max_size=4), st.none(), max_size=4))
def test_a_search_finds_every_key_that_a_walk_would_drop(body: dict[str, Any]) -> None:
    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        escaped = text.replace("$", "\\u0024").replace(".", "\\u002E")
        for sent in (text.encode(), escaped.encode()):
            if not may_hold_operators(sent):
                value = parse_json(sent)
                assert drop_operators(parse_json(sent)) == value


def test_parts_of_a_form() -> None:
    assert form_parts(b"a=1&b=2") == 1
    assert form_parts(b"a[b][c]=1&a%5Bb%5d=2") == 4
    assert form_parts(b"a=" + b"%41" * 1000) == 100


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(lambda value: orjson.dumps(value)))
@example(b"{" * 100)
def test_json_is_a_value_or_400(body: bytes) -> None:
    value = outcome(parse_json, body)
    if isinstance(value, BodyRefused):
        assert (value.status, value.body) == (400, MALFORMED)
    else:
        assert isinstance(value, dict | list)
        assert not body or value == orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))


def test_halves_of_characters_become_replacements() -> None:
    """JSON.stringify sends a text that was cut inside an emoji so."""
    body = rb'{"cut": "a\ud83d", "tail": "\uDE00b", "both": "\ude00\ud83d", "ok": "\ud83d\ude00"}'
    assert parse_json(body) == {
        "cut": "a\ufffd",
        "tail": "\ufffdb",
        "both": "\ufffd\ufffd",
        "ok": "😀",
    }
    # A backslash that is itself escaped begins no escape.
    assert parse_json(rb'["\\ud83d", "\\\ud83d"]') == ["\\ud83d", "\\\ufffd"]
    for bad in (rb'["\ud83d"', rb'["\ud8"]', rb'["\ud83d" "\x"]'):
        assert outcome(parse_json, bad).body == MALFORMED


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab[]0=&%$.;+\0é"), max_size=60).map(str.encode) | st.binary())
@example(b"a[9999999999999999999999999999]=1")
@example(b"a[\xd9\xa3]=1")
def test_forms_are_a_mapping_or_4xx(body: bytes) -> None:
    form = outcome(parse_form, body)
    if isinstance(form, BodyRefused):
        assert form.status in (400, 413)
    else:
        orjson.dumps(drop_operators(form))


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=100),
    st.sampled_from(["gzip", "deflate", "br"]),
    st.integers(0, 40),
    st.data(),
)
def test_inflating_is_exact_or_4xx(
    body: bytes, encoding: str, keep: int, data: st.DataObject
) -> None:
    packed = ENCODINGS[encoding](body)
    assert inflate(packed, encoding, 100) == body
    damaged = packed[:keep] + data.draw(st.binary(max_size=5))
    plain = outcome(inflate, damaged, encoding, 100)
    assert plain is None or isinstance(plain, bytes) or plain.status == 400


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=30), max_size=5),
    st.sampled_from([b"application/json", b"application/x-www-form-urlencoded", b"x/y", b""]),
    st.sampled_from([b"", b"; charset=utf-8", b"; charset=utf-16", b"; charset=", b";;=\xff"]),
    st.sampled_from([None, b"gzip", b"br", b"deflate", b"\xff", b"identity"]),
    st.sampled_from([None, b"5", b"99999999999", b"-1", b"x"]),
)
def test_no_body_is_a_server_error(
    chunks: list[bytes],
    kind: bytes,
    parameters: bytes,
    encoding: bytes | None,
    length: bytes | None,
) -> None:
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    messages.append({"type": "http.request", "body": b""})
    waiting = iter(messages)

    async def receive() -> Any:
        return next(waiting)

    headers = {b"content-type": kind + parameters}
    if encoding is not None:
        headers[b"content-encoding"] = encoding
    if length is not None:
        headers[b"content-length"] = length

    async def read() -> Any:
        body = Body(receive, headers, 5)
        payload = await body.early()
        if body.pending:
            payload = await body.late(100, True, asyncio.Semaphore())
        return payload

    value = outcome(lambda: asyncio.run(read()))
    assert isinstance(value, dict | list) or value.status in (400, 413, 415)
