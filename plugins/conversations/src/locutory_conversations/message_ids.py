"""The ``messages`` array of a conversation: the ``_id`` of its messages, oldest first."""

from dataclasses import dataclass, field

from bson import ObjectId

from locutory_conversations.lru_cache import LRUCache
from locutory_conversations.store import READ_AT_ONCE, Store, key_of

_SECONDS = 600.0
_CONVERSATIONS = 10_000


@dataclass(slots=True)
class _State:
    """``read``: the stored array is known to be whole but for ``pending``."""

    read: bool = False
    pending: list[ObjectId] = field(default_factory=list)


class MessageIds:
    """Keeps the array equal to the collection without reading the collection each time.

    The contract recomputes the array on every save, which reads every message of the
    conversation. Here it is recomputed once per conversation, process and ten minutes;
    in between, a save adds the messages that were inserted since (``$addToSet``, in the
    same round trip). A write that fails makes the next save recompute, and so does a
    restart: a crash between a message and its conversation is repaired by the retry.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states: LRUCache[tuple[str, str], _State] = LRUCache(_CONVERSATIONS, _SECONDS)

    def inserted(self, user: str, conversation_id: str, message: ObjectId) -> None:
        """A message was inserted: the next save adds it."""
        state = self._states.get((user, conversation_id))
        if state is not None:
            state.pending.append(message)

    def forget(self, user: str, conversation_id: str) -> None:
        """Recompute on the next save."""
        self._states.pop((user, conversation_id))

    async def next_write(self, user: str, conversation_id: str) -> tuple[list[ObjectId], bool]:
        """(ids, whole): the whole array, or the ids to add to it."""
        state = self._states.get((user, conversation_id))
        if state is None:
            # Before reading, so that nothing inserted meanwhile is missed.
            state = _State()
            self._states.put((user, conversation_id), state)
        if state.read:
            return list(state.pending), False
        return await self.read(user, conversation_id), True

    def written(self, user: str, conversation_id: str, ids: list[ObjectId], whole: bool) -> None:
        """Note that the write of ``ids`` succeeded. Ids that are pending after a whole write are
        added once more, since a slower whole write may have removed them again."""
        state = self._states.get((user, conversation_id))
        if state is None:
            return
        if whole:
            state.read = True
            return
        done = set(ids)
        state.pending = [message for message in state.pending if message not in done]

    async def read(self, user: str, conversation_id: str) -> list[ObjectId]:
        """The ids as stored, oldest first."""
        key = key_of(user, conversation_id)
        rows = self._store.messages.find(key, {"createdAt": 1}, batch_size=READ_AT_ONCE)
        return [row["_id"] async for row in rows.sort("createdAt")]
