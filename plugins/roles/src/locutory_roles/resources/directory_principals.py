"""Principals of an outside directory: finding them, and the accounts and groups that represent them
here (contract roles §4.4, §4.7)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from locutory import Policy, Principal, Request, Services
from locutory_contracts.directory import DIRECTORY, Directory, DirectoryEntry, DirectoryKind
from locutory_contracts.people import PEOPLE
from locutory_resources import object_id
from locutory_roles.groups import GroupStore
from locutory_roles.resources.entries import Party
from locutory_roles.resources.principals import GROUP, USER

MAX_DIRECTORY_PRINCIPALS = 100
"""Principals of a directory that one request may grant to: each is looked up there."""

_AT_ONCE = 5
_DECIDED = ("name", "email", "username", "description", "idOnTheSource", "memberCount")
_ACTIONS = {USER: "VIEW_USERS", GROUP: "VIEW_GROUPS"}


@dataclass(frozen=True, slots=True)
class ResolvedPrincipal:
    """An account, group or role that a change names. ``confirmed``: the fields that a directory
    gave, as members of the answer; empty for a principal that is known here."""

    party: Party
    confirmed: Mapping[str, Any] = field(default_factory=dict)

    def merged_with(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields that the client sent, but for those that the directory decides."""
        if not self.confirmed:
            return sent
        kept = {name: value for name, value in sent.items() if name not in _DECIDED}
        return {**kept, **self.confirmed}


class DirectoryPrincipals:
    """Queries the directory that a plugin offers. With one, only principals that it confirms count;
    the client's data is used as an id only. Without one, principals that are known here are found.
    """

    def __init__(self, groups: GroupStore, policy: Policy, services: Services) -> None:
        self._groups = groups
        self._policy = policy
        self._services = services

    async def search(
        self, request: Request, text: str, kinds: Collection[str], limit: int
    ) -> list[dict[str, Any]]:
        """Principals of the directory, as the people picker shows them: at most ``limit`` people
        and as many groups. They have no ``id``."""
        directory = self._services.find(DIRECTORY)
        directory_kinds: list[DirectoryKind] = []
        if USER in kinds:
            directory_kinds.append("user")
        if GROUP in kinds:
            directory_kinds.append("group")
        if directory is None or not directory_kinds:
            return []
        found = await directory.search(request, text, directory_kinds, limit)
        return [shown(entry, directory.source) for entry in found]

    async def identify(
        self, request: Request, sent: Sequence[Mapping[str, Any]]
    ) -> list[ResolvedPrincipal | None]:
        """The account or group behind each of them; ``None`` where there is none.

        Only for callers who may search for such principals anyway, so that nobody can try
        out addresses here.
        """
        allowed = {
            kind
            for kind, action in _ACTIONS.items()
            if sent and await self._policy.allows(request.caller, "PEOPLE_PICKER", action)
        }
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(item: Mapping[str, Any]) -> ResolvedPrincipal | None:
            if item["type"] not in allowed:
                return None
            async with turn:
                directory = self._services.find(DIRECTORY)
                if directory is None:
                    return await self._known(request.caller, item)
                return await self._confirmed(directory, request, item)

        return list(await asyncio.gather(*map(one, sent)))

    async def _confirmed(
        self, directory: Directory, request: Request, item: Mapping[str, Any]
    ) -> ResolvedPrincipal | None:
        kind: DirectoryKind = "user" if item["type"] == USER else "group"
        source_id = item.get("idOnTheSource")
        if not isinstance(source_id, str) or item["source"] != directory.source:
            return None
        entry = await directory.find(request, kind, source_id)
        if entry is None:
            return None
        confirmed = shown(entry, directory.source)
        if kind == "user":
            account = object_id(await directory.account(request, entry))
            return None if account is None else ResolvedPrincipal((USER, account), confirmed)
        members = await directory.members(request, entry.source_id)
        tenant = request.caller.tenant
        group = await self._groups.keep(directory.source, entry, members, tenant)
        return ResolvedPrincipal((GROUP, group), confirmed)

    async def _known(self, caller: Principal, item: Mapping[str, Any]) -> ResolvedPrincipal | None:
        found = await (self._known_group if item["type"] == GROUP else self._known_user)(
            caller, item
        )
        return None if found is None else ResolvedPrincipal((item["type"], found))

    async def _known_group(self, caller: Principal, item: Mapping[str, Any]) -> ObjectId | None:
        source_id = item.get("idOnTheSource")
        if not isinstance(source_id, str) or not source_id:
            return None
        group = await self._groups.by_source_id(item["source"], source_id, caller.tenant)
        return None if group is None else group["_id"]

    async def _known_user(self, caller: Principal, item: Mapping[str, Any]) -> ObjectId | None:
        people = self._services.find(PEOPLE)
        source_id, email = item.get("idOnTheSource"), item.get("email")
        account = None
        if people is not None and isinstance(source_id, str) and source_id:
            account = await people.by_source_id(source_id, tenant=caller.tenant)
        if people is not None and account is None and isinstance(email, str) and email:
            account = await people.by_email(email, tenant=caller.tenant)
        return None if account is None else account["_id"]


def is_directory_principal(sent: Any) -> bool:
    """``True`` for a person or group of an outside directory, who may be unknown here."""
    return (
        isinstance(sent, Mapping)
        and sent.get("type") in (USER, GROUP)
        and sent.get("source") == "entra"
        and not sent.get("id")
    )


def shown(entry: DirectoryEntry, source: str) -> dict[str, Any]:
    """A principal of the directory in the form for clients; unknown members are absent."""
    last = "username" if entry.kind == "user" else "description"
    members = {
        "type": USER if entry.kind == "user" else GROUP,
        "name": entry.name,
        "email": entry.email,
        last: getattr(entry, last),
        "source": source,
        "idOnTheSource": entry.source_id,
    }
    return {name: value for name, value in members.items() if value is not None}
