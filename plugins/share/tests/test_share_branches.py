"""Trees of any shape: broken, with several roots, with cycles."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from locutory_contracts.conversations import NO_PARENT
from locutory_share.branches import branch_end, parent_of, path_to, up_to_level
from locutory_share.forking import copied

START = datetime(2026, 1, 1, tzinfo=UTC)
Messages = list[dict[str, Any]]


@st.composite
def trees(draw: st.DrawFn) -> Messages:
    """Up to twelve messages whose parents are any of them, nobody, or unknown."""
    count = draw(st.integers(1, 12))
    parents = st.sampled_from([*map(str, range(count)), NO_PARENT, "", None, "unknown"])
    return [
        {
            "messageId": str(number),
            "parentMessageId": draw(parents),
            "createdAt": START + timedelta(seconds=draw(st.integers(0, 5))),
        }
        for number in range(count)
    ]


def depths(messages: Messages) -> dict[str, int]:
    """Distance from a root, of those that a root leads to."""
    by_id = {message["messageId"]: message for message in messages}
    found = {}
    for name in by_id:
        at, steps, seen = name, 0, set()
        while at in by_id and at not in seen:
            seen.add(at)
            at = parent_of(by_id[at])
            steps += 1
        if at == NO_PARENT:
            found[name] = steps
    return found


def ids(messages: Sequence[dict[str, Any]]) -> list[str]:
    return [message["messageId"] for message in messages]


@settings(max_examples=300, deadline=None)
@given(trees(), st.integers(0, 11))
def test_a_target_never_shows_more_than_its_levels(messages: Messages, number: int) -> None:
    target = str(number)
    shown = ids(up_to_level(messages, target))
    assert shown == [name for name in ids(messages) if name in shown]
    known = depths(messages)
    if target in known:
        assert set(shown) == {name for name in known if known[name] <= known[target]}
    elif known or target not in ids(messages):
        assert shown in ([], [target] if len(messages) == 1 else [])
    else:  # no roots at all: the target is the first level
        assert shown == [target]


@settings(max_examples=300, deadline=None)
@given(trees())
def test_a_branch_ends_somewhere(messages: Messages) -> None:
    for target in ids(messages):
        end = branch_end(messages, target)
        assert end in ids(messages)
    assert branch_end(messages, "nobody") == "nobody"


@settings(max_examples=300, deadline=None)
@given(trees())
def test_a_path_leads_to_its_message(messages: Messages) -> None:
    for index, message in enumerate(messages):
        path = path_to(messages, index)
        assert path[-1] is message
        assert len(set(ids(path))) == len(path)
        for parent, child in pairwise(path):
            assert child["parentMessageId"] == parent["messageId"]


@settings(max_examples=300, deadline=None)
@given(trees())
def test_copies_make_a_tree(messages: Messages) -> None:
    conversation = {"conversationId": "new", "user": "reader"}
    copies = copied(messages, conversation, "openAI")
    assert len(copies) == len(messages)
    by_id = {copy["messageId"]: copy for copy in copies}
    assert len(by_id) == len(messages)
    assert not by_id.keys() & set(ids(messages))
    for copy in copies:
        seen = set()
        at = copy
        while at["parentMessageId"] != NO_PARENT:
            assert at["messageId"] not in seen
            seen.add(at["messageId"])
            parent = by_id[at["parentMessageId"]]
            assert parent["createdAt"] < at["createdAt"]
            at = parent


def test_long_chains_are_walked_without_recursion() -> None:
    chain: Messages = [
        {
            "messageId": str(number),
            "parentMessageId": str(number - 1) if number else NO_PARENT,
            "createdAt": START,
        }
        for number in range(20_000)
    ]
    assert len(up_to_level(chain, "19999")) == 20_000
    assert branch_end(chain, "0") == "19999"
    assert len(path_to(chain, 19_999)) == 20_000
    assert len(copied(chain, {"conversationId": "new", "user": "reader"}, "openAI")) == 20_000
