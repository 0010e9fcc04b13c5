"""What plugins keep of an account: taken away and brought back as one stream of records
(`GET /api/convos/export`), and erased with the account."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any, ClassVar

import structlog

from locutory import Extension, On
from locutory_contracts.accounts import AccountDeleted, AccountDeleting

log = structlog.get_logger("locutory.account_data")

Record = Mapping[str, Any]
"""One line of an export: a JSON object ``{"kind": …, …}`` without the user's id and without
anything that only one server knows, secrets first of all."""

_ACCOUNT_ID = re.compile("[0-9a-fA-F]{24}")


class AccountData(ABC):
    """What one plugin keeps of accounts, registered under the plugin's name. A plugin whose data
    nobody takes away implements only `erase`. ``user`` is 24-hex text."""

    kind: ClassVar[str | None] = None
    """The ``kind`` of its records, which no other plugin has; ``None``: nothing is exported."""

    rank: ClassVar[int] = 0
    """Smaller ones are written, and so restored, first: what others refer to."""

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every record of the user, one at a time, never all in memory."""
        nothing: tuple[Record, ...] = ()
        for record in nothing:
            yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one record; false when the user has it already. ``ids`` maps the ids of
        records that were restored before to their new ones, and is added to. Raises
        `ValueError` with a sentence for the user when the record makes no sense."""
        raise ValueError(f"Records of the kind {self.kind} cannot be restored")

    async def before_deletion(self, user: str) -> None:  # noqa: B027  (most have nothing to do)
        """Look at what `erase` will no longer find, such as who owns what together with the user.
        A fault is logged, and keeps nobody from deleting their account; to refuse, or to stop what
        runs, subscribe to `AccountDeleting`."""

    @abstractmethod
    async def erase(self, user: str) -> None:
        """Delete everything that names the user, or pass it on. Called at least once, also late
        and again, so that doing it twice has to do no harm."""


ACCOUNT_DATA: Extension[AccountData] = Extension(
    "account.data", "What plugins keep of an account: exported, restored, erased"
)


def account_events(data: AccountData) -> list[On]:
    """The subscriptions of a plugin by which its data goes with the account. `AccountDeleted` is
    durable: a plugin that was off then erases when it is next on."""

    async def deleting(step: AccountDeleting) -> None:
        try:
            if _ACCOUNT_ID.fullmatch(step.user_id):
                await data.before_deletion(step.user_id)
        except Exception:
            log.exception("account_data.not_prepared", data=type(data).__name__, user=step.user_id)

    async def deleted(fact: AccountDeleted) -> None:
        if _ACCOUNT_ID.fullmatch(fact.user_id):
            await data.erase(fact.user_id)

    if type(data).before_deletion is AccountData.before_deletion:
        return [On(AccountDeleted, deleted)]
    return [On(AccountDeleting, deleting), On(AccountDeleted, deleted)]
