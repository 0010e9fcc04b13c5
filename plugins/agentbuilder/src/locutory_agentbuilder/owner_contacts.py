"""The people whom a user may ask about an agent (contract agents §2)."""

from collections.abc import Iterable, Mapping
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Services
from locutory_agentbuilder.resource_kind import KIND
from locutory_contracts.access import ACCESS
from locutory_contracts.accounts import Account
from locutory_contracts.people import PEOPLE


class OwnerContacts:
    """Names of the owners of agents. Text that looks like an e-mail address is never shown."""

    def __init__(self, services: Services, log: BoundLogger) -> None:
        self._services = services
        self._log = log

    async def of(self, agents: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
        """``_id`` as text → ``owner_contact``, for agents without a usable support contact.
        Nothing is known when the services fail: a list without contacts is better than none."""
        asked = {str(agent["_id"]): agent for agent in agents if not has_support_contact(agent)}
        if not asked:
            return {}
        try:
            owners = await self._owners(asked)
            people = self._services.find(PEOPLE)
            accounts = {} if people is None else await people.find_many(set(owners.values()))
        except Exception:
            self._log.exception("agentbuilder.owners_unknown")
            return {}
        found = {}
        for key, owner in owners.items():
            name = _name(accounts.get(owner), asked[key])
            if name is not None:
                found[key] = {"name": name}
        return found

    async def _owners(self, agents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """The owner to name: the author while they own the agent, else another owner."""
        access = self._services.find(ACCESS)
        held = {} if access is None else await access.owners(KIND, list(agents))
        owners = {}
        for key, agent in agents.items():
            author, others = str(agent.get("author")), held.get(key) or set()
            owners[key] = author if author in others or not others else min(others)
        return owners


def has_support_contact(agent: Mapping[str, Any]) -> bool:
    """``True`` when an agent names somebody to ask."""
    contact = agent.get("support_contact")
    if not isinstance(contact, Mapping):
        return False
    return any(_text(contact.get(member)) for member in ("name", "email"))


def _name(account: Account | None, agent: Mapping[str, Any]) -> str | None:
    if account is None:
        return None
    names = (account.get("name"), account.get("username"), agent.get("authorName"))
    return next((name for name in map(_text, names) if name and "@" not in name), None)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
