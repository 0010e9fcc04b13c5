"""Whoever keeps something of accounts says how it is erased."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from beanie import Document
from structlog.testing import capture_logs

from locutory import On, Plugin, Provide, hook
from locutory.plugins import discovery
from locutory.run.kernel import Kernel
from locutory_contracts.account_data import (
    ACCOUNT_DATA,
    AccountData,
    Record,
    account_events,
)
from locutory_contracts.accounts import AccountDeleted, AccountDeleting
from locutory_testing import Serve
from tests.boot.account_fields import owners

USER = "a" * 24


def unerased(kernel: Kernel) -> dict[str, list[str]]:
    """Plugin → its collections that name accounts, of plugins by which nobody is forgotten."""
    documents = kernel.contributions.documents
    named = owners((plugin, one) for plugin, owned in documents.items() for one in owned)
    offered = {
        kernel.services.owner(ACCOUNT_DATA, name) for name in kernel.services.all(ACCOUNT_DATA)
    }
    told = {owner for owner, _ in kernel.events.subscribers(AccountDeleted)}
    assert offered <= told, "ACCOUNT_DATA without account_events: nobody calls erase"
    return {plugin: names for plugin, names in named.items() if plugin not in told}


async def test_every_plugin_erases_what_it_keeps_of_accounts(serve: Serve) -> None:
    async with serve(*discovery.available()) as server:
        assert unerased(server.kernel) == {}


class Note(Document):
    author: str

    class Settings:
        name = "notes_of_tests"


class NotesPlugin(Plugin):
    """Keeps what users write, and erases nothing."""

    name = "notes"
    summary = "Notes; for tests"

    @hook
    def documents(self) -> list[type[Document]]:
        return [Note]


async def test_a_plugin_that_erases_nothing_is_found(serve: Serve) -> None:
    async with serve(NotesPlugin()) as server:
        assert unerased(server.kernel) == {"notes": ["notes_of_tests"]}


class Things(AccountData):
    """Things of a test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.faults = 0

    async def before_deletion(self, user: str) -> None:
        self.calls.append(("before", user))
        raise RuntimeError("for tests")

    async def erase(self, user: str) -> None:
        self.calls.append(("erase", user))
        if self.faults:
            self.faults -= 1
            raise RuntimeError("for tests")


class ThingsPlugin(Plugin):
    """Keeps things."""

    name = "things"
    summary = "Things; for tests"
    provides = (ACCOUNT_DATA,)

    def __init__(self, data: AccountData) -> None:
        self.data = data

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNT_DATA, self.data, self.name)]

    @hook
    def subscriptions(self) -> list[On]:
        return account_events(self.data)


async def test_a_fault_before_a_deletion_does_not_prevent_it(serve: Serve) -> None:
    data = Things()
    async with serve(ThingsPlugin(data)) as server:
        events = server.kernel.events
        with capture_logs() as logs:
            await events.check(AccountDeleting(USER))
        assert [entry["event"] for entry in logs] == ["account_data.not_prepared"]
        await events.publish(AccountDeleted(USER))
        for other in ("", "nonsense", USER + "a", USER + "\n"):  # no id of an account
            await events.check(AccountDeleting(other))
            await events.publish(AccountDeleted(other))
    assert data.calls == [("before", USER), ("erase", USER)]


async def test_what_could_not_be_erased_is_erased_later(serve: Serve) -> None:
    data = Things()
    data.faults = 1
    async with serve(ThingsPlugin(data)) as server:
        await server.kernel.events.publish(AccountDeleted(USER))
        assert server.kernel.events.outbox is not None
        await server.kernel.events.outbox.deliver_pending()  # type: ignore[attr-defined]
        await server.kernel.events.outbox.deliver_pending()  # type: ignore[attr-defined]
    assert data.calls == [("erase", USER)] * 2


class Letters(AccountData):
    """Exports something."""

    kind = "letter"

    async def export(self, user: str) -> AsyncIterator[Record]:
        yield {"kind": self.kind}

    async def erase(self, user: str) -> None: ...


async def test_what_is_not_exported_has_no_records(serve: Serve) -> None:
    things: Any = Things()
    assert things.kind is None
    assert [record async for record in things.export(USER)] == []
    with pytest.raises(ValueError, match="cannot be restored"):
        await things.restore(USER, {}, {})
    assert [on.event for on in account_events(things)] == [AccountDeleting, AccountDeleted]
    assert [on.event for on in account_events(Letters())] == [AccountDeleted]
