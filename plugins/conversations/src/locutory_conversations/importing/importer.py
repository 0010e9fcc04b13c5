"""Imports of whole files (contract convos §2.9, §5)."""

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from structlog.stdlib import BoundLogger

from locutory import Principal, Services
from locutory_conversations.importing.available_models import AvailableModels, available_to
from locutory_conversations.importing.errors import EMPTY, BrokenFile, InvalidItem
from locutory_conversations.importing.progress import Progress
from locutory_conversations.importing.reading import CONVERTERS, Format, format_of, items
from locutory_conversations.importing.records import KIND, ConversationRecords, derived
from locutory_conversations.importing.size_limited_file import SizeLimitedFile
from locutory_conversations.record_kinds import RecordKinds
from locutory_conversations.services.bulk_insert import BulkInsert, ConversationBundle

_CONVERSATIONS_AT_ONCE = 50
_MESSAGES_AT_ONCE = 500
_BYTES_AT_ONCE = 4 * 1024 * 1024
_LOGGED_EVERY = 1000


@dataclass(slots=True)
class Outcome:
    """The outcome of a file. ``imported`` counts conversations, and records of other kinds;
    ``known`` those that the user had already, ``unknown`` those of kinds without a plugin;
    ``empty`` counts conversations without messages, which are left out. ``problem`` is the first
    problem; ``broken`` when nothing after it could be read."""

    imported: int = 0
    failed: int = 0
    known: int = 0
    unknown: int = 0
    empty: int = 0
    problem: str = ""
    broken: bool = False

    def add_failure(self, problem: str) -> None:
        """One more that could not be imported."""
        self.failed += 1
        self.problem = self.problem or problem


@dataclass(slots=True)
class _Batch:
    """The yield of one turn of reading."""

    items: list[Any] = field(default_factory=list)
    bundles: list[ConversationBundle] = field(default_factory=list)
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
        bulk_insert: BulkInsert,
        conversations: ConversationRecords,
        kinds: RecordKinds,
        log: BoundLogger,
    ) -> None:
        self._services = services
        self._bulk_insert = bulk_insert
        self._conversations = conversations
        self._kinds = kinds
        self._log = log

    async def run(self, file: SizeLimitedFile, principal: Principal, progress: Progress) -> Outcome:
        """Import everything that is valid; problems are in the outcome."""
        outcome = Outcome()
        try:
            format_ = await asyncio.to_thread(format_of, file)
        except BrokenFile as error:
            outcome.problem, outcome.broken = str(error), True
            return outcome
        available = await available_to(self._services, principal)
        source = items(file, format_)
        ids: dict[str, str] = {}
        logged = 0
        while True:
            batch = await asyncio.to_thread(_next, source, file, format_, available)
            outcome.empty += batch.empty
            for problem in batch.problems:
                outcome.add_failure(problem)
            if format_ == "export":
                await self._restore(principal.id, batch.items, ids, outcome)
            new = await self._new(principal.id, batch.bundles)
            outcome.known += len(batch.bundles) - len(new)
            await self._write(principal.id, new, outcome)
            if batch.broken:
                outcome.problem, outcome.broken = batch.broken, True
            await progress.update(outcome.imported, outcome.failed, file.read_bytes)
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

    async def _new(
        self, user: str, bundles: Sequence[ConversationBundle]
    ) -> list[ConversationBundle]:
        """The conversations that the user does not have yet. A user who sends a large file again,
        because the first response was lost, does not get duplicates."""
        named: dict[str, ConversationBundle] = {}
        for bundle in bundles:
            new_id = bundle.conversation["conversationId"]
            if bundle.origin is not None:
                new_id = derived(user, bundle.origin)
            fields = {**bundle.conversation, "conversationId": new_id}
            named[new_id] = replace(bundle, conversation=fields)
        known = await self._bulk_insert.known(
            user, [new_id for new_id, bundle in named.items() if bundle.origin is not None]
        )
        return [bundle for new_id, bundle in named.items() if new_id not in known]

    async def _write(
        self, user: str, bundles: Sequence[ConversationBundle], outcome: Outcome
    ) -> None:
        """Write several at once; where one of them is refused, each by itself."""
        if not bundles:
            return
        try:
            await self._bulk_insert.add_all(user, bundles)
            outcome.imported += len(bundles)
            return
        except ValueError as error:
            if len(bundles) == 1:
                outcome.add_failure(f"a conversation cannot be stored: {error}")
                return
        for bundle in bundles:
            await self._write(user, [bundle], outcome)

    async def _restore(
        self, user: str, records: Sequence[Any], ids: MutableMapping[str, str], outcome: Outcome
    ) -> None:
        """Records of an export, in their order; conversations next to each other at once."""
        bundles: dict[str, ConversationBundle] = {}
        restore_targets = await self._conversations.restore_targets(user, records)
        for record in records:
            kind = record.get("kind") if isinstance(record, dict) else None
            if kind in ("export", "end"):
                continue
            try:
                if kind == KIND:
                    bundle = await self._conversations.parsed(user, record, ids, restore_targets)
                    if bundle is None or bundle.conversation["conversationId"] in bundles:
                        outcome.known += 1
                    else:
                        bundles[bundle.conversation["conversationId"]] = bundle
                    continue
                await self._write(user, list(bundles.values()), outcome)
                bundles.clear()
                await self._restore_other(user, kind, record, ids, outcome)
            except ValueError as error:
                outcome.add_failure(str(error))
        await self._write(user, list(bundles.values()), outcome)

    async def _restore_other(
        self,
        user: str,
        kind: Any,
        record: Mapping[str, Any],
        ids: MutableMapping[str, str],
        outcome: Outcome,
    ) -> None:
        data = self._kinds.find(kind)
        if data is None:
            outcome.unknown += 1
        elif await data.restore(user, record, ids):
            outcome.imported += 1
        else:
            outcome.known += 1


def _next(
    source: Iterator[Any], file: SizeLimitedFile, format_: Format, available: AvailableModels
) -> _Batch:
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
                bundle = convert(cast(Any, item), available)
            except InvalidItem as error:
                batch.problems.append(str(error))
            else:
                if bundle.messages:
                    batch.bundles.append(bundle)
                    messages += len(bundle.messages)
                else:
                    batch.empty += 1
        if messages >= _MESSAGES_AT_ONCE or file.read_bytes - start >= _BYTES_AT_ONCE:
            break
    return batch
