"""Finding people: accounts by what is typed, by id, or by where they come from (roles §4)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from locutory import Service
from locutory_contracts.accounts import Account


class People(Protocol):
    """Finds the accounts of others. What comes back is an `Account`: no secrets in it, and
    accounts that are being deleted may still be found. Who may ask is the caller's affair.

    ``tenant``: only accounts of that tenant; ``None`` means those without one.
    """

    async def search(
        self, text: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[Account]:
        """At most ``limit`` accounts whose name, e-mail or username contains ``text``.

        ``text`` is meant literally and without regard to case, never as a pattern; it holds
        2 to 200 characters, none of them a control character. In no particular order.
        """
        ...

    async def find_many(self, ids: Collection[str]) -> Mapping[str, Account]:
        """Accounts by id, whatever their tenant, read at once. Ids are 24-hex text in lower
        case; those that are malformed or unknown are left out."""
        ...

    async def by_source_id(self, source_id: str, *, tenant: str | None = None) -> Account | None:
        """The account whose ``idOnTheSource`` this is: its id in an outside directory."""
        ...

    async def by_email(self, email: str, *, tenant: str | None = None) -> Account | None:
        """The account with exactly this e-mail address, without regard to case."""
        ...


PEOPLE: Service[People] = Service("accounts.people", "Finding the accounts of others")
