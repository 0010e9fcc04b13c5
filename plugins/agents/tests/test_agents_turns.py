"""Whole turns over HTTP: the sequences of chat-stream §6.7 and what is saved (§5.2, §10)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from plugins.agents.tests.conftest import Kit

from locutory_contracts.models import (
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    ReasoningDelta,
    ReasoningEnded,
    TextDelta,
    TitleSettings,
)
from locutory_testing import Serve, SignIn

PLAIN = [
    "created",
    "on_context_usage",
    "on_run_step",
    "on_message_delta",
    "on_run_step_closed",
    "final",
]


async def test_plain_text(serve: Serve, kit: Kit) -> None:
    history, models = kit.History(), kit.Models()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ECHO:Hello golden world", isTemporary=False)
        assert started["streamId"] == started["conversationId"]
        assert started["status"] == "started"
        assert isinstance(started["generationCreatedAt"], int)
        assert started["generationProtocolVersion"] == 2
        events = await user.events(started)
        assert kit.names(events) == PLAIN
        assert kit.said(events) == "Hello golden world"
        created, final = events[0].data, events[-1].data
        conversation = started["conversationId"]
        assert created["streamId"] == conversation
        assert created["message"] == {
            "messageId": created["message"]["messageId"],
            "parentMessageId": kit.root,
            "conversationId": conversation,
            "sender": "User",
            "text": "ECHO:Hello golden world",
            "isCreatedByUser": True,
        }
        step = events[2].data["data"]
        answer = final["responseMessage"]
        assert step["runId"] == answer["messageId"]
        assert (step["index"], step["stepIndex"], step["status"]) == (0, 0, "in_progress")
        assert step["usage"] is None
        assert step["stepDetails"]["message_creation"]["content_type"] == "text"
        assert final["requestMessage"] == created["message"] | {"tokenCount": 10}
        assert answer == {
            "messageId": answer["messageId"],
            "conversationId": conversation,
            "parentMessageId": created["message"]["messageId"],
            "isCreatedByUser": False,
            "isEdited": False,
            "sender": "Fake",
            "endpoint": "Fake",
            "model": "fake-1",
            "text": "",
            "content": [{"type": "text", "text": "Hello golden world"}],
            "attachments": [],
            "promptTokens": 10,
            "tokenCount": 9,
        }
        assert final["title"] == final["conversation"]["title"] == "New Chat"
        assert final["generationProtocolVersion"] == 2
        assert len(final["conversation"]["messages"]) == 2
        assert final["conversation"]["maxContextTokens"] == 30400
        assert final["conversation"]["agent_id"] == "Fake__fake-1___Fake"
        stored = history.stored[(kit.user, answer["messageId"])]
        assert stored["unfinished"] is False
        assert stored["error"] is False
        assert stored["content"] == answer["content"]
        asked = history.stored[(kit.user, created["message"]["messageId"])]
        assert asked["endpoint"] == "Fake"
        assert asked["isTemporary"] is False
        assert models.calls[0].messages == [{"role": "user", "content": "ECHO:Hello golden world"}]
        status = (await user.get(f"/status/{conversation}")).json()
        assert status["active"] is False
        assert status["generationProtocolVersion"] == 2


async def test_context_numbers(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        first = await user.chat("ECHO:one two")
        usage = first[1].data["data"]
        assert usage["agentId"] == "Fake__fake-1___Fake"
        assert usage["contextBudget"] == 28880
        assert usage["breakdown"]["messageTokens"] == usage["prePruneContextTokens"] + 3
        assert usage["remainingContextTokens"] == 28880 - usage["breakdown"]["messageTokens"]
        final = first[-1].data
        second = await user.chat(
            "ECHO:three",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        usage = second[1].data["data"]
        assert usage["breakdown"]["messageCount"] == 3
        counted = final["requestMessage"]["tokenCount"] + final["responseMessage"]["tokenCount"]
        asked = second[-1].data["requestMessage"]["tokenCount"]
        assert usage["prePruneContextTokens"] == counted + asked
        assert second[-1].data["responseMessage"]["promptTokens"] == counted + asked


async def test_protocol_one(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server, protocol=None)
        started = await user.start("ECHO:old protocol")
        assert started["generationProtocolVersion"] == 1
        events = await user.events(started)
        assert kit.names(events) == PLAIN
        assert events[-1].data["generationProtocolVersion"] == 1


async def test_reasoning(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        events = await kit.chatter(server).chat("THINK:let me see|the answer")
        assert kit.names(events) == [
            "created",
            "on_context_usage",
            "on_run_step",
            "on_reasoning_delta",
            "on_run_step_closed",
            "on_run_step",
            "on_message_delta",
            "on_run_step_closed",
            "final",
        ]
        steps = [event.data["data"] for event in events if event.name == "on_run_step"]
        assert [step["index"] for step in steps] == [0, 1]
        kinds = [step["stepDetails"]["message_creation"]["content_type"] for step in steps]
        assert kinds == ["think", "text"]
        content = [
            {"type": "think", "think": "let me see"},
            {"type": "text", "text": "the answer"},
        ]
        assert events[-1].data["responseMessage"]["content"] == content
        conversation = events[-1].data["conversation"]["conversationId"]
        assert history.answer(conversation)["content"] == content


async def test_usage_is_told_and_saved(serve: Serve, kit: Kit) -> None:
    prices = {"prompt": 1.0, "completion": 2.0, "cacheRead": 0.5}
    models, history = kit.Models(prices=prices), kit.History()
    yaml = {"interface": {"contextCost": True}}
    async with serve("agents", SignIn(), models, history, yaml=yaml) as server:
        events = await kit.chatter(server).chat("USE:four words are here")
        usage = next(event.data["data"] for event in events if event.name == "on_token_usage")
        answer = events[-1].data["responseMessage"]
        cost = (8 * 1.0 + 2 * 0.5 + 4 * 2.0) / 1_000_000
        assert usage == {
            "input_tokens": 10,
            "output_tokens": 4,
            "total_tokens": 14,
            "input_token_details": {"cache_creation": 0, "cache_read": 2},
            "model": "fake-1",
            "provider": "openAI",
            "runId": answer["messageId"],
            "seq": 1,
            "cost": pytest.approx(cost),
        }
        assert answer["tokenCount"] == 4
        assert answer["promptTokens"] == 10
        assert answer["metadata"]["usage"] == {
            "input": 10,
            "output": 4,
            "cacheWrite": 0,
            "cacheRead": 2,
            "cost": pytest.approx(cost),
        }
        assert answer["metadata"]["contextUsage"]["completedOutputTokens"] == 4


async def test_temporary_chat(serve: Serve, kit: Kit) -> None:
    models = kit.Models(title=TitleSettings(enabled=True))
    history = kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        events = await kit.chatter(server).chat("ECHO:gone soon", isTemporary=True)
        assert "title" not in kit.names(events)
        assert events[-1].data["conversation"]["isTemporary"] is True
        assert all(message["isTemporary"] for message in history.stored.values())


async def test_title_is_told_handed_over_and_saved(serve: Serve, kit: Kit) -> None:
    models = kit.Models(title=TitleSettings(enabled=True))
    history = kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("SLOW:5:20")
        events = await user.events(started)
        told = [event.data["data"] for event in events if event.name == "title"]
        conversation = started["conversationId"]
        assert told == [{"conversationId": conversation, "title": "A Title"}]
        assert "title" not in kit.names([events[-1]])
        key = (kit.user, conversation)
        await kit.until(lambda: history.conversations[key]["title"] == "A Title")
        cached = await server.kernel.cache.get("GEN_TITLE", f"{kit.user}-{conversation}")
        assert cached == "A Title"
        assert models.bodies[-1]["disableStreaming"] is True
        again = await user.chat(
            "ECHO:more",
            conversationId=conversation,
            parentMessageId=events[-1].data["responseMessage"]["messageId"],
        )
        assert "title" not in kit.names(again)
        assert again[-1].data["conversation"]["title"] == "A Title"


async def test_title_of_an_answer_that_is_over_first(serve: Serve, kit: Kit) -> None:
    """While the answer is being saved the title can still be told."""
    models = kit.Models(title=TitleSettings(enabled=True))
    history = kit.History()
    history.pause = 0.05
    async with serve("agents", SignIn(), models, history) as server:
        events = await kit.chatter(server).chat("ECHO:quick")
        assert "title" in kit.names(events)
        key = (kit.user, events[-1].data["conversation"]["conversationId"])
        await kit.until(lambda: history.conversations[key]["title"] == "A Title")


async def test_title_after_the_turn(serve: Serve, kit: Kit) -> None:
    models = kit.Models(
        title=TitleSettings(enabled=True, timing="final", prompt="Name it: {convo}\nConversation:")
    )
    history = kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        events = await kit.chatter(server).chat("ECHO:the answer text")
        assert "title" not in kit.names(events)
        key = (kit.user, events[-1].data["conversation"]["conversationId"])
        await kit.until(lambda: history.conversations[key]["title"] == "A Title")
        prompt = models.calls[-1].messages[0]["content"]
        assert prompt.startswith("Name it: User: ECHO:the answer text\nAI: the answer text")


async def test_history_goes_to_the_model(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        first = await user.chat("THINK:hm|first", quotes=[" quoted\nline ", 5, ""])
        final = first[-1].data
        assert final["requestMessage"]["quotes"] == ["quoted\nline"]
        await user.chat(
            "ECHO:second",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
            promptPrefix="Be brief.",
        )
        assert models.calls[-1].messages == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "> quoted\n> line\n\nTHINK:hm|first"},
            {"role": "assistant", "content": "first", "reasoning_content": "hm"},
            {"role": "user", "content": "ECHO:second"},
        ]


async def test_variables_of_the_prompt(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        await kit.chatter(server).chat(
            "ECHO:x",
            promptPrefix="{{current_user}} {{ Current_Date }} {{current_datetime}} {{iso_datetime}} {{x}}",
            timezone="Asia/Kolkata",
        )
        text = models.calls[0].messages[0]["content"]
        assert text.startswith("Test User 20")
        assert " +05:30 (" in text
        assert text.endswith("Z {{x}}")


async def test_regenerate_makes_a_sibling(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        final = (await user.chat("ECHO:answer"))[-1].data
        asked, answered = final["requestMessage"], final["responseMessage"]
        before = dict(history.stored[(kit.user, asked["messageId"])])
        events = await user.chat(
            "ECHO:answer",
            conversationId=asked["conversationId"],
            parentMessageId=asked["parentMessageId"],
            isRegenerate=True,
            overrideParentMessageId=asked["messageId"],
            responseMessageId=f"{answered['messageId']}_",
        )
        again = events[-1].data
        assert again["requestMessage"]["messageId"] == asked["messageId"]
        assert again["responseMessage"]["parentMessageId"] == asked["messageId"]
        assert again["responseMessage"]["messageId"] not in (
            answered["messageId"],
            f"{answered['messageId']}_",
        )
        after = dict(history.stored[(kit.user, asked["messageId"])])
        assert after.pop("updatedAt") >= before.pop("updatedAt")
        assert after == before
        assert len(history.stored) == 3


async def test_edited_answer_goes_on(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        final = (await user.chat("THINK:thought|old text"))[-1].data
        asked, answered = final["requestMessage"], final["responseMessage"]
        fields = {
            "conversationId": asked["conversationId"],
            "parentMessageId": asked["parentMessageId"],
            "isRegenerate": True,
            "overrideParentMessageId": asked["messageId"],
            "responseMessageId": answered["messageId"],
        }
        edit = {"index": 1, "type": "text", "text": "new text,"}
        events = await user.chat("ECHO: and more", editedContent=edit, **fields)
        step = next(event.data["data"] for event in events if event.name == "on_run_step")
        assert step["index"] == 0
        again = events[-1].data["responseMessage"]
        assert again["isEdited"] is True
        assert again["messageId"] != answered["messageId"]
        assert again["content"] == [
            {"type": "think", "think": "thought"},
            {"type": "text", "text": "new text, and more"},
        ]
        assert models.calls[-1].messages[-1] == {
            "role": "assistant",
            "content": "new text,",
            "reasoning_content": "thought",
        }
        wrong = {"index": 7, "type": "text", "text": "x"}
        events = await user.chat("ECHO:x", editedContent=wrong, **fields)
        assert events[-1].kind == "error"


async def test_two_models_side_by_side(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        added = {"endpoint": "Other", "model": "m:2"}
        final = None
        events = await user.chat("SLOW:4:10", addedConvo=added)
        first, second = "Fake__fake-1___Fake", "Other__m__2___Other____1"
        steps = [event.data["data"] for event in events if event.name == "on_run_step"]
        assert {(step["agentId"], step["groupId"]) for step in steps} == {(first, 1), (second, 1)}
        assert sorted(step["index"] for step in steps) == [0, 1]
        final = events[-1].data
        content = final["responseMessage"]["content"]
        assert sorted(part["agentId"] for part in content) == [first, second]
        assert all(part["text"] == "tok0 tok1 tok2 tok3" for part in content)
        asked = final["requestMessage"]
        assert history.stored[(kit.user, asked["messageId"])]["addedConvo"] is True
        contexts = [e.data["data"]["agentId"] for e in events if e.name == "on_context_usage"]
        assert sorted(contexts) == [first, second]
        await user.chat(
            "ECHO:next",
            conversationId=asked["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        assert [m["role"] for m in models.calls[-1].messages] == ["user", "assistant", "user"]


async def test_old_messages_make_room(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        parent, conversation = kit.root, None
        for number in range(4):
            final = (
                await user.chat(
                    f"ECHO:{number} " + "word " * 200,
                    conversationId=conversation,
                    parentMessageId=parent,
                    maxContextTokens=1200,
                )
            )[-1].data
            conversation = final["conversation"]["conversationId"]
            parent = final["responseMessage"]["messageId"]
        sent = models.calls[-1].messages
        assert sent[0]["role"] == "user"
        assert sent[-1]["content"].startswith("ECHO:3")
        assert not any(message["content"].startswith("ECHO:0") for message in sent)
        assert len(history.stored) == 8


async def test_too_long_a_question(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        events = await kit.chatter(server).chat("ECHO:" + "x" * 9000, maxContextTokens=1200)
        assert kit.names(events) == ["created", "error"]
        assert '"type":"INPUT_LENGTH"' in events[-1].data["error"]
        assert [m["isCreatedByUser"] for m in history.stored.values()] == [True]


async def test_unknown_endpoint_and_model(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        started = await user.start("hi", endpoint="Nope")
        events = await user.events(started)
        assert [(event.kind, event.data) for event in events] == [
            (
                "error",
                {
                    "error": '{ "type": "endpoint_models_not_loaded", "info": "Nope" }',
                    "generationProtocolVersion": 2,
                },
            )
        ]
        late = await user.events(started)
        assert [event.kind for event in late] == ["error"]
        assert history.stored == {}


async def test_sdk_without_ids(serve: Serve, kit: Kit) -> None:
    """The Python SDK sends neither ``endpoint`` nor ids (clients §1)."""
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        answer = await user.post("/Fake", {"text": "ECHO:hi", "conversationId": None})
        assert answer.status_code == 200
        assert kit.said(await user.events(answer.json())) == "hi"
        answer = await user.post("/agents", {"text": "hi", "agent_id": None})
        assert answer.status_code == 400
        assert answer.json()["message"] == "agent_id is required in request body"


async def test_endpoint_names_are_decoded(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        answer = await user.post("/My%20Custom%2FOne", {"text": "ECHO:hi"})
        events = await user.events(answer.json())
        assert events[-1].data["responseMessage"]["endpoint"] == "My Custom/One"


async def test_titles_are_asked_for_with_the_turn_and_without_reasoning(
    serve: Serve, kit: Kit
) -> None:
    """Headers of the operator may name the turn; an endless title is not awaited."""
    endless = 0

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        nonlocal endless
        if "Conversation:" not in str(call.messages[-1]["content"]):
            yield TextDelta("ok")
            return
        yield TextDelta("the reasoning")
        yield ReasoningEnded()
        yield ReasoningDelta("hm")
        yield TextDelta("Nice Title\n")
        while True:
            endless += 1
            yield TextDelta("and so on ")
            await asyncio.sleep(0)

    models = kit.Models(script, title=TitleSettings(enabled=True))
    history = kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        final = (await user.chat("hello"))[-1].data
        key = (kit.user, final["conversation"]["conversationId"])
        await kit.until(lambda: history.conversations[key]["title"] == "Nice Title")
        assert 0 < endless < 10_000
        chat, title = sorted(models.calls, key=lambda c: "Conversation:" in str(c.messages))
        assert title.headers_context == chat.headers_context
        assert set(title.headers_context.values()) == {
            final["conversation"]["conversationId"],
            kit.root,
            final["responseMessage"]["messageId"],
        }


async def test_text_that_turns_out_to_be_reasoning(serve: Serve, kit: Kit) -> None:
    """A closing tag without an opening one: what is stored, and shown in the end, is right."""

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield TextDelta("let me see")
        yield ReasoningEnded()
        yield TextDelta("The answer")
        yield Finished("stop")

    models, history = kit.Models(script), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        answer = (await user.chat("hello"))[-1].data["responseMessage"]
        content = [{"type": "think", "think": "let me see"}, {"type": "text", "text": "The answer"}]
        assert answer["content"] == content
        assert history.answer(answer["conversationId"])["content"] == content
        await user.chat(
            "more",
            conversationId=answer["conversationId"],
            parentMessageId=answer["messageId"],
        )
        said = models.calls[-1].messages[1]
        assert (said["content"], said["reasoning_content"]) == ("The answer", "let me see")


async def test_tags_of_earlier_answers_are_not_sent_back(serve: Serve, kit: Kit) -> None:
    """Answers stored with them, here by LibreChat or a server of before."""
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        answer = (await user.chat("ECHO:hello"))[-1].data["responseMessage"]
        stored = history.stored[(kit.user, answer["messageId"])]
        stored["content"] = [{"type": "text", "text": "<think>hm\n</think>\n\nyes"}]
        await user.chat(
            "more",
            conversationId=answer["conversationId"],
            parentMessageId=answer["messageId"],
        )
        assert models.calls[-1].messages[1] == {"role": "assistant", "content": "yes"}


@pytest.mark.parametrize("cut", [True, False])
async def test_an_answer_that_broke_off_is_unfinished(serve: Serve, kit: Kit, *, cut: bool) -> None:
    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield TextDelta("half")
        raise ModelFailure("it broke off" if cut else "a refusal", cut=cut)

    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(script), history) as server:
        answer = (await kit.chatter(server).chat("x"))[-1].data["responseMessage"]
        assert [part["type"] for part in answer["content"]] == ["text", "error"]
        assert answer.get("unfinished", False) is cut
        assert history.answer(answer["conversationId"])["unfinished"] is cut
