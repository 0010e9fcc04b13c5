"""Parts on their own: the log, the transcript, history, budget, frames, requests."""

import asyncio
from typing import Any

import orjson
import pytest
from starlette.types import Message

from locutory_agents.config import AgentsConfig, loop_limits
from locutory_agents.job import Job, TurnRecord
from locutory_agents.loop.budget import Budget, CountedMessages, HeuristicCounter, SampledCounter
from locutory_agents.loop.history import assistant_messages, count_content, item, items, with_quotes
from locutory_agents.loop.instructions import local_time, with_variables
from locutory_agents.stream import frames, sse
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.log import EventLog
from locutory_agents.stream.recorder import TurnClosed, TurnRecorder
from locutory_agents.stream.transcript import Transcript, flatten
from locutory_agents.turns.payloads import MAX_OUTPUT_BYTES, merged, storable
from locutory_agents.turns.steering import Steer, SteerQueue
from locutory_agents.turns.title import clean
from locutory_contracts.chat import TurnRefused
from locutory_testing.waiting import PATIENCE, until

TOKENS = HeuristicCounter()


def recorder() -> TurnRecorder:
    record = TurnRecord(response_message_id="r", shown={"messageId": "u"}, sender="S")
    return TurnRecorder(Job("c", "u", 5, record=record))


def events_of(feed: Feed) -> list[dict[str, Any]]:
    return frames.parse(b"".join(feed.log.read(0) or []))


STORED: dict[str, Any] = {
    "conversationId": "c",
    "startedAt": "2026-01-01T02:03:04.567000+00:00",
    "existing": False,
    "userMessage": {"messageId": "u", "text": "hi", "tokenCount": 7},
    "shown": {"messageId": "u"},
    "responseMessageId": "r",
    "endpoint": "agents",
    "conversation": {"endpoint": "agents", "agent_id": "agent_1"},
    "temporary": False,
    "model": "agent_1",
    "sender": "N",
    "agentId": "agent_1",
    "iconURL": "https://x/i.png",
    "announced": True,
    "kept": [{"type": "text", "text": "k"}],
}
"""All members of a record, as they stand in Redis: workers of other versions read them."""


def test_a_record_is_stored_in_the_form_of_other_versions() -> None:
    assert orjson.dumps(TurnRecord.from_json(STORED).to_json()) == orjson.dumps(STORED)
    always = ["conversationId", "startedAt", "existing", "userMessage", "shown"]
    always += ("responseMessageId", "endpoint", "conversation")
    assert set(TurnRecord().to_json()) == set(always)


@pytest.mark.parametrize("missing", STORED)
def test_a_record_of_another_version_is_read(missing: str) -> None:
    stored = {name: value for name, value in STORED.items() if name != missing}
    record = TurnRecord.from_json({**stored, "new": {"in": "a later version"}})
    defaults = {name: value for name, value in TurnRecord().to_json().items() if name == missing}
    assert record.to_json() == stored | defaults


def test_text_of_one_moment_is_one_event() -> None:
    made = recorder()
    step = made.open_text("text", "m", 0, {})
    for piece in ("a", "b", "c"):
        step.write(piece)
    assert len(events_of(made)) == 2
    step.write("d")
    made.close(step)
    texts = [
        event["data"]["delta"]["content"][0]["text"]
        for event in events_of(made)
        if event["event"] == "on_message_delta"
    ]
    assert texts == ["abc", "d"]
    assert made.transcript.content() == [{"type": "text", "text": "abcd"}]


def test_nothing_is_recorded_after_the_end() -> None:
    made = recorder()
    step = made.open_text("text", "m", 0, {})
    step.write("kept")
    made.seal()
    for work in (
        lambda: step.write("lost"),
        lambda: made.emit("x", {}),
        lambda: made.open_text("text", "m", 0, {}),
        lambda: made.add_part({"type": "error", "error": "x"}),
    ):
        with pytest.raises(TurnClosed):
            work()
    assert made.transcript.content() == [{"type": "text", "text": "kept"}]
    assert len(events_of(made)) == 2


def full_turn() -> TurnRecorder:
    made = recorder()
    made.context({"contextBudget": 1})
    think = made.open_text("think", "m", 0, {})
    think.write("hm ")
    made.flush()
    think.write("well")
    made.close(think)
    empty = made.open_text(None, "m", 0, {})
    made.close(empty)
    call = made.open_call("call_1", "add", "", 0, {"agentId": "x", "groupId": 1})
    made.first_arguments(call, "add", '{"a"', 0)
    call.write(":1}")
    other = made.open_call("call_2", "wait", "", 1, {})
    made.first_arguments(other, "wait", '{"un', 1)
    made.complete_call(call, {"args": '{"a":1}', "output": "1"}, 0)
    made.close(call)
    made.attachment({"type": "x"})
    made.usage({"seq": 1})
    made.title({"title": "T"})
    index = made.add_part({"type": "steer", "steer": "go"})
    made.emit("on_steer_applied", {"index": index, "part": {"type": "steer", "steer": "go"}})
    last = made.open_text("text", "m", 0, {})
    last.write("end")
    return made


def test_followers_see_what_the_owner_sees() -> None:
    """Folding the events gives the transcript that the turn itself has, also by way of a dump."""
    made = full_turn()
    folded = Transcript()
    for event in events_of(made):
        folded.apply(event)
    for other in (folded, Transcript.load(orjson.loads(orjson.dumps(folded.dump())))):
        assert other.snapshot() == made.transcript.snapshot()
        assert other.content() == made.transcript.content()
        assert list(other.steps) == list(made.transcript.steps)
        assert (other.usage, other.title) == (made.transcript.usage, made.transcript.title)
        assert other.attachments == made.transcript.attachments
    assert len(made.transcript.snapshot()) == 6
    assert made.transcript.snapshot()[1] == {
        "type": "text",
        "text": "",
        "tool_call_ids": ["call_1", "call_2"],
    }
    assert len(made.transcript.content()) == 5


def test_dump_in_the_middle_of_a_call() -> None:
    made = full_turn()
    loaded = Transcript.load(orjson.loads(orjson.dumps(made.transcript.dump())))
    position = made.log.end
    step = next(s for s in made.transcript.steps.values() if s["index"] == 3)
    made.emit(
        "on_run_step_delta",
        {"id": step["id"], "delta": {"type": "tool_calls", "tool_calls": [{"args": 'used":2}'}]}},
    )
    for event in frames.parse(b"".join(made.log.read(position) or [])):
        loaded.apply(event)
    assert loaded.snapshot()[3]["tool_call"]["args"] == '{"unused":2}'


def test_log_forgets_and_says_so() -> None:
    log = EventLog(max_events=10, max_bytes=1000)
    for number in range(11):
        log.append(b"%d" % number)
    assert log.read(0) is None
    assert log.end == 11
    assert log.read(6) == [b"6", b"7", b"8", b"9", b"10"]
    assert log.read(11) == []
    log.append(b"x" * 2000)
    assert log.read(11) in (None, [b"x" * 2000])
    assert log.news(11)
    assert not EventLog().news(0)


async def lost(feed: Feed) -> frames.Terminal:
    """What a reader is told whose feed broke off."""
    return frames.reconcile("terminal_payload_missing", feed.job.stream_id, feed.job.created_at)


async def test_a_reader_that_cannot_keep_up_gets_a_snapshot() -> None:
    """The text that a slow reader puts together is exact, whatever it missed."""
    made = recorder()
    made.log._max_events = 8
    step = made.open_text("text", "m", 0, {})
    sent: list[bytes] = []
    blocked = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append(message.get("body", b""))
            if len(sent) == 2:
                await blocked.wait()

    async def receive() -> Message:
        await asyncio.sleep(3600)
        return {}

    async def left(feed: Feed) -> None:
        assert feed is made

    stream = sse.EventStream(
        made, 2, resume=False, heartbeat=sse.Heartbeat(), left=left, again=lost
    )
    task = asyncio.create_task(stream({"type": "http", "method": "GET"}, receive, send))
    for number in range(100):
        step.write(f"{number} ")
        made.flush()  # as another, faster reader would
        await asyncio.sleep(0)
        if number == 60:
            blocked.set()
    made.close(step)
    made.log.close(frames.final({}))
    await asyncio.wait_for(task, PATIENCE)
    text = ""
    for block in frames.parse(b"".join(sent)):
        if block.get("sync"):
            text = block["resumeState"]["aggregatedContent"][0]["text"]
        elif block.get("event") == "on_message_delta":
            text += block["data"]["delta"]["content"][0]["text"]
    assert text == "".join(f"{number} " for number in range(100))
    assert b'"sync":true' in b"".join(sent)
    assert made.log.watchers == 0


async def test_stream_that_breaks_off_says_so() -> None:
    """A proxy may make a clean end of a dropped connection."""
    made = recorder()
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        await asyncio.sleep(3600)
        return {}

    async def left(feed: Feed) -> None:
        return

    heartbeat = sse.Heartbeat()
    stream = sse.EventStream(made, 1, resume=False, heartbeat=heartbeat, left=left, again=lost)
    task = asyncio.create_task(stream({"type": "http", "method": "GET"}, receive, send))
    await until(lambda: len(heartbeat) == 1)
    made.log.break_off()
    await asyncio.wait_for(task, PATIENCE)
    assert len(heartbeat) == 0
    assert messages[-1]["body"] == frames.reconcile("terminal_payload_missing", "c", 5).v1
    assert messages[-1]["more_body"] is False


def test_terminal_events_carry_the_readers_version() -> None:
    end = frames.reconcile("generation_replaced", "c", 5)
    assert end.frame(1).startswith(b"event: error\n")
    assert end.frame(1).endswith(b',"generationProtocolVersion":1}\n\n')
    assert b'"reconcile":true' in end.frame(2)
    assert frames.failure("x").frame(2) == (
        b'event: error\ndata: {"error":"x","generationProtocolVersion":2}\n\n'
    )


def test_flattening() -> None:
    content: list[dict[str, Any]] = [
        {"type": "think", "think": "a"},
        {"type": "text", "text": {"value": "b "}},
        {"type": "tool_call", "tool_call": {}},
        {"type": "text", "text": "c"},
        {"type": "steer", "steer": "d"},
        {"type": "text", "text": None},
    ]
    assert flatten(content) == "a b c d"
    assert flatten(content, steers=False) == "a b c"


def test_kept_parts_meet_new_ones() -> None:
    kept = [{"type": "text", "text": "a"}]
    assert merged(kept, [{"type": "text", "text": "b"}]) == [{"type": "text", "text": "ab"}]
    assert merged(kept, [{"type": "think", "think": "b"}])[0] == kept[0]
    assert merged(kept, []) == kept
    assert kept == [{"type": "text", "text": "a"}]


def call_part(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_call", "tool_call": {"id": call_id, "name": "t", "args": "{}", **more}}


def test_history_of_tool_calls() -> None:
    """Calls in a row belong to one message; broken arguments and missing results are mended."""
    content = [
        None,
        {"type": "think", "think": "hm"},
        {"type": "text", "text": "I look."},
        call_part("a", output="1"),
        call_part("b", args='{"x"'),
        {"type": "error", "error": "x"},
        {"type": "steer", "steer": "faster"},
        {"type": "activity_label", "activity_label": "x"},
        call_part("", output="no id"),
        {"type": "text", "text": "Done."},
    ]
    messages = assistant_messages(content, "me")
    assert [m["role"] for m in messages] == ["assistant", "tool", "tool", "user", "assistant"]
    assert messages[0]["reasoning_content"] == "hm"
    assert [c["id"] for c in messages[0]["tool_calls"]] == ["a", "b"]
    assert messages[0]["tool_calls"][1]["function"]["arguments"] == "{}"
    assert [m["content"] for m in messages[1:3]] == ["1", "[cancelled]"]
    assert assistant_messages([{"type": "error", "error": "x"}], "me") == []


def test_history_of_parallel_answers() -> None:
    content = [
        {"type": "text", "text": "one", "agentId": "a", "groupId": 1},
        {"type": "text", "text": "two", "agentId": "b", "groupId": 1},
        {"type": "text", "text": "all"},
    ]
    for agent, text in (("a", "oneall"), ("b", "twoall"), ("c", "oneall")):
        assert assistant_messages(content, agent)[0]["content"] == text


def test_items() -> None:
    stored: list[dict[str, Any]] = [
        {"isCreatedByUser": True, "text": "q", "quotes": ["z", 5], "tokenCount": 7},
        {"isCreatedByUser": False, "text": "refused", "error": True},
        {"isCreatedByUser": False, "text": ":::thinking\nold\n:::\nanswer"},
        {"isCreatedByUser": False, "text": "", "content": []},
        {"isCreatedByUser": True, "text": 5},
    ]
    found = items(stored, "me", TOKENS)
    assert [i.tokens for i in found] == [7, 4 + 2, 4]
    assert found[0].messages[0]["content"] == "> z\n\nq"
    assert found[1].messages[0]["content"] == "answer"
    assert item({"isCreatedByUser": False, "text": " "}, "me", TOKENS) is None


def test_counting_content() -> None:
    assert count_content(TOKENS, [{"type": "error", "error": "long text"}]) == 4
    assert count_content(TOKENS, [{"type": "think", "think": "xxxx"}]) == 4
    assert count_content(TOKENS, [call_part("a", output={"x": 1})]) == 4 + 1 + 1 + 2


def test_budget() -> None:
    budget = Budget(window=400, system=10, dynamic=0, tools={"t": 20}, tokens=TOKENS)
    assert (budget.limit, budget.instructions, budget.room) == (380, 30, 350)
    history = items(
        [{"isCreatedByUser": n % 2 == 0, "text": f"{n}", "tokenCount": 100} for n in range(6)],
        "me",
        TOKENS,
    )
    question = CountedMessages(TOKENS, [{"role": "user", "content": "x" * 40}])
    messages, numbers = budget.fit(history, question, first=True)
    assert [m["content"] for m in messages[:-1]] == ["4", "5"]
    assert numbers["prePruneContextTokens"] == 614
    assert numbers["breakdown"]["messageTokens"] == 217
    assert numbers["remainingContextTokens"] == 350 - 217
    long = CountedMessages(TOKENS, [{"role": "user", "content": "x" * 4000}])
    with pytest.raises(TurnRefused) as refused:
        budget.fit([], long, first=True)
    assert orjson.loads(refused.value.payload) == {
        "type": "INPUT_LENGTH",
        "info": "1034 / 380",
    }


def test_long_texts_are_sampled() -> None:
    class Noting(HeuristicCounter):
        def count(self, text: str) -> int:
            sizes.append(len(text))
            return super().count(text)

    sizes: list[int] = []
    counter = SampledCounter(Noting())
    assert counter.count("x" * 20_000) == 5000
    assert counter.count("x" * 1_000_000) == 250_000
    assert max(sizes) == 20_000


def test_limits_from_the_configuration() -> None:
    config = AgentsConfig()
    assert loop_limits(config, None).steps == 50
    assert loop_limits(config, {"agents": 5}).arguments_of("create_file") == 131_072
    limits = loop_limits(
        config,
        {
            "agents": {
                "recursionLimit": 80,
                "maxRecursionLimit": 60,
                "maxToolCallArgBytesByTool": {"x": 5, "y": "z"},
                "maxToolResultChars": 2000,
            },
            "all": {"maxToolResultChars": 3000},
        },
    )
    assert (limits.steps, limits.arguments_of("x"), limits.arguments_of("y")) == (60, 5, 65_536)
    assert limits.output_characters == 3000


def test_dates() -> None:
    body = {"clientTimestamp": "2026-01-31T23:59:58"}
    assert local_time(body).isoformat() == "2026-01-31T23:59:58"
    text = with_variables("{{CURRENT_DATE}}|{{ current_datetime }}|{{current_user}}", body, {})
    assert text == "2026-01-31 (Saturday)|2026-01-31 23:59:58 (Saturday)|"
    assert local_time({"timezone": "../etc/passwd"}).tzname() == "UTC"
    assert local_time({"clientTimestamp": "nonsense"}).tzname() == "UTC"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('"Fake Title"', "Fake Title"),
        ("\n# Title: One Two\nmore", "One Two"),
        ("**Bold**", "Bold"),
        ("x" * 200, "x" * 100),
        ("  \n ", ""),
        ("<think>hmm</think>\nNice Title", "Nice Title"),
        ("<THINK>\nhm\nm\n</THINK>\n\n**Nice   Title**", "Nice Title"),
        ("<think>a</think><think>b</think>Nice Title", "Nice Title"),
        ("hmm\n</think>\nNice Title", "Nice Title"),
        ("<thinking>hmm</thinking>Nice Title", "Nice Title"),
        ("<think>never closed", ""),
        ("<think>hmm</think>", ""),
    ],
)
def test_titles_are_tidied(text: str, title: str) -> None:
    assert clean(text) == title


def test_quotes() -> None:
    assert with_quotes("t", ["a\nb", "c"]) == "> a\n> b\n\n> c\n\nt"
    assert with_quotes("", ["a"]) == "> a"
    assert with_quotes("t", []) == "t"


def test_steer_queue() -> None:
    queue = SteerQueue()
    interrupted: list[int] = []
    queue.on_armed(lambda: interrupted.append(1))
    status, body = queue.add(Steer("a", None, (), False))
    assert (status, body["position"]) == (202, 1)
    assert not queue.armed
    assert queue.arm(body["steerId"])["armed"] is True
    assert queue.armed
    assert interrupted == [1]
    taken = queue.take()
    assert [steer.text for steer in taken] == ["a"]
    assert queue.arm(body["steerId"]) == {"armed": False}
    assert queue.cancel(body["steerId"], None) == {"removed": False}
    for number in range(100):
        queue.add(Steer("x", f"c{number}", (), False))
        queue.take()
    assert queue.add(Steer("x", "one more", (), False))[1] == {"code": "STEER_RECEIPT_LIMIT"}
    queue.add(Steer("left", None, (), True))
    assert [steer["text"] for steer in queue.close()] == ["left"]
    assert queue.add(Steer("x", None, (), False))[0] == 404
    assert queue.add(Steer("x", "c5", (), False))[1]["settled"] is True


def test_results_that_no_document_can_hold() -> None:
    """Fifty results of a megabyte each are cut until they can be stored."""
    content = [call_part(f"c{n}", output="ä" * 500_000) for n in range(50)]
    content.append(call_part("small", output="whole"))
    content.append(call_part("none"))
    kept = storable(content)
    outputs = [part["tool_call"].get("output", "") for part in kept]
    assert sum(len(output.encode()) for output in outputs) <= MAX_OUTPUT_BYTES
    assert outputs[50] == "whole"
    assert outputs[0].endswith("[shortened]")


async def test_a_reader_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that takes nothing any more must not hold a log for ever."""
    monkeypatch.setattr(sse, "STUCK_TICKS", 2)
    made = recorder()
    gone: list[Feed] = []

    async def send(message: Message) -> None:
        if message.get("body"):
            await asyncio.sleep(3600)

    async def receive() -> Message:
        await asyncio.sleep(3600)
        return {}

    async def left(feed: Feed) -> None:
        gone.append(feed)

    heartbeat = sse.Heartbeat(0.02)
    stream = sse.EventStream(made, 2, resume=False, heartbeat=heartbeat, left=left, again=lost)
    task = asyncio.create_task(stream({"type": "http", "method": "GET"}, receive, send))
    made.emit("x", {})
    await asyncio.wait_for(task, PATIENCE)
    assert gone == [made]
    assert made.log.watchers == 0
