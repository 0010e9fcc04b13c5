"""People and groups of an outside directory, which a plugin offers (contract roles §4.4, §4.7)."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from bson import ObjectId

from locutory import Context, Plugin, Principal, Provide, Request, hook
from locutory_contracts.access import OWNER, VIEW
from locutory_contracts.directory import DIRECTORY, DirectoryEntry, DirectoryKind

EVERYTHING = {
    "PEOPLE_PICKER": {"VIEW_USERS": True, "VIEW_GROUPS": True, "VIEW_ROLES": True},
    "AGENTS": {"SHARE": True},
    "SHARED_LINKS": {"SHARE": True},
}


class Registry(Plugin):
    """A directory of the tests. ``unwanted``: people who get no account."""

    name = "registry"
    summary = "A directory of the tests"
    provides = (DIRECTORY,)
    source = "entra"

    def __init__(self) -> None:
        self.entries: list[DirectoryEntry] = []
        self.groups: dict[str, list[str]] = {}
        self.unwanted: set[str] = set()
        self.asked: list[Any] = []

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self._ctx = ctx
        return [Provide(DIRECTORY, self)]

    async def search(
        self, request: Request, text: str, kinds: Collection[DirectoryKind], limit: int
    ) -> Sequence[DirectoryEntry]:
        self.asked.append(("search", text, sorted(kinds), limit, request.caller.id))
        return [each for each in self.entries if each.kind in kinds]

    async def find(
        self, request: Request, kind: DirectoryKind, source_id: str
    ) -> DirectoryEntry | None:
        self.asked.append(("find", kind, source_id))
        found = [e for e in self.entries if e.kind == kind and e.source_id == source_id]
        return found[0] if found else None

    async def account(self, request: Request, person: DirectoryEntry) -> str | None:
        if person.source_id in self.unwanted:
            return None
        people = self._ctx.database.collection("test_people")
        known = await people.find_one({"idOnTheSource": person.source_id})
        if known is None:
            known = {"name": person.name, "idOnTheSource": person.source_id}
            await people.insert_one(known)
        return str(known["_id"])

    async def members(self, request: Request, group: str) -> Collection[str] | None:
        return self.groups.get(group)


def person(source_id: str, name: str = "Bert Berg", **more: Any) -> DirectoryEntry:
    return DirectoryEntry("user", source_id, name, **more)


def group(source_id: str, name: str = "Crew", **more: Any) -> DirectoryEntry:
    return DirectoryEntry("group", source_id, name, **more)


def sent(kind: str, source_id: Any, **more: Any) -> dict[str, Any]:
    lies = {"name": "Liar", "email": "liar@example.com", "description": "x", "memberCount": 9}
    return {
        "type": kind,
        "source": "entra",
        "idOnTheSource": source_id,
        "accessRoleId": "agent_viewer",
        **lies,
        **more,
    }


@pytest.fixture
def registry() -> Registry:
    return Registry()


async def put(s: Any, resource: str, who: str, *principals: Any) -> list[dict[str, Any]]:
    answer = await s.put(f"agent/{resource}", who, {"updated": list(principals)}, "PICKER")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"]["principals"])


class TestPicking:
    async def test_what_the_directory_adds(self, stage: Any, registry: Registry) -> None:
        registry.entries = [
            group("g1", "Berg crew", description="Climbs", email="crew@x.org"),
            person("p1", "Zoe Berg", email="zoe@x.org", username="zoe@corp"),
            person("p2", "Berg"),
            person("p3", "Berg Known", email="known@example.com"),
            person("p4", "Berg Known Too"),
        ]
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            await s.person("Known Berg", email="Known@example.com")
            await s.person("Berg Too", email="t@x.org", idOnTheSource="p4")
            me = await s.person("Olga")
            answer = (await s.get("search-principals?q=berg&limit=7", me, "PICKER")).json()
            assert answer["sources"] == {"local": 2, "entra": 3}
            outside = [each for each in answer["results"] if "id" not in each]
            assert outside == [
                {"type": "user", "name": "Berg", "source": "entra", "idOnTheSource": "p2"},
                {
                    "type": "group",
                    "name": "Berg crew",
                    "email": "crew@x.org",
                    "description": "Climbs",
                    "source": "entra",
                    "idOnTheSource": "g1",
                },
                {
                    "type": "user",
                    "name": "Zoe Berg",
                    "email": "zoe@x.org",
                    "username": "zoe@corp",
                    "source": "entra",
                    "idOnTheSource": "p1",
                },
            ]
            assert registry.asked == [("search", "berg", ["group", "user"], 7, me)]
            # The best of the rest, and never one of those here less.
            answer = (await s.get("search-principals?q=berg&limit=3", me, "PICKER")).json()
            names = [each["name"] for each in answer["results"]]
            assert sorted(names) == ["Berg", "Berg Too", "Known Berg"]

    async def test_when_it_is_asked(self, stage: Any, registry: Registry) -> None:
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            await s.role("SEES", {"PEOPLE_PICKER": {"VIEW_GROUPS": True}})
            me = await s.person("Olga")
            for query, role, kinds in (
                ("q=olga&limit=1", "PICKER", None),
                ("q=olga&types=role", "PICKER", None),
                ("q=a%00b", "PICKER", None),
                ("q=o", "PICKER", None),
                ("q=olga&types=user", "SEES", None),
                ("q=olga", "SEES", ["group"]),
                ("q=olga&types=user,role", "PICKER", ["user"]),
            ):
                registry.asked.clear()
                await s.get(f"search-principals?{query}", me, role)
                assert [each[2] for each in registry.asked] == ([] if kinds is None else [kinds])


class TestSharing:
    async def test_the_directory_decides(self, stage: Any, registry: Registry) -> None:
        registry.entries = [person("p1", email="bert@x.org"), person("p2"), group("g1")]
        registry.unwanted = {"p2"}
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            owner = await s.person("Olga")
            await s.person("Liar", email="liar@example.com", idOnTheSource="p9")
            resource = await s.owned("agent", owner)
            granted = await put(
                s,
                resource,
                owner,
                sent("user", "p1", accessRoleId="agent_owner", avatar=None),
                *(sent("user", each) for each in ("p2", "p9", "g1", "", None, ["p1"], {"$ne": 1})),
                sent("group", "g1", id=""),
                sent("group", "p1"),
                {"type": "user", "source": "entra", "accessRoleId": "agent_viewer"},
            )
            rows = await s.collection("test_people").find({"idOnTheSource": "p1"}).to_list()
            stored = await s.collection("groups").find({}).to_list()
            assert granted == [
                {
                    "type": "user",
                    "id": str(rows[0]["_id"]),
                    "name": "Bert Berg",
                    "email": "bert@x.org",
                    "source": "entra",
                    "avatar": None,
                    "idOnTheSource": "p1",
                    "accessRoleId": "agent_owner",
                },
                {
                    "type": "group",
                    "id": str(stored[0]["_id"]),
                    "name": "Crew",
                    "source": "entra",
                    "idOnTheSource": "g1",
                    "accessRoleId": "agent_viewer",
                },
            ]
            bits = {e["principalId"]: e["permBits"] for e in await s.entries("agent", resource)}
            assert bits == {
                ObjectId(owner): OWNER,
                rows[0]["_id"]: OWNER,
                stored[0]["_id"]: VIEW,
            }

    async def test_a_source_that_the_directory_is_not(self, stage: Any, registry: Registry) -> None:
        registry.entries = [person("p1")]
        registry.source = "elsewhere"
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            owner = await s.person("Olga")
            resource = await s.owned("agent", owner)
            assert await put(s, resource, owner, sent("user", "p1")) == []
            assert registry.asked == []

    async def test_refused_changes_ask_nothing(self, stage: Any, registry: Registry) -> None:
        registry.entries = [person("p1")]
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            await s.role("SHARER", {"AGENTS": {"SHARE": True}})
            owner, other = await s.person("Olga"), await s.person("Otto")
            agent, link = await s.owned("agent", owner), await s.owned("sharedLink", owner)
            one = sent("user", "p1")
            owned = sent("user", "p1", accessRoleId="sharedLink_owner")
            for path, who, principals, role, status in (
                (f"agent/{agent}", owner, [one], "SHARER", 200),
                (f"agent/{agent}", other, [one], "PICKER", 403),
                (f"agent/{agent}", owner, [one] * 101, "PICKER", 400),
                (f"sharedLink/{link}", owner, [owned], "PICKER", 400),
            ):
                answer = await s.put(path, who, {"updated": principals}, role)
                assert answer.status_code == status
            assert registry.asked == []
            assert await s.collection("test_people").count_documents({}) == 2


class TestGroups:
    async def test_members_count_at_once(self, stage: Any, registry: Registry) -> None:
        """Also those who are remembered to be in none."""
        registry.entries = [group("g1", email="crew@x.org", description="Sails")]
        registry.groups = {"g1": ["p1", "p2"]}
        async with stage(
            others=[registry], environment={"USER_PRINCIPALS_CACHE_TTL_MS": "60000"}
        ) as s:
            await s.role("PICKER", EVERYTHING)
            owner, bert = await s.person("Olga"), await s.person("Bert", idOnTheSource="p1")
            resource = await s.owned("agent", owner)

            async def bits() -> int:
                return int(await s.access.bits(Principal(id=bert), "agent", resource))

            assert await bits() == 0
            await put(s, resource, owner, sent("group", "g1"))
            (stored,) = await s.collection("groups").find({}).to_list()
            moments = {stored.pop("createdAt"), stored.pop("updatedAt")}
            assert len(moments) == 1
            assert stored == {
                "_id": stored["_id"],
                "name": "Crew",
                "email": "crew@x.org",
                "description": "Sails",
                "source": "entra",
                "idOnTheSource": "g1",
                "memberIds": ["p1", "p2"],
                "__v": 0,
            }
            for members, expected in ((["p2"], 0), (["p1"], VIEW), (None, VIEW), ([], 0)):
                registry.groups = {} if members is None else {"g1": members}
                await put(s, resource, owner, sent("group", "g1"))
                assert await bits() == expected, members

    async def test_it_follows_what_it_is_called_there(self, stage: Any, registry: Registry) -> None:
        registry.entries = [group("g1", "New name", email="new@x.org")]
        registry.groups = {"g1": ["p1"]}
        by_id = str(ObjectId())
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            owner = await s.person("Olga")
            known = await s.group(
                "Old name", "p0", by_id, source="entra", idOnTheSource="g1", description="old"
            )
            await s.group("Local", email="new@x.org")
            await s.group("Tenant's", source="entra", idOnTheSource="g1", tenantId="t")
            before = await s.collection("groups").find({"_id": {"$ne": known}}).to_list()
            resource = await s.owned("agent", owner)
            (granted,) = await put(s, resource, owner, sent("group", "g1"))
            assert granted["id"] == str(known)
            stored = await s.collection("groups").find_one({"_id": known})
            assert (stored["name"], stored["email"]) == ("New name", "new@x.org")
            assert "description" not in stored
            # Accounts without an id there are members by their id here.
            assert stored["memberIds"] == ["p1", by_id]
            after = await s.collection("groups").find({"_id": {"$ne": known}}).to_list()
            assert after == before

    async def test_two_at_once_make_one(self, stage: Any, registry: Registry) -> None:
        registry.entries = [group(f"g{number}") for number in range(4)]
        registry.groups = {f"g{number}": ["p1"] for number in range(4)}
        async with stage(others=[registry]) as s:
            await s.role("PICKER", EVERYTHING)
            owner = await s.person("Olga")
            resources = [await s.owned("agent", owner) for _ in range(4)]
            every = [sent("group", each) for each in registry.groups]
            answers = await asyncio.gather(
                *(put(s, resource, owner, *every) for resource in resources)
            )
            assert len({tuple(each["id"] for each in answer) for answer in answers}) == 1
            assert await s.collection("groups").count_documents({}) == 4
