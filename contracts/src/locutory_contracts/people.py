"""Finding accounts: by text, by id, by e-mail, or by their id in a directory (roles §4)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from locutory import Service
from locutory_contracts.accounts import Account


class People(Protocol):
    """Finds the accounts of others. Results are `Account` mappings: they have no secrets, and may
    include accounts that are being deleted. The calling plugin decides who may search.

    ``tenant``: only accounts of that tenant; ``None`` means those without one.
    """

    async def search(
        self, text: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[Account]:
        """At most ``limit`` accounts whose name, e-mail or username contains ``text``, in no
        particular order.

        ``text`` is matched literally and without regard to case, never as a pattern; it has 2 to
        200 characters and no control characters.
        """
        ...

    async def find_many(self, ids: Collection[str]) -> Mapping[str, Account]:
        """Accounts by id, of any tenant, in one query. Ids are 24-hex text in lower case; those
        that are malformed or unknown are left out."""
        ...

    async def by_source_id(self, source_id: str, *, tenant: str | None = None) -> Account | None:
        """The account with this ``idOnTheSource``, its id in an outside directory; ``None`` when
        there is none."""
        ...

    async def by_email(self, email: str, *, tenant: str | None = None) -> Account | None:
        """The account with exactly this e-mail address, without regard to case; ``None`` when there
        is none."""
        ...


PEOPLE: Service[People] = Service("accounts.people", "Finding the accounts of others")
