"""Making, renewing and withdrawing links (contract share §5, §6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import HTTPError, Principal, Raw, Services, now
from locutory_contracts.conversations import CONVERSATIONS, Conversations, Document
from locutory_share.access_control import AccessControl
from locutory_share.branches import branch_end, up_to_level
from locutory_share.config import Settings
from locutory_share.links import LinkStore, is_over, made_at, next_revision, random_id
from locutory_share.snapshots import Snapshots

UNTITLED = "Untitled"


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """The owner's choice: ``target`` is the last message to show (``None``: not named);
    ``files``: show files."""

    target: str | None
    files: bool


def refusal(status: int, text: str) -> HTTPError:
    """An answer ``{"message": text}``."""
    return HTTPError(status, {"message": text})


class LinkPublisher:
    """Writes links. Refusals are raised as the contract's answers."""

    def __init__(
        self,
        store: LinkStore,
        services: Services,
        settings: Settings,
        access_control: AccessControl,
        snapshots: Snapshots,
        log: BoundLogger,
    ) -> None:
        self._store = store
        self._services = services
        self._settings = settings
        self._access_control = access_control
        self._snapshots = snapshots
        self._log = log

    async def create(self, owner: Principal, conversation_id: str, options: LinkOptions) -> Raw:
        """A new link to everything that the chat holds now."""
        history = self._services.get(CONVERSATIONS)
        conversation = await history.find(owner.id, conversation_id)
        end = await self._end(history, owner.id, conversation)
        if await self._store.of_conversation(owner.id, conversation_id, options.target):
            raise refusal(409, "Share already exists")
        if conversation is None:
            raise refusal(404, "Conversation not found or access denied")
        messages = await self._messages(history, owner.id, conversation_id)
        _check_target(messages, options.target)
        public = await self._access_control.may_publish(owner)
        moment = now()
        link: Raw = {
            "_id": ObjectId(),
            "shareId": random_id(),
            "conversationId": conversation_id,
            "title": conversation.get("title") or UNTITLED,
            "user": owner.id,
            "messages": [message["_id"] for message in messages],
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        files = await self._files(owner.id, messages, options.target, options)
        optional = {
            **files,
            "targetMessageId": options.target,
            "expiredAt": end,
            "tenantId": owner.tenant,
            "isPublic": None if self._access_control.kept else public,
        }
        link.update({name: value for name, value in optional.items() if value is not None})
        await self._store.insert(link)
        try:
            await self._settle(history, link, options.target)
            await self._access_control.grant(link, public=public)
        except BaseException:
            await self._take_back(link)
            raise
        return link

    async def _settle(self, history: Conversations, link: Raw, target: str | None) -> None:
        """Of two links made at once the earlier stays; none stays for a chat that was deleted
        meanwhile."""
        user, conversation_id = link["user"], link["conversationId"]
        rivals = await self._store.of_conversation(user, conversation_id, target)
        if any(_age(rival) < _age(link) for rival in rivals):
            raise refusal(409, "Share already exists")
        if await history.find(user, conversation_id) is None:
            raise refusal(404, "Conversation not found or access denied")

    async def _take_back(self, link: Raw) -> None:
        await self._store.remove([link["_id"]])
        await self._forget(link)

    async def update(self, owner: Principal, share_id: str, options: LinkOptions) -> Raw:
        """Publish the chat as it is now under the same address."""
        link = await self._store.own(owner.id, share_id)
        if link is None:
            raise refusal(404, "Share not found")
        history = self._services.get(CONVERSATIONS)
        conversation = await history.find(owner.id, link["conversationId"])
        end = await self._end(history, owner.id, conversation)
        messages = await self._messages(history, owner.id, link["conversationId"])
        stored = link.get("targetMessageId")
        target = options.target or stored
        _check_target(messages, target)
        if target and options.target is None:
            target = branch_end(messages, target)
        files = await self._files(owner.id, messages, target, options)
        fields: dict[str, Any] = {
            "messages": [message["_id"] for message in messages],
            "updatedAt": next_revision(link),
            **files,
        }
        if target:
            fields["targetMessageId"] = target
        without = [] if "fileSnapshots" in files else ["fileSnapshots"]
        if conversation is not None:
            # Entries first: a link must not show new messages to people beyond their time.
            await self._access_control.expire(link["_id"], end)
            if end is None:
                without.append("expiredAt")
            else:
                fields["expiredAt"] = end
        if not await self._store.change({"_id": link["_id"]}, fields, without):
            raise refusal(404, "Share not found")
        return {**link, **fields}

    async def withdraw(self, owner: Principal, share_id: str) -> Raw | None:
        """Delete a link; ``None`` when the caller has none such. Whether or not its entries
        can be removed at the moment, nobody reads it any more."""
        link = await self._store.own(owner.id, share_id)
        if link is None or not await self._store.remove([link["_id"]]):
            return None
        await self._forget(link)
        return link

    async def _forget(self, link: Raw) -> None:
        try:
            await self._access_control.forget([link])
        except Exception:
            self._log.exception("share.entries_kept", link=str(link["_id"]))

    async def _messages(
        self, history: Conversations, user: str, conversation_id: str
    ) -> list[Document]:
        moment = now()
        stored = await history.messages(user, conversation_id)
        messages = [message for message in stored if not is_over(message, moment)]
        if not messages:
            raise refusal(400, "No messages to share")
        return messages

    async def _files(
        self, user: str, messages: Sequence[Document], target: str | None, options: LinkOptions
    ) -> dict[str, Any]:
        """The fields about files. Without ``fileSnapshots`` none were looked for."""
        if not options.files or not self._settings.files_by_default:
            return {"snapshotFiles": False}
        shown = up_to_level(messages, target) if target else messages
        made = await self._snapshots.of(user, shown)
        fields: dict[str, Any] = {"snapshotFiles": True}
        if made is not None:
            fields["fileSnapshots"] = made
        return fields

    async def _end(
        self, history: Conversations, user: str, conversation: Mapping[str, Any] | None
    ) -> datetime | None:
        """The date at which a link to a chat expires; 404 when the chat already has. A chat that
        does not expire has links that do not, unless everything expires here."""
        if conversation is None:
            return None
        if is_over(conversation, now()):
            raise HTTPError(404)
        if conversation.get("expiredAt") is None:
            end = (await history.retain(user, None)).get("expiredAt")
        else:
            end = (await history.retain(user, True)).get("expiredAt")
        return end if isinstance(end, datetime) else None


def _check_target(messages: Sequence[Document], target: str | None) -> None:
    if target and not any(message["messageId"] == target for message in messages):
        raise refusal(400, "Target message not found")


def _age(link: Raw) -> tuple[datetime, str]:
    return made_at(link), str(link["_id"])
