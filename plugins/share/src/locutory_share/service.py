"""The service for other plugins, and the reactions to their deletions."""

from collections.abc import Sequence
from typing import Any

from locutory import Raw, Services
from locutory_contracts.conversations import CONVERSATIONS, ConversationsDeleted, MessagesDeleted
from locutory_share.access_control import AccessControl
from locutory_share.links import LinkStore, next_revision
from locutory_share.redaction import file_ids
from locutory_share.serializer import LinkSerializer

_BATCH = 500


class SharedLinks:
    """Implements `locutory_contracts.conversations.SharedConversations`, and updates links when
    their content is deleted. Facts may come more than once, and late."""

    def __init__(
        self,
        store: LinkStore,
        services: Services,
        access_control: AccessControl,
        serializer: LinkSerializer,
    ) -> None:
        self._store = store
        self._services = services
        self._access_control = access_control
        self._serializer = serializer

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations that a link of the user shows."""
        return await self._store.shared(user, conversation_ids)

    async def conversations_deleted(self, fact: ConversationsDeleted) -> None:
        """Delete the links of deleted chats. When it was all of them, links of chats that are
        not named go too, unless the chat was made since."""
        gone = set(fact.conversation_ids)
        links = await self._store.of_user(fact.user)
        history = self._services.find(CONVERSATIONS) if fact.all else None
        if history is not None:
            others = {link["conversationId"] for link in links} - gone
            for conversation_id in others:
                if await history.find(fact.user, conversation_id) is None:
                    gone.add(conversation_id)
        await self._remove([link for link in links if link["conversationId"] in gone])

    async def erase(self, user: str) -> None:
        """Delete every link of a user."""
        await self._remove(await self._store.of_user(user))

    async def _remove(self, links: Sequence[Raw]) -> None:
        # Entries first: when this fails half-way, the links are still there to be found.
        for start in range(0, len(links), _BATCH):
            batch = links[start : start + _BATCH]
            await self._access_control.forget(batch)
            await self._store.remove([link["_id"] for link in batch])

    async def messages_deleted(self, fact: MessagesDeleted) -> None:
        """Stop serving the files of deleted messages, and renew the revision, since positions of
        messages that readers hold have changed."""
        for row in await self._store.of_conversation(fact.user, fact.conversation_id):
            link = await self._store.by_id(row["_id"])
            if link is None:
                continue
            fields: dict[str, Any] = {"updatedAt": next_revision(link)}
            snapshots = link.get("fileSnapshots")
            if snapshots:
                shown = await self._serializer.shown(link)
                named = {name for message in shown for name in file_ids(message)}
                fields["fileSnapshots"] = [one for one in snapshots if one["file_id"] in named]
            # Not over a publication that was faster.
            await self._store.change(
                {"_id": link["_id"], "updatedAt": link.get("updatedAt")}, fields
            )
