"""Imports of whole files (contract convos §2.9, §5)."""

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from structlog.stdlib import BoundLogger

from locutory import Services
from locutory.access import Principal
from locutory_contracts.portability import PORTABLE
from locutory_conversations.exporting.records import KIND, PortableConversations, derived
from locutory_conversations.importing.errors import EMPTY, BrokenFile, Junk
from locutory_conversations.importing.offered import Offered, offered_to
from locutory_conversations.importing.progress import Progress
from locutory_conversations.importing.reading import CONVERTERS, Format, format_of, items
from locutory_conversations.importing.watched import WatchedFile
from locutory_conversations.services.adding import Adding, Whole

_CONVERSATIONS_AT_ONCE = 50
_MESSAGES_AT_ONCE = 500
_BYTES_AT_ONCE = 4 * 1024 * 1024
_LOGGED_EVERY = 1000


@dataclass(slots=True)
class Outcome:
    """What became of a file. ``imported`` counts conversations, and records of other kinds;
    ``known`` is what the user had already, ``unknown`` what no plugin here keeps; ``empty``
    counts conversations without messages, which are left out. ``problem`` is the first thing
    that was wrong; ``broken`` when nothing behind it could be read."""

    imported: int = 0
    failed: int = 0
    known: int = 0
    unknown: int = 0
    empty: int = 0
    problem: str = ""
    broken: bool = False

    def bad(self, problem: str) -> None:
        """One more that could not be imported."""
        self.failed += 1
        self.problem = self.problem or problem


@dataclass(slots=True)
class _Batch:
    """What one turn of reading gave."""

    items: list[Any] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    empty: int = 0
    end: bool = False
    broken: str = ""


class Importer:
    """Reads a file in a thread, a few conversations at a time, and writes these in bulk
    before it reads on: memory does not grow with the file, and other requests get their turn.
    """

    def __init__(
        self,
        services: Services,
        adding: Adding,
        conversations: PortableConversations,
        log: BoundLogger,
    ) -> None:
        self._services = services
        self._adding = adding
        self._conversations = conversations
        self._log = log

    async def run(self, file: WatchedFile, principal: Principal, progress: Progress) -> Outcome:
        """Import everything that can be; what is wrong is in the outcome."""
        outcome = Outcome()
        try:
            format_ = await asyncio.to_thread(format_of, file)
        except BrokenFile as error:
            outcome.problem, outcome.broken = str(error), True
            return outcome
        offered = await offered_to(self._services, principal)
        source = items(file, format_)
        ids: dict[str, str] = {}
        logged = 0
        while True:
            batch = await asyncio.to_thread(_next, source, file, format_, offered)
            outcome.empty += batch.empty
            for problem in batch.problems:
                outcome.bad(problem)
            if format_ == "export":
                await self._restore(principal.id, batch.items, ids, outcome)
            new = await self._new(principal.id, batch.wholes)
            outcome.known += len(batch.wholes) - len(new)
            await self._write(principal.id, new, outcome)
            if batch.broken:
                outcome.problem, outcome.broken = batch.broken, True
            await progress.tell(outcome.imported, outcome.failed, file.read_bytes)
            if outcome.imported >= logged + _LOGGED_EVERY:
                logged = outcome.imported
                self._log.info(
                    "conversations.importing",
                    user=principal.id,
                    imported=outcome.imported,
                    percent=round(100 * file.read_bytes / max(1, file.size)),
                )
            if batch.end:
                if not (outcome.imported or outcome.known or outcome.unknown or outcome.problem):
                    outcome.problem = EMPTY
                return outcome

    async def _new(self, user: str, wholes: Sequence[Whole]) -> list[Whole]:
        """What the user does not have yet. Whoever sends a large file again, since the first
        answer was lost on its way, does not get everything twice."""
        named: dict[str, Whole] = {}
        for whole in wholes:
            new_id = whole.conversation["conversationId"]
            if whole.origin is not None:
                new_id = derived(user, whole.origin)
            fields = {**whole.conversation, "conversationId": new_id}
            named[new_id] = replace(whole, conversation=fields)
        known = await self._adding.known(
            user, [new_id for new_id, whole in named.items() if whole.origin is not None]
        )
        return [whole for new_id, whole in named.items() if new_id not in known]

    async def _write(self, user: str, wholes: Sequence[Whole], outcome: Outcome) -> None:
        """Write several at once; where one of them is refused, each by itself."""
        if not wholes:
            return
        try:
            await self._adding.add_all(user, wholes)
            outcome.imported += len(wholes)
            return
        except ValueError as error:
            if len(wholes) == 1:
                outcome.bad(f"a conversation cannot be stored: {error}")
                return
        for whole in wholes:
            await self._write(user, [whole], outcome)

    async def _restore(
        self, user: str, records: Sequence[Any], ids: MutableMapping[str, str], outcome: Outcome
    ) -> None:
        """Records of an export, in their order; conversations next to each other at once."""
        wholes: dict[str, Whole] = {}
        places = await self._conversations.places(user, records)
        for record in records:
            kind = record.get("kind") if isinstance(record, dict) else None
            if kind in ("export", "end"):
                continue
            try:
                if kind == KIND:
                    whole = await self._conversations.parsed(user, record, ids, places)
                    if whole is None or whole.conversation["conversationId"] in wholes:
                        outcome.known += 1
                    else:
                        wholes[whole.conversation["conversationId"]] = whole
                    continue
                await self._write(user, list(wholes.values()), outcome)
                wholes.clear()
                await self._restore_other(user, kind, record, ids, outcome)
            except ValueError as error:
                outcome.bad(str(error))
        await self._write(user, list(wholes.values()), outcome)

    async def _restore_other(
        self,
        user: str,
        kind: Any,
        record: Mapping[str, Any],
        ids: MutableMapping[str, str],
        outcome: Outcome,
    ) -> None:
        portable = self._services.named(PORTABLE, kind) if isinstance(kind, str) else None
        if portable is None:
            outcome.unknown += 1
        elif await portable.restore(user, record, ids):
            outcome.imported += 1
        else:
            outcome.known += 1


def _next(source: Iterator[Any], file: WatchedFile, format_: Format, offered: Offered) -> _Batch:
    """Read on until there is enough to write."""
    batch = _Batch()
    start, messages = file.read_bytes, 0
    convert = CONVERTERS.get(format_)
    for _ in range(_CONVERSATIONS_AT_ONCE):
        try:
            item = next(source, batch)
        except BrokenFile as error:
            batch.broken, batch.end = str(error), True
            break
        if item is batch:
            batch.end = True
            break
        if convert is None:
            batch.items.append(item)
        else:
            try:
                whole = convert(cast(Any, item), offered)
            except Junk as error:
                batch.problems.append(str(error))
            else:
                if whole.messages:
                    batch.wholes.append(whole)
                    messages += len(whole.messages)
                else:
                    batch.empty += 1
        if messages >= _MESSAGES_AT_ONCE or file.read_bytes - start >= _BYTES_AT_ONCE:
            break
    return batch
