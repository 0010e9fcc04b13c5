"""The service ACCESS: who may do what with which resource (contract roles §4.3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory import Principal
from locutory_contracts.access import DELETE, EDIT, OWNER, SHARE, VIEW

KINDS = ("agent", "promptGroup", "mcpServer", "remoteAgent", "skill", "sharedLink", "report")
ME = "a" * 24
OTHER = "b" * 24
BITS = {"view": VIEW, "edit": EDIT, "delete": DELETE, "share": SHARE}


def caller(user: str = ME, role: str = "USER", tenant: str | None = None) -> Principal:
    return Principal(id=user, role=role, tenant=tenant, account={"_id": ObjectId(user)})


@pytest.mark.parametrize("kind", KINDS)
async def test_the_matrix_of_principals_and_rights(stage: Any, kind: str) -> None:
    """Each kind of principal × each set of bits: exactly the bits given, to exactly those."""
    async with stage() as s:
        mine = await s.group("mine", ME, OTHER)
        foreign = await s.group("foreign", "c" * 24)
        parties = {
            "me": ("user", ObjectId(ME)),
            "other": ("user", ObjectId(OTHER)),
            "my role": ("role", "USER"),
            "other role": ("role", "EDITOR"),
            "my group": ("group", mine),
            "other group": ("group", foreign),
            "everybody": ("public", None),
        }
        for name, party in parties.items():
            for bits in (VIEW, VIEW | EDIT, OWNER, SHARE, 0):
                resource = await s.thing(kind)
                await s.entry(party, kind, resource, bits)
                held = bits if name in ("me", "my role", "my group", "everybody") else 0
                assert await s.access.bits(caller(), kind, resource) == held, (name, bits)
                for right in BITS.values():
                    decision = await s.access.decide(caller(), kind, resource, right)
                    assert decision.allowed is bool(held & right), (name, bits, decision.reason)
                    assert decision.reason
                reachable = await s.access.reachable(caller(), kind)
                assert (resource in reachable) is bool(held & VIEW), (name, bits)
                if held & VIEW:
                    assert reachable[resource] == held
                stranger = caller("d" * 24, "GUEST")
                everybody = bits if name == "everybody" else 0
                assert await s.access.bits(stranger, kind, resource) == everybody
                public = await s.access.public(kind, [resource, "f" * 24, "nonsense"])
                assert public == ({resource} if everybody & VIEW else set())


async def test_rights_add_up_over_principals(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        group = await s.group("readers", ME)
        await s.entry(("public", None), "agent", resource, VIEW)
        await s.entry(("role", "USER"), "agent", resource, EDIT)
        await s.entry(("group", group), "agent", resource, DELETE)
        assert await s.access.bits(caller(), "agent", resource) == VIEW | EDIT | DELETE
        both = await s.access.decide(caller(), "agent", resource, VIEW | DELETE)
        assert both.reason == (
            f"entry of agent {resource}: everybody may view; group {group} may delete"
        ) or both.reason == (
            f"entry of agent {resource}: group {group} may delete; everybody may view"
        )
        refused = await s.access.decide(caller(), "agent", resource, VIEW | SHARE)
        assert refused.reason == (
            f"entries of agent {resource} give view, edit, delete, but not share"
        )
        assert await s.access.reachable(caller(), "agent", SHARE) == {}
        assert await s.access.reachable(caller(), "agent", VIEW | EDIT) == {resource: 7}


async def test_a_refusal_names_whom_it_looked_for(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        refused = await s.access.decide(caller(), "agent", resource, VIEW)
        assert refused.reason == (
            f"no entry of agent {resource} names user {ME}, role USER, 0 groups or everybody"
        )


async def test_types_of_principals_count(stage: Any) -> None:
    """Traps 5 and 6: ids in the wrong type match nobody."""
    async with stage() as s:
        resource = await s.thing("agent")
        group = await s.group("mine", ME)
        for party in (
            ("user", ME),
            ("role", ObjectId(ME)),
            ("group", str(group)),
            ("group", ObjectId(ME)),
            ("user", group),
            ("role", ME),
            ("user", "USER"),
            ("public ", None),
            ("alien", ObjectId(ME)),
        ):
            await s.entry(party, "agent", resource, OWNER)
        await s.collection("aclentries").insert_one(
            {
                "principalType": "public",
                "principalId": ObjectId(ME),
                "resourceType": "agent",
                "resourceId": ObjectId(resource),
                "permBits": OWNER,
            }
        )
        await s.collection("aclentries").insert_one(
            {
                "principalType": "user",
                "resourceType": "agent",
                "resourceId": ObjectId(resource),
                "permBits": OWNER,
            }
        )
        assert await s.access.bits(caller(), "agent", resource) == 0
        assert await s.access.reachable(caller(), "agent") == {}
        assert await s.access.public("agent", [resource]) == set()


BITS_THAT_ARE_NO_RIGHTS_GIVE_NONE: list[Any] = [
    -1,
    16,
    31,
    "15",
    None,
    [15],
    {"$gt": 0},
    float("nan"),
]


async def test_bits_that_are_no_rights_give_none(stage: Any) -> None:
    async with stage() as s:
        for bits in BITS_THAT_ARE_NO_RIGHTS_GIVE_NONE:
            resource = await s.thing("agent")
            await s.entry(("user", ObjectId(ME)), "agent", resource, bits)
            assert await s.access.bits(caller(), "agent", resource) == 0
            assert await s.access.reachable(caller(), "agent") == {}


async def test_a_role_without_name_matches_nothing(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("role", ""), "agent", resource, OWNER)
        await s.entry(("role", " "), "agent", resource, OWNER)
        for role in ("", " "):
            assert await s.access.bits(caller(role=role), "agent", resource) == 0


async def test_types_of_resources_are_apart(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("user", ObjectId(ME)), "agent", resource, OWNER)
        assert await s.access.bits(caller(), "remoteAgent", resource) == 0
        assert await s.access.reachable(caller(), "promptGroup") == {}
        assert not await s.access.decide(caller(), "skill", resource, VIEW)


WHAT_DOES_NOT_EXIST_GIVES_NOTHING: list[Any] = [
    "",
    "x",
    "f" * 23,
    "g" * 24,
    "agent_3v9Dj5yUOJOVvh5_kyRyF",
]


async def test_what_does_not_exist_gives_nothing(stage: Any) -> None:
    async with stage() as s:
        for identity in WHAT_DOES_NOT_EXIST_GIVES_NOTHING:
            assert await s.access.bits(caller(), "agent", identity) == 0
            assert not await s.access.decide(caller(), "agent", identity, VIEW)
            assert await s.access.public("agent", [identity]) == set()
            await s.access.forget("agent", [identity])
            for change in (
                s.access.grant_owner(ME, "agent", identity),
                s.access.grant_owner(identity, "agent", "f" * 24),
                s.access.grant_public("agent", identity, "agent_viewer"),
                s.access.grant_owner(ME, "planet", "f" * 24),
                s.access.grant_public("planet", "f" * 24, "agent_viewer"),
                s.access.grant_public("agent", "f" * 24, "skill_viewer"),
                s.access.grant_public("agent", "f" * 24, "nonsense"),
            ):
                with pytest.raises(ValueError, match="is not"):
                    await change
            assert await s.collection("aclentries").count_documents({}) == 0


async def test_types_and_rights_that_do_not_exist(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("user", ObjectId(ME)), "agent", resource, OWNER)
        await s.entry(("user", ObjectId(ME)), "planet", resource, OWNER)
        admin = caller(role="ADMIN")
        decision = await s.access.decide(admin, "planet", resource, VIEW)
        assert decision.reason == "planet is not a type of resource"
        assert await s.access.bits(caller(), "planet", resource) == 0
        assert await s.access.reachable(caller(), "planet") == {}
        for needed in (0, -1, 16, 31):
            assert not await s.access.decide(admin, "agent", resource, needed)
            assert await s.access.reachable(caller(), "agent", needed) == {}


async def test_a_principal_that_is_no_account(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("public", None), "agent", resource, VIEW)
        await s.group("odd", "service")
        nobody = Principal(id="service")
        assert await s.access.bits(nobody, "agent", resource) == VIEW
        assert await s.access.reachable(nobody, "agent") == {resource: VIEW}


async def test_capabilities_open_everything_of_their_type(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        admin = caller(OTHER, "ADMIN")
        opened = await s.access.decide(admin, "agent", resource, OWNER)
        assert opened.reason == "role ADMIN holds manage:agents, which opens every agent"
        assert await s.access.bits(admin, "agent", resource) == 0, "bits are entries alone"
        assert await s.access.reachable(admin, "agent") == {}
        report = await s.thing("report")
        assert not await s.access.decide(admin, "report", report, VIEW), "no such capability"


CAPABILITIES: list[Any] = [
    ("manage:agents", {"agent", "remoteAgent"}),
    ("manage:prompts", {"promptGroup"}),
    ("manage:mcpservers", {"mcpServer"}),
    ("manage:skills", {"skill"}),
    ("manage:sharedlinks", {"sharedLink"}),
    ("read:agents", set()),
    ("access:admin", set()),
]


async def test_which_capability_opens_what(stage: Any) -> None:
    async with stage(things=False) as s:
        for capability, opens in CAPABILITIES:
            helper = caller(role=f"HELPER {capability}")
            await s.collection("systemgrants").insert_one(
                {
                    "principalType": "role",
                    "principalId": helper.role,
                    "capability": capability,
                    "grantedAt": datetime.now(UTC),
                }
            )
            found = {kind for kind in KINDS if await s.access.decide(helper, kind, "f" * 24, OWNER)}
            assert found == opens, capability


async def test_entries_past_their_date_are_gone_at_once(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("sharedLink")
        past, soon = (datetime.now(UTC) + timedelta(minutes=m) for m in (-1, 5))
        await s.entry(("public", None), "sharedLink", resource, VIEW, expiredAt=past)
        await s.entry(("user", ObjectId(ME)), "sharedLink", resource, OWNER, expiredAt=past)
        assert await s.access.bits(caller(), "sharedLink", resource) == 0
        assert await s.access.reachable(caller(), "sharedLink") == {}
        assert await s.access.public("sharedLink", [resource]) == set()
        await s.entry(("public", None), "sharedLink", resource, VIEW, expiredAt=soon)
        assert await s.access.bits(caller(), "sharedLink", resource) == VIEW
        assert await s.access.public("sharedLink", [resource]) == {resource}


async def test_tenants_do_not_see_each_other(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("public", None), "agent", resource, VIEW, tenantId="north")
        await s.entry(("role", "USER"), "agent", resource, EDIT, tenantId="north")
        await s.entry(("user", ObjectId(ME)), "agent", resource, DELETE, tenantId="south")
        await s.group("n", ME, tenantId="north")
        group = await s.group("s", ME, tenantId="south")
        await s.entry(("group", group), "agent", resource, SHARE, tenantId="south")
        for tenant, bits in (("north", VIEW | EDIT), ("south", DELETE | SHARE), (None, 0)):
            assert await s.access.bits(caller(tenant=tenant), "agent", resource) == bits


async def test_the_entry_of_an_owner(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner")
        for kind in KINDS:
            resource = await s.owned(kind, owner)
            [entry] = await s.entries(kind, resource)
            role = await s.collection("accessroles").find_one({"_id": entry["roleId"]})
            assert role["accessRoleId"] == ("report_boss" if kind == "report" else f"{kind}_owner")
            assert entry["permBits"] == OWNER
            assert entry["principalId"] == entry["grantedBy"] == ObjectId(owner)
            assert entry["principalModel"] == "User"
            assert entry["__v"] == 0
            assert "tenantId" not in entry
            assert {"grantedAt", "createdAt", "updatedAt"} <= entry.keys()
            await s.access.grant_owner(owner, kind, resource)
            assert len(await s.entries(kind, resource)) == 1, "safe to repeat"


async def test_an_owner_in_a_tenant_and_without_access_role(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner", tenantId="north")
        await s.collection("accessroles").delete_many({"resourceType": "agent"})
        resource = await s.owned("agent", owner)
        [entry] = await s.entries("agent", resource)
        assert entry["tenantId"] == "north"
        assert "roleId" not in entry
        assert await s.access.bits(caller(owner, tenant="north"), "agent", resource) == OWNER
        assert await s.access.bits(caller(owner), "agent", resource) == 0


async def test_everybody_comes_and_goes(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner", tenantId="north")
        resource = await s.owned("agent", owner)
        for role, bits in (("agent_viewer", VIEW), ("agent_owner", OWNER)):
            await s.access.grant_public("agent", resource, role)
            public = [e for e in await s.entries("agent", resource) if "principalId" not in e]
            assert [entry["permBits"] for entry in public] == [bits]
            assert "principalModel" not in public[0]
            assert public[0]["tenantId"] == "north", "as the other entries of the resource"
            assert await s.access.bits(caller(tenant="north"), "agent", resource) == bits
        await s.access.grant_public("agent", resource, None)
        assert await s.access.bits(caller(tenant="north"), "agent", resource) == 0
        assert len(await s.entries("agent", resource)) == 1, "the owner stays"


async def test_rights_are_copied_when_they_are_granted(stage: Any) -> None:
    """Trap 7: changing an access role changes no entry."""
    async with stage() as s:
        resource = await s.thing("agent")
        await s.access.grant_public("agent", resource, "agent_viewer")
        await s.collection("accessroles").update_one(
            {"accessRoleId": "agent_viewer"}, {"$set": {"permBits": OWNER}}
        )
        assert await s.access.bits(caller(), "agent", resource) == VIEW


async def test_deleted_resources_are_forgotten(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner")
        gone = [await s.owned("agent", owner) for _ in range(3)]
        kept = await s.owned("agent", owner)
        await s.entry(("public", None), "agent", gone[0], VIEW)
        await s.entry(("user", ObjectId(owner)), "remoteAgent", gone[0], OWNER)
        await s.access.forget("agent", [*gone, "nonsense"])
        await s.access.forget("agent", [])
        assert set(await s.access.reachable(caller(owner), "agent")) == {kept}
        assert set(await s.access.reachable(caller(owner), "remoteAgent")) == {gone[0]}


async def test_nothing_is_remembered(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("agent")
        await s.entry(("user", ObjectId(ME)), "agent", resource, OWNER)
        assert await s.access.decide(caller(), "agent", resource, SHARE)
        await s.collection("aclentries").delete_many({})
        assert not await s.access.decide(caller(), "agent", resource, VIEW)


async def test_a_plugin_of_types_is_not_needed(stage: Any) -> None:
    async with stage(things=False, people=False) as s:
        resource = "e" * 24
        await s.access.grant_owner(ME, "skill", resource)
        assert await s.access.bits(caller(), "skill", resource) == OWNER
        assert await s.access.reachable(caller(), "skill") == {resource: OWNER}
        with pytest.raises(ValueError, match="not a type"):
            await s.access.grant_owner(ME, "report", resource)


async def test_owners_are_those_with_every_right(stage: Any) -> None:
    async with stage() as s:
        mine, shared, nobodys = [await s.thing("report") for _ in range(3)]
        await s.access.grant_owner(ME, "report", mine)
        for user in (ME, OTHER):
            await s.access.grant_owner(user, "report", shared)
        await s.entry(("user", ObjectId(OTHER)), "report", mine, VIEW | EDIT)
        await s.entry(("public", None), "report", nobodys, VIEW)
        assert await s.access.owners("report", [mine, shared, nobodys, "nonsense"]) == {
            mine: {ME},
            shared: {ME, OTHER},
            nobodys: set(),
            "nonsense": set(),
        }
        assert await s.access.owners("agent", [mine]) == {mine: set()}
        assert await s.access.owners("report", []) == {}


async def test_entries_end_with_their_resource_also_later_ones(stage: Any) -> None:
    async with stage() as s:
        resource = await s.thing("sharedLink")
        await s.access.grant_owner(ME, "sharedLink", resource)
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        await s.access.expire("sharedLink", resource, end)
        await s.access.grant_public("sharedLink", resource, "sharedLink_viewer")
        entries = await s.entries("sharedLink", resource)
        assert [entry["expiredAt"] for entry in entries] == [end, end]
        await s.access.expire("sharedLink", resource, datetime.now(UTC) - timedelta(seconds=1))
        assert await s.access.bits(caller(), "sharedLink", resource) == 0
        assert await s.access.owners("sharedLink", [resource]) == {resource: set()}
        await s.access.expire("sharedLink", resource, None)
        assert await s.access.bits(caller(), "sharedLink", resource) == OWNER
        assert all("expiredAt" not in entry for entry in await s.entries("sharedLink", resource))
        with pytest.raises(ValueError, match="not a type"):
            await s.access.expire("nothing", resource, None)
