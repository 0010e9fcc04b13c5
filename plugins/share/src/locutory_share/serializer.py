"""A link as its readers see it (contract share §3): only the fields named here, under ids that are
random in every response, so that nobody can find out that two links show the same conversation."""

from collections.abc import Sequence
from typing import Any

from locutory import Raw, Services, now
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT, Document
from locutory_share.branches import parent_of, up_to_level
from locutory_share.config import Settings
from locutory_share.links import is_over, random_id
from locutory_share.redaction import Redaction, without_markers
from locutory_share.snapshots import Snapshots

_STATE = (
    "isCreatedByUser",
    "createdAt",
    "updatedAt",
    "tokenCount",
    "unfinished",
    "error",
    "finish_reason",
    "manualSkills",
    "alwaysAppliedSkills",
    "quotes",
)


class IdAliases:
    """Random ids for stored ones, the same within one answer."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: dict[str, str] = {}

    def of(self, stored: str) -> str:
        """The alias of a stored id."""
        alias = self._known.get(stored)
        if alias is None:
            alias = self._known[stored] = f"{self._prefix}_{random_id()}"
        return alias


class LinkSerializer:
    """Builds the answers that links show."""

    def __init__(self, services: Services, snapshots: Snapshots, settings: Settings) -> None:
        self._services = services
        self._snapshots = snapshots
        self._settings = settings

    async def shown(self, link: Raw) -> list[Document]:
        """The stored messages that a link shows, as they are now, in the order of the link."""
        history = self._services.get(CONVERSATIONS)
        conversation_id = link["conversationId"]
        owner = link.get("user") or await history.owner(conversation_id)  # very old links
        if not isinstance(owner, str):
            return []
        return shown_of(link, await history.messages(owner, conversation_id))

    def shows_files(self, link: Raw) -> bool:
        """``True`` when the link shows files."""
        return link.get("snapshotFiles") is not False and not self._settings.files_off

    async def read(self, link: Raw) -> dict[str, Any]:
        """The body of ``GET /api/share/:shareId``; ``updatedAt`` is its revision."""
        messages = await self.shown(link)
        served: frozenset[str] | None = None
        if self.shows_files(link):
            snapshots = await self._snapshots.fill_in(link, messages)
            served = frozenset(snapshot["file_id"] for snapshot in snapshots)
        conversation = f"convo_{random_id()}"
        return {
            "shareId": link["shareId"],
            **{name: link[name] for name in ("title", "createdAt", "updatedAt") if name in link},
            "conversationId": conversation,
            "messages": _views(messages, link["shareId"], served, conversation),
        }


def shown_of(link: Raw, stored: Sequence[Document]) -> list[Document]:
    """Those of a chat's messages that a link shows, in the order of the link."""
    moment = now()
    by_id = {message["_id"]: message for message in stored if not is_over(message, moment)}
    published = dict.fromkeys(link.get("messages") or ())
    messages = [by_id[name] for name in published if name in by_id]
    target = link.get("targetMessageId")
    return up_to_level(messages, target) if target else messages


def _views(
    messages: Sequence[Document], share_id: str, served: frozenset[str] | None, conversation: str
) -> list[dict[str, Any]]:
    ids, assistants = IdAliases("msg"), IdAliases("a")
    views = []
    for message in messages:
        alias = ids.of(message["messageId"])
        parent = parent_of(message)
        redaction = Redaction(share_id, served, conversation, alias)
        by_user = message.get("isCreatedByUser") is True
        model = message.get("model")
        text = message.get("text")
        if isinstance(text, str) and not by_user and not message.get("error"):
            text = without_markers(text)
        view = {
            "messageId": alias,
            "parentMessageId": parent if parent == NO_PARENT else ids.of(parent),
            "conversationId": conversation,
            "sender": message.get("sender"),
            "text": text,
            "content": redaction.content(message.get("content"), by_user=by_user),
            "iconURL": message.get("iconURL") or None,
            "model": assistants.of(model)
            if isinstance(model, str) and model.startswith("asst_")
            else None,
            **{name: message.get(name) for name in _STATE},
            "files": redaction.files(message.get("files")),
            "attachments": redaction.attachments(message.get("attachments")),
        }
        views.append({name: value for name, value in view.items() if value is not None})
    return views
