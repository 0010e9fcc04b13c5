"""The data that plugins store of an account: exported and restored as one stream of records (`GET
/api/convos/export`), and erased with the account."""

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
anything that is valid on one server only, such as secrets."""

_ACCOUNT_ID = re.compile("[0-9a-fA-F]{24}")


class AccountData(ABC):
    """The data that one plugin stores of accounts, registered under the plugin's name. A plugin
    whose data is not exported implements only `erase`. ``user`` is 24-hex text."""

    kind: ClassVar[str | None] = None
    """The ``kind`` of its records, unique among plugins; ``None``: nothing is exported."""

    rank: ClassVar[int] = 0
    """Records of lower ranks are exported, and so restored, first: those that others refer to."""

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Yield every record of the user, without holding all of them in memory."""
        nothing: tuple[Record, ...] = ()
        for record in nothing:
            yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Restore one record; ``False`` when the user has it already. ``ids`` maps the ids of
        records that were restored before to their new ones; the function adds to it. Raises
        `ValueError` with a sentence for the user when the record is invalid."""
        raise ValueError(f"Records of the kind {self.kind} cannot be restored")

    async def before_deletion(self, user: str) -> None:  # noqa: B027  (most have nothing to do)
        """Collect what `erase` can no longer find, such as resources that the user owns together
        with others. A fault is logged and does not prevent the deletion; to refuse it, or to stop
        running work, subscribe to `AccountDeleting`."""

    @abstractmethod
    async def erase(self, user: str) -> None:
        """Delete everything that names the user, or transfer it to others. Called at least once,
        possibly late and repeatedly, so it must be idempotent."""


ACCOUNT_DATA: Extension[AccountData] = Extension(
    "account.data", "What plugins keep of an account: exported, restored, erased"
)


def account_events(data: AccountData) -> list[On]:
    """The subscriptions with which a plugin erases its data when an account is deleted.
    `AccountDeleted` is durable: a plugin that was off erases when it is next on."""

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
