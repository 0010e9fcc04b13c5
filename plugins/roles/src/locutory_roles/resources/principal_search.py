"""Finding people, groups and roles to share with (contract roles §4.4)."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from locutory import HTTPError, Once, Principal, Raw, Request, Services, read_query
from locutory_contracts.accounts import Account
from locutory_contracts.people import PEOPLE
from locutory_roles.groups import GroupStore
from locutory_roles.resources.directory_principals import DirectoryPrincipals
from locutory_roles.resources.principals import GROUP, ROLE, USER
from locutory_roles.store import RoleStore

SHORTEST = 2
LONGEST = 200
NO_TEXT = 'Query parameter "q" is required and must not be empty'
_ACTIONS = {USER: "VIEW_USERS", GROUP: "VIEW_GROUPS", ROLE: "VIEW_ROLES"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUMBER = re.compile(r"\s*([+-]?\d{1,9})", re.ASCII)


def _limit(text: str) -> int:
    """10 for anything but a number, else 1 to 50."""
    number = _NUMBER.match(text)
    return min(max(1, (int(number[1]) if number else 0) or 10), 50)


def _text(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError(NO_TEXT)
    if len(text) < SHORTEST:
        raise ValueError(f"Query must be at least {SHORTEST} characters long")
    if len(text) > LONGEST:
        raise ValueError(f"Query must not exceed {LONGEST} characters")
    return text


def _kinds(texts: list[str]) -> list[str]:
    return [kind for text in texts for kind in text.split(",") if kind in _ACTIONS]


Kinds = Annotated[list[str], AfterValidator(_kinds)]


class KindsQuery(BaseModel):
    """The requested kinds of principals."""

    types: Kinds = Field(
        [], description="Comma list of user, group, role; unknown ones do not count"
    )
    type: Kinds = Field([], description="The same")

    @property
    def requested(self) -> list[str]:
        """The kinds, each once."""
        return list(dict.fromkeys([*self.types, *self.type]))


class PrincipalQuery(KindsQuery):
    """Whom to find."""

    q: Annotated[str, Once(), AfterValidator(_text)] = Field(
        description="Part of a name, e-mail address, username or description"
    )
    limit: Annotated[int, BeforeValidator(_limit)] = Field(20, description="1 to 50")


@dataclass(frozen=True, slots=True)
class Seen:
    """The kinds of principals that a caller may see."""

    kinds: Sequence[str]


class PrincipalSearch:
    """Searches principals for callers whose role may see them."""

    def __init__(
        self,
        roles: RoleStore,
        groups: GroupStore,
        directory_principals: DirectoryPrincipals,
        services: Services,
    ) -> None:
        self._roles = roles
        self._groups = groups
        self._directory_principals = directory_principals
        self._services = services

    async def check(self, request: Request) -> None:
        """As a check of a route: 403 unless the caller may see all kinds that are asked for."""
        requested = read_query(KindsQuery, request.query).requested
        request.keep(Seen(await self._permitted(request.caller, requested)))

    async def search(self, request: Request) -> dict[str, Any]:
        """The body of the response. Without ``types`` only the kinds that the caller may see are
        searched. An outside directory fills the rest of the limit."""
        caller, query = request.caller, request.valid(PrincipalQuery)
        text, limit, requested = query.q, query.limit, query.requested
        kinds = requested or request.valid(Seen).kinds
        found = await self._find(text, limit, kinds, caller.tenant)
        if len(found) < limit:
            others = await self._outside(request, text, kinds, limit, found)
            found += _ranked(others, text)[: limit - len(found)]
        results = _ranked(found, text)[:limit]
        return {
            "query": text,
            "limit": limit,
            "types": requested or None,
            "results": results,
            "count": len(results),
            "sources": {
                source: sum(item["source"] == source for item in results)
                for source in ("local", "entra")
            },
        }

    async def _permitted(self, caller: Principal, requested: Sequence[str]) -> list[str]:
        if not caller.role:
            raise HTTPError(401, {"error": "Unauthorized", "message": "Authentication required"})
        role = await self._roles.find(caller.role, caller.tenant)
        if role is None or not role.permissions:
            raise _forbidden("No permissions configured for user role")
        seen = [kind for kind, action in _ACTIONS.items() if role.allows("PEOPLE_PICKER", action)]
        for kind in requested:
            if kind not in seen:
                raise _forbidden(f"Insufficient permissions to search for {kind}s")
        if not seen:
            raise _forbidden("Insufficient permissions to search for users, groups, or roles")
        return seen

    async def _find(
        self, text: str, limit: int, kinds: Iterable[str], tenant: str | None
    ) -> list[dict[str, Any]]:
        if _CONTROL.search(text):  # nobody is called that, and a pattern may not hold a NUL
            return []
        searches = {USER: self._users, GROUP: self._group_results, ROLE: self._role_results}
        answers = await asyncio.gather(*(searches[kind](text, limit, tenant) for kind in kinds))
        return [item for part in answers for item in part]

    async def _outside(
        self,
        request: Request,
        text: str,
        kinds: Iterable[str],
        limit: int,
        found: Sequence[Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        """Principals of an outside directory who are not among those found here."""
        if _CONTROL.search(text):
            return []
        others = await self._directory_principals.search(request, text, list(kinds), limit)
        ids = {item["idOnTheSource"] for item in found}
        addresses = {str(item["email"]).lower() for item in found if item.get("email")}
        return [
            item
            for item in others
            if item["idOnTheSource"] not in ids and item.get("email") not in addresses
        ]

    async def _users(self, text: str, limit: int, tenant: str | None) -> list[dict[str, Any]]:
        people = self._services.find(PEOPLE)
        found = () if people is None else await people.search(text, limit, tenant=tenant)
        return [_user(account) for account in found][:limit]

    async def _group_results(
        self, text: str, limit: int, tenant: str | None
    ) -> list[dict[str, Any]]:
        return [_group(group) for group in await self._groups.search(text, limit, tenant)]

    async def _role_results(
        self, text: str, limit: int, tenant: str | None
    ) -> list[dict[str, Any]]:
        return [
            {"id": name, "type": ROLE, "name": name, "source": "local", "idOnTheSource": name}
            for name in await self._roles.search(text, limit, tenant)
        ]


def _forbidden(message: str) -> HTTPError:
    return HTTPError(403, {"error": "Forbidden", "message": message})


def _user(account: Account) -> dict[str, Any]:
    user = str(account["_id"])
    return {
        "id": user,
        "type": USER,
        "name": account.get("name") or account.get("email"),
        **_members(account, "email", "username", "avatar", "provider"),
        "source": "local",
        "idOnTheSource": account.get("idOnTheSource") or user,
    }


def _group(group: Raw) -> dict[str, Any]:
    identity = str(group["_id"])
    return {
        "id": identity,
        "type": GROUP,
        **_members(group, "name", "email", "avatar", "description", "memberCount"),
        "source": group.get("source") or "local",
        "idOnTheSource": group.get("idOnTheSource") or identity,
    }


def _members(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _ranked(items: Iterable[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: _rank(item, text.lower()))


def _rank(item: Mapping[str, Any], text: str) -> tuple[int, bool, str]:
    """Best field first, then people, then by name."""
    last = "username" if item["type"] == USER else "description"
    fields = [item.get(name) for name in ("name", "email", last)]
    score = max(
        (_score(field.lower(), text) for field in fields if isinstance(field, str)), default=0
    )
    name = item.get("name") or item.get("email") or ""
    return -score, item["type"] != USER, str(name).casefold()


def _score(field: str, text: str) -> int:
    if field == text:
        return 100
    if field.startswith(text):
        return 80
    return 50 if text in field else 10
