"""Prompts shared with others, with the plugin that keeps the entries."""

from typing import Any

from bson import ObjectId

from locutory_contracts.access import RESOURCE_KINDS

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)
GROUPS = "/api/prompts/groups"


async def statuses(s: Any, client: Any, group: dict[str, Any]) -> dict[str, int]:
    """What a client may do with a group, by trying."""
    path, version = f"{GROUPS}/{group['_id']}", {"prompt": {"prompt": "v", "type": "text"}}
    spare = await s.add(group["_id"], "spare")
    answers = {
        "view": await client.get(path),
        "versions": await client.get(f"/api/prompts?groupId={group['_id']}"),
        "version": await client.get(f"/api/prompts/{spare}"),
        "use": await client.post(f"{path}/use"),
        "add": await client.post(f"{path}/prompts", json=version),
        "change": await client.patch(path, json={"oneliner": "x"}),
        "production": await client.patch(f"/api/prompts/{spare}/tags/production"),
        "drop": await client.delete(f"/api/prompts/{spare}?groupId={group['_id']}"),
        "share": await client.get(f"/api/permissions/promptGroup/{group['_id']}"),
    }
    return {name: answer.status_code for name, answer in answers.items()}


VIEWS = ("view", "versions", "version", "use")
EDITS = ("add", "change", "production")


async def test_what_each_access_role_may(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        assert set((await statuses(s, s.ben, group)).values()) == {403}
        for level, allowed in (
            ("viewer", VIEWS),
            ("editor", (*VIEWS, *EDITS)),
            ("owner", (*VIEWS, *EDITS, "drop", "share")),
        ):
            await s.share(group["_id"], BEN, level)
            found = await statuses(s, s.ben, group)
            assert found == {name: 200 if name in allowed else 403 for name in found}, level
        assert set((await statuses(s, s.eve, group)).values()) == {403}
        assert (await s.ben.delete(f"{GROUPS}/{group['_id']}")).status_code == 200


async def test_shared_seen_and_lost_again(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        assert await s.names(s.ben) == await s.names(s.ben, "groups") == []
        await s.share(group["_id"], BEN, "viewer")
        assert await s.names(s.ben) == await s.names(s.ben, "groups") == ["Greeter"]
        effective = f"/api/permissions/promptGroup/{group['_id']}/effective"
        assert (await s.ben.get(effective)).json() == {"permissionBits": 1}
        (row,) = (await s.ben.get("/api/prompts/all")).json()
        assert row["author"] == ANN
        assert "isPublic" not in row
        await s.unshare(group["_id"], BEN)
        assert await s.names(s.ben) == await s.names(s.ben, "groups") == []
        assert (await s.ben.get(f"{GROUPS}/{group['_id']}")).status_code == 403
        assert await s.names(s.ann) == ["Greeter"]


async def test_shared_with_everybody(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        everybody = {"public": True, "publicAccessRoleId": "promptGroup_viewer"}
        await s.permissions(group["_id"], {"updated": [], "removed": [], **everybody})
        for client in (s.ann, s.ben, s.eve):
            for where in ("all", "groups"):
                assert await s.names(client, where) == ["Greeter"]
            rows = (await client.get("/api/prompts/all")).json()
            assert rows[0]["isPublic"] is True
            page = (await client.get(GROUPS)).json()
            assert page["promptGroups"][0]["isPublic"] is True
        assert (await s.eve.get(f"{GROUPS}/{group['_id']}")).status_code == 200
        assert (await s.eve.patch(f"{GROUPS}/{group['_id']}", json={})).status_code == 403
        await s.permissions(group["_id"], {"updated": [], "removed": [], "public": False})
        assert await s.names(s.eve) == []
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert "isPublic" not in row


async def test_sharing_needs_the_roles_permission(stage: Any) -> None:
    async with stage(yaml={}) as s:  # SHARE is off for USER by default
        group = await s.make()
        body: dict[str, Any] = {"updated": [], "removed": []}
        answer = await s.ann.put(f"/api/permissions/promptGroup/{group['_id']}", json=body)
        assert answer.status_code == 403
        message = "You do not have permission to share promptGroup resources"
        assert answer.json()["message"] == message


async def test_shared_with_a_role_and_a_group(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        role = {"type": "role", "id": "USER", "accessRoleId": "promptGroup_viewer"}
        await s.permissions(group["_id"], {"updated": [role], "removed": []})
        assert await s.names(s.eve) == ["Greeter"]
        assert await s.names(s.admin) == []  # lists go by entries, not by capabilities


async def test_versions_of_all_authors_are_shown(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        await s.share(group["_id"], BEN, "editor")
        await s.add(group["_id"], "by Ben", s.ben)
        found = (await s.ann.get(f"/api/prompts?groupId={group['_id']}")).json()
        assert [row["author"] for row in found] == [BEN, ANN]
        mine = (await s.ben.get("/api/prompts")).json()
        assert [row["author"] for row in mine] == [BEN]


async def test_the_type_of_resource(stage: Any) -> None:
    async with stage() as s:
        kind = s.server.kernel.services.named(RESOURCE_KINDS, "promptGroup")
        assert kind is not None
        group = await s.make()
        assert await kind.exists(group["_id"])
        assert not await kind.exists("f" * 24)
        assert not await kind.exists("nonsense")
        roles = (await s.ann.get("/api/permissions/promptGroup/roles")).json()
        assert {role["accessRoleId"]: role["permBits"] for role in roles} == {
            "promptGroup_viewer": 1,
            "promptGroup_editor": 3,
            "promptGroup_owner": 15,
        }
        stored = await s.collection("accessroles").count_documents({"resourceType": "promptGroup"})
        assert stored == 3
        assert ObjectId.is_valid(group["_id"])
