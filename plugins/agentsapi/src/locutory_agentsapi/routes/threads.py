"""The messages before a response, cached or stored (contract agents-api §5.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from locutory import Services
from locutory_agentsapi.routes.items import response_of
from locutory_agentsapi.routes.messages import text_of
from locutory_agentsapi.routes.response_cache import ResponseCache
from locutory_agentsapi.routes.running import BadRun
from locutory_contracts.conversations import CONVERSATIONS, Conversations, Document

NOT_FOUND = "previous_response_not_found"
"""OpenAI's code for a response that cannot be continued."""

_MOST_TURNS = 2_000
_MOST_CHARACTERS = 8_000_000
_MOST_REFERENCES = 200
"""Responses that the references of one request may name."""


@dataclass(slots=True)
class PriorMessages:
    """The messages before a request, in the shape of models. ``unsaved``: those of them that
    are not in the database; ``parent``: the stored message that they follow."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    conversation_id: str | None = None
    unsaved: list[dict[str, Any]] = field(default_factory=list)
    parent: str | None = None


class Threads:
    """Finds the conversation or response that a request continues."""

    def __init__(self, services: Services, cache: ResponseCache) -> None:
        self._services = services
        self._cache = cache

    @property
    def history(self) -> Conversations | None:
        """Stored conversations."""
        return self._services.find(CONVERSATIONS)

    async def prior_messages(self, user: str, previous: str | None) -> PriorMessages:
        """The messages up to and with a response; or a whole conversation, by its id.
        `BadRun` when there is none such, or not any more."""
        found, at = PriorMessages(), previous
        turns: list[list[dict[str, Any]]] = []
        rows: dict[str, dict[str, Document]] = {}
        size = 0
        while at and (turn := await self._cache.find(user, at)) is not None:
            text = turn.text
            if turn.stored:
                # What its owner changed or deleted in the meantime counts.
                row = (await self._rows(user, turn.conversation_id, rows)).get(at)
                if row is None:
                    raise BadRun(self._gone(at), 404, NOT_FOUND)
                text = text_in(row)
                if found.parent is None:
                    found.parent, found.unsaved = at, _joined(turns)
            turns.append([*turn.input, {"role": "assistant", "content": text}])
            size += sum(_length(message["content"]) for message in turns[-1])
            if size > _MOST_CHARACTERS or len(turns) >= _MOST_TURNS:
                raise BadRun("What this response follows is too long to go on from.")
            found.conversation_id = found.conversation_id or turn.conversation_id
            at = turn.previous
        documents: list[Document] = []
        if at:
            conversation_id, documents = await self._stored(user, at)
            found.conversation_id = found.conversation_id or conversation_id
        if found.parent is None:
            found.unsaved = _joined(turns)
            found.parent = str(documents[-1]["messageId"]) if documents else None
        found.messages = [*_said(documents), *_joined(turns)]
        return found

    async def _rows(
        self, user: str, conversation_id: str, known: dict[str, dict[str, Document]]
    ) -> dict[str, Document]:
        """The messages of a conversation by id, read once."""
        if conversation_id not in known:
            await thread(self._services, user, conversation_id)
            history = self.history
            rows = [] if history is None else await history.messages(user, conversation_id)
            known[conversation_id] = {str(row["messageId"]): row for row in rows}
        return known[conversation_id]

    async def _stored(self, user: str, previous: str) -> tuple[str, list[Document]]:
        """The conversation of a stored response, and its messages up to it."""
        history, leaf = self.history, None
        conversation_id = previous
        if not is_uuid(previous):
            # Programs are told ids of responses, so these are understood too (§7, trap 1).
            leaf = None if history is None else await history.message(user, previous)
            if leaf is None:
                raise BadRun(self._gone(previous), 404, NOT_FOUND)
            conversation_id = str(leaf["conversationId"])
        await thread(self._services, user, conversation_id)
        documents = [] if history is None else await history.messages(user, conversation_id)
        leaf = leaf or (documents[-1] if documents else None)
        if leaf is None:
            return conversation_id, []
        return conversation_id, lineage(documents, str(leaf["messageId"]))

    def _gone(self, response_id: str) -> str:
        hours = self._cache.seconds / 3600
        kept = f"remembered for {hours:g} hours" if hours else "not remembered"
        return (
            f"Response {response_id} not found. Responses are {kept} unless they were made with "
            "store: true, which keeps them, or with store: false."
        )

    async def resolved(self, user: str, value: Any) -> Any:
        """The input of a request with the text of our message items in place of references
        to them. Others stay; nobody reads them."""
        if not isinstance(value, list):
            return value
        known: dict[str, dict[str, str]] = {}
        found: list[Any] = []
        for item in value:
            reference = item.get("id") if _is_reference(item) else None
            response_id = response_of(reference) if isinstance(reference, str) else None
            if reference is None or response_id is None:
                found.append(item)
                continue
            if response_id not in known and len(known) < _MOST_REFERENCES:
                known[response_id] = await self._texts(user, response_id)
            texts = known.get(response_id, {})
            text = texts.get(reference) or texts.pop("", None)
            found.append({"role": "assistant", "content": text} if text else item)
        return found

    async def _texts(self, user: str, response_id: str) -> dict[str, str]:
        """The text of a response by message item; under "" where items are not known."""
        turn = await self._cache.find(user, response_id)
        if turn is not None:
            return {
                item["id"]: text_of(item["content"])
                for item in turn.response["output"]
                if item["type"] == "message"
            }
        history = self.history
        document = None if history is None else await history.message(user, response_id)
        return {} if document is None else {"": text_in(document)}


async def thread(services: Services, user: str, conversation_id: str) -> None:
    """404 unless a conversation is the caller's, 409 when it is a read-only one."""
    history = services.find(CONVERSATIONS)
    found = None if history is None else await history.find(user, conversation_id)
    if found is None:
        raise BadRun("Conversation not found", 404)
    if found.get("subagentThread"):
        raise BadRun("This subagent thread is view-only.", 409, "conversation_read_only")


def lineage(documents: Sequence[Document], leaf: str) -> list[Document]:
    """The messages from the first down to ``leaf``. LibreChat stores those of responses
    without their parents: there the ones before it in time come before it."""
    numbers = {str(document["messageId"]): n for n, document in enumerate(documents)}
    found: list[Document] = []
    at: Any = leaf
    while isinstance(at, str) and (number := numbers.pop(at, None)) is not None:
        found.append(documents[number])
        at = documents[number].get("parentMessageId")
        if at is None:
            earlier = reversed(documents[:number])
            found += [row for row in earlier if row.get("parentMessageId") is None]
    found.reverse()
    return found


def _joined(turns: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The messages of turns that were found from the last to the first."""
    return [message for said in reversed(turns) for message in said]


def _length(content: str | list[dict[str, Any]]) -> int:
    """Characters of a message, pictures included."""
    if isinstance(content, str):
        return len(content)
    return sum(
        len(part["text"] if part["type"] == "text" else part["image_url"]["url"])
        for part in content
    )


def _said(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Stored messages in the form of models. System messages of a request are stored with its
    answer."""
    found: list[dict[str, Any]] = []
    for document in documents:
        found += ({"role": "system", "content": text} for text in system_of(document))
        if text := text_in(document):
            role = "user" if document.get("isCreatedByUser") else "assistant"
            found.append({"role": role, "content": text})
    return found


def system_of(document: Document) -> list[str]:
    """The system messages of the request that a stored answer belongs to."""
    kept = own_fields(document).get("system")
    return [text for text in kept if isinstance(text, str)] if isinstance(kept, list) else []


def own_fields(document: Document) -> Mapping[str, Any]:
    """Members added to a stored answer: ``previous``, ``system``, ``instructions``."""
    metadata = document.get("metadata")
    found = metadata.get("response") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def text_in(document: Document) -> str:
    """The text of a stored message."""
    text = document.get("text")
    return text if isinstance(text, str) and text else text_of(document.get("content"))


def is_uuid(value: str) -> bool:
    """``True`` for the text of a UUID, which can be the id of a conversation."""
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _is_reference(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "item_reference"
