"""People and groups of Microsoft Entra, in the name of the caller (contract roles §4.4, §4.7)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import structlog

from locutory import Cache, Request, Services
from locutory_contracts.directory import DirectoryEntry, DirectoryKind
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import Refused, text
from locutory_oauth.openid.discovery import Discovery, normal_issuer
from locutory_oauth.openid.entra import Graph
from locutory_oauth.openid.reuse import PROVIDER, OpenIdSessions

T = TypeVar("T")
Search = Callable[[str], Awaitable[Sequence[DirectoryEntry]]]

_EXCHANGE = "exchange token"
_RESTS = "oauth:directory-rest"
_REST_SECONDS = 10.0
_FORBIDDEN_SECONDS = 60.0
_LONGEST_REST = 60.0
_MEMBERS_FACTOR = 3
_MOST_FOUND = 50

_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PERSON = "#microsoft.graph.user"
_PEOPLE_SELECT = "id,displayName,userPrincipalName,scoredEmailAddresses,personType"
_USER_SELECT = "id,displayName,mail,userPrincipalName"
_GROUP_SELECT = "id,displayName,mail,description"
_USER_FIELDS = ("displayName", "userPrincipalName", "mail", "givenName", "surname")
_GROUP_FIELDS = ("displayName", "mail", "mailNickname")
_NOBODY: Sequence[DirectoryEntry] = ()


class EntraDirectory:
    """Implements `locutory_contracts.directory.Directory`.

    Each call is made with a token exchanged for the caller's own, and each failure is one line in
    the log. A step that failed for a caller is not repeated for a while, so that a picker that
    searches with every letter does not wait for it, or add to the directory's load, every time.

    Args:
        seconds: in which the directory must answer; three times that for the members of a group.
    """

    def __init__(
        self,
        graph: Graph,
        sessions: OpenIdSessions,
        discovery: Discovery,
        services: Services,
        cache: Cache,
        seconds: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._graph = graph
        self._sessions = sessions
        self._discovery = discovery
        self._services = services
        self._cache = cache
        self._seconds = seconds
        self._log = log
        self._knows_contacts = any(
            scope.rpartition("/")[2].lower().startswith("people.read") for scope in graph.scopes
        )

    @property
    def source(self) -> str:
        """The value of ``source`` for the directory's people and groups."""
        return "entra"

    async def search(
        self, request: Request, text: str, kinds: Collection[DirectoryKind], limit: int
    ) -> Sequence[DirectoryEntry]:
        """At most ``limit`` people and as many groups that match ``text``. Contacts of the caller
        come first."""
        query_text = text.strip()
        if not kinds or limit < 1 or len(query_text) < 2 or _CONTROL.search(query_text):
            return []
        if not await self._ask(request, _EXCHANGE, _ready, False):
            return []  # one exchange, and one failure, for all that is asked
        searches = self._searches(query_text, kinds, min(limit, _MOST_FOUND))
        answers = await asyncio.gather(
            *(self._ask(request, what, call, _NOBODY) for what, call in searches)
        )
        found: dict[tuple[DirectoryKind, str], DirectoryEntry] = {}
        for entry in [entry for part in answers for entry in part]:
            found.setdefault((entry.kind, entry.source_id), entry)
        return [
            entry
            for kind in ("user", "group")
            for entry in [each for each in found.values() if each.kind == kind][:limit]
        ]

    def _searches(
        self, query_text: str, kinds: Collection[DirectoryKind], limit: int
    ) -> Sequence[tuple[str, Search]]:
        """The requests to make, each with a name for the log."""

        def listed(
            path: str, read: Callable[[Mapping[str, Any]], DirectoryEntry | None], **query: str
        ) -> Search:
            # Not urlencode: Graph takes a plus sign for a plus sign.
            pairs = "&".join(f"${name}={quote(value, safe='')}" for name, value in query.items())

            async def call(token: str) -> Sequence[DirectoryEntry]:
                values = await self._graph.values(token, f"{path}?{pairs}&$top={limit}", pages=1)
                entries = [read(value) for value in values if isinstance(value, Mapping)]
                return [entry for entry in entries if entry is not None]

            return call

        searches = []
        if "user" in kinds:
            # A colon would make a property or a topic of what stands before it there.
            if self._knows_contacts and ":" not in query_text:
                of_organisation = "personType/subclass eq 'OrganizationUser'"
                call = listed(
                    "/me/people",
                    _contact,
                    search=_quoted(query_text),
                    filter=of_organisation,
                    select=_PEOPLE_SELECT,
                )
                searches.append(("search contacts", call))
            given = _any_of(_USER_FIELDS, query_text)
            call = listed("/users", _user, search=given, select=_USER_SELECT)
            searches.append(("search users", call))
        if "group" in kinds:
            given = _any_of(_GROUP_FIELDS, query_text)
            call = listed("/groups", _group, search=given, select=_GROUP_SELECT)
            searches.append(("search groups", call))
        return searches

    async def find(
        self, request: Request, kind: DirectoryKind, source_id: str
    ) -> DirectoryEntry | None:
        """The person or group with this id in the directory, or ``None``."""
        if not _ID.fullmatch(source_id):
            return None
        path = {
            "user": f"/users/{source_id}?$select={_USER_SELECT}",
            "group": f"/groups/{source_id}?$select={_GROUP_SELECT}",
        }[kind]

        async def call(token: str) -> DirectoryEntry | None:
            try:
                answer = await self._graph.one(token, path)
            except Unreachable as failure:
                if failure.status == 404:
                    return None
                raise
            entry = _user(answer) if kind == "user" else _group(answer)
            if entry is None or entry.source_id.lower() != source_id.lower():
                raise Unreachable(f"Graph answers about another {kind}")
            return entry

        return await self._ask(request, f"find {kind}", call, None)

    async def account(self, request: Request, person: DirectoryEntry) -> str | None:
        """The account id of a person of the directory, which is found or created. The issuer is the
        caller's, with which everybody in their directory signs in."""
        sign_ins = self._services.find(SIGN_INS)
        caller = request.caller
        if sign_ins is None or person.kind != "user":
            return None
        own, known = self._discovery.issuer, self._discovery.known
        issuer = normal_issuer(text(caller.account.get("openidIssuer"))) or own
        fields = {
            "name": person.name,
            "username": person.username,
            "idOnTheSource": person.source_id,
            "tenantId": caller.tenant,
        }
        identity = Identity(
            provider=PROVIDER,
            key="openidId",
            subject="",
            issuer=issuer,
            email=person.email or "",
            email_verified=False,
            fields={name: value for name, value in fields.items() if value},
            issuer_configured=issuer in (own, known and normal_issuer(known.issuer)),
        )
        try:
            return await sign_ins.expect(identity)
        except IdentityRefused as refusal:
            self._log.info("directory.no_account", code=refusal.code, by=caller.id)
            return None

    async def members(self, request: Request, group: str) -> Collection[str] | None:
        """The ids of the people in a group, including nested groups; owners count where that is
        configured."""
        if not _ID.fullmatch(group):
            return None
        paths = [f"/groups/{group}/transitiveMembers?$select=id&$top=999"]
        if self._graph.owners:
            paths.append(f"/groups/{group}/owners?$select=id&$top=999")

        async def call(token: str) -> Collection[str] | None:
            listed = [each for path in paths for each in await self._graph.values(token, path)]
            people = [
                each["id"]
                for each in listed
                if isinstance(each, dict) and each.get("@odata.type") == _PERSON and _is_id(each)
            ]
            return list(dict.fromkeys(people))

        return await self._ask(request, "read members", call, None, factor=_MEMBERS_FACTOR)

    async def _ask(
        self,
        request: Request,
        what: str,
        call: Callable[[str], Awaitable[T]],
        nothing: T,
        *,
        factor: int = 1,
    ) -> T:
        """The answer to a call with the caller's token for Graph; ``nothing`` when there is
        no such token, or no answer."""
        access = await self._sessions.access_token(request)
        if access is None:
            return nothing
        user = request.caller.id
        step = _EXCHANGE
        try:
            if await self._resting(user, step) or await self._resting(user, what):
                return nothing
            async with asyncio.timeout(self._seconds * factor):
                token = await self._graph.token(access)
                step = what
                return await call(token)
        except (Refused, Unreachable, TimeoutError) as failure:
            reason = str(failure) or "the directory takes too long"
            status = getattr(failure, "status", None)
            self._log.warning("directory.failed", step=step, reason=reason, user=user)
            if status == 401:
                await self._graph.forget(access)
            await self._rest(user, step, _rest_seconds(failure, step))
            return nothing

    async def _resting(self, user: str, step: str) -> bool:
        return await self._cache.get(_RESTS, f"{user}:{step}") is not None

    async def _rest(self, user: str, step: str, seconds: float) -> None:
        if seconds > 0:
            await self._cache.set(_RESTS, f"{user}:{step}", 1, seconds)


async def _ready(token: str) -> bool:
    return True


def _rest_seconds(failure: Exception, step: str) -> float:
    """The seconds for which a failed step is not repeated. A failure of one request or one object
    only does not delay the next."""
    status = failure.status if isinstance(failure, Unreachable) else None
    if status in (403, 404):  # without the right, or (for contacts) without a mailbox
        return _FORBIDDEN_SECONDS if step.startswith("search") else 0.0
    if status is not None and 400 <= status < 500 and status != 429:
        return 0.0
    wait = failure.wait if isinstance(failure, Unreachable) else 0.0
    return min(wait or _REST_SECONDS, _LONGEST_REST)


def _quoted(value: str) -> str:
    r"""A clause of ``$search``: in quotes, with those and ``\`` inside escaped."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _any_of(fields: Sequence[str], value: str) -> str:
    return " OR ".join(_quoted(f"{name}:{value}") for name in fields)


def _is_id(found: Mapping[str, Any]) -> bool:
    return isinstance(found.get("id"), str) and _ID.fullmatch(found["id"]) is not None


def _words(found: Mapping[str, Any], name: str) -> str | None:
    value = found.get(name)
    return text(value) or None if isinstance(value, str) else None


def _address(*candidates: Any) -> str | None:
    """The first that is an e-mail address, in lower case."""
    for candidate in candidates:
        if isinstance(candidate, str) and "@" in candidate:
            return text(candidate).lower()
    return None


def _user(found: Mapping[str, Any]) -> DirectoryEntry | None:
    """A person as an entry; ``None`` for other objects, and without a name."""
    login = _words(found, "userPrincipalName")
    email = _address(found.get("mail"), login)
    name = _words(found, "displayName") or login or email
    if not _is_id(found) or name is None:
        return None
    return DirectoryEntry("user", found["id"], name, email=email, username=login)


def _contact(found: Mapping[str, Any]) -> DirectoryEntry | None:
    """A person as the caller's contacts have it."""
    kind, scored = found.get("personType"), found.get("scoredEmailAddresses")
    if isinstance(kind, Mapping) and kind.get("class") == "Group":
        return None
    first = scored[0] if isinstance(scored, list) and scored else None
    address = first.get("address") if isinstance(first, Mapping) else None
    return _user({**found, "mail": address})


def _group(found: Mapping[str, Any]) -> DirectoryEntry | None:
    name = _words(found, "displayName")
    if not _is_id(found) or name is None:
        return None
    return DirectoryEntry(
        "group",
        found["id"],
        name,
        email=_address(found.get("mail")),
        description=_words(found, "description"),
    )
