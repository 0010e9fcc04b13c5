"""Versions of a group (contract prompts §4, routes 4, 6, 9, 10, 12)."""

from typing import Any

import pytest
from bson import ObjectId
from structlog.stdlib import get_logger

from locutory import Principal
from locutory_prompts.service import Prompts

ANN = "a" * 24
BEN = "b" * 24
GROUPS = "/api/prompts/groups"
FORBIDDEN = {
    "error": "Forbidden",
    "message": "Insufficient permissions to access this promptGroup",
}
MISSING = {"error": "Not Found", "message": "promptGroup not found"}
BOTH = pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])


@BOTH
async def test_versions_are_listed_newest_first(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        second, third = await s.add(group["_id"], "two"), await s.add(group["_id"], "three")
        path = f"/api/prompts?groupId={group['_id']}"
        found = (await s.ann.get(path)).json()
        assert [row["_id"] for row in found] == [third, second, group["productionId"]]
        assert set(found[0]) == {
            *("_id", "groupId", "author", "prompt", "type", "createdAt", "updatedAt", "__v"),
        }
        refused = await s.ben.get(path)
        assert refused.status_code == 403
        message = "Insufficient permissions to view prompts in this group"
        assert refused.json() == {"error": message}
        assert (await s.ben.get(f"/api/prompts?groupId={'f' * 24}")).json() == {"error": message}
        # No capability counts here.
        assert (await s.admin.get(path)).status_code == 403


@pytest.mark.parametrize("query", ["groupId=nonsense", "groupId=a&groupId=b", "groupId=%00"])
async def test_a_malformed_group_id_is_refused(stage: Any, query: str) -> None:
    async with stage() as s:
        answer = await s.ann.get(f"/api/prompts?{query}")
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid groupId"})


async def test_without_a_group_one_sees_what_one_wrote(stage: Any) -> None:
    async with stage() as s:
        await s.make()
        await s.make(s.ben, name="Ben's")
        for query in ("", "?groupId=", "?groupId[$ne]=x", "?$where=1"):
            found = (await s.ann.get(f"/api/prompts{query}")).json()
            assert [row["author"] for row in found] == [ANN]
        assert {row["author"] for row in (await s.admin.get("/api/prompts")).json()} == {ANN, BEN}


@BOTH
async def test_a_new_version_does_not_become_the_one_in_use(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        other = await s.make(name="Other")
        body = {"prompt": {"prompt": "two", "type": "chat", "groupId": other["_id"]}}
        answer = await s.ann.post(f"{GROUPS}/{group['_id']}/prompts", json=body)
        assert answer.status_code == 200
        prompt = answer.json()["prompt"]
        assert prompt["groupId"] == group["_id"]
        assert (prompt["type"], prompt["__v"], prompt["author"]) == ("chat", 0, ANN)
        stored = await s.collection("prompts").find_one({"_id": ObjectId(prompt["_id"])})
        assert stored["groupId"] == ObjectId(group["_id"])
        shown = (await s.ann.get(f"{GROUPS}/{group['_id']}")).json()
        assert shown["productionId"] == group["productionId"]


WRONG: list[Any] = [
    ({}, "Prompt is required"),
    ({"prompt": None}, "Prompt is required"),
    ([], "Prompt is required"),
    ({"prompt": {}}, "Prompt text is required and must be a non-empty string"),
    ({"prompt": "x"}, "Prompt text is required and must be a non-empty string"),
    ({"prompt": {"prompt": "  "}}, "Prompt text is required and must be a non-empty string"),
    ({"prompt": {"prompt": 5}}, "Prompt text is required and must be a non-empty string"),
    ({"prompt": {"prompt": "x"}}, 'Prompt type must be "text" or "chat"'),
    ({"prompt": {"prompt": "x", "type": {"a": 1}}}, 'Prompt type must be "text" or "chat"'),
]


async def test_wrong_versions_are_refused(stage: Any) -> None:
    async with stage() as s:
        for body, message in WRONG:
            group = await s.make()
            answer = await s.ann.post(f"{GROUPS}/{group['_id']}/prompts", json=body)
            assert (answer.status_code, answer.json()) == (400, {"error": message})


@BOTH
async def test_putting_a_version_to_use(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        second = await s.add(group["_id"], "two")
        assert (await s.ann.get("/api/prompts/all")).json()[0]["productionPrompt"][
            "prompt"
        ] != "two"
        answer = await s.ann.patch(f"/api/prompts/{second}/tags/production", json={})
        assert answer.status_code == 200
        assert answer.json() == {"message": "Prompt production made successfully"}
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert row["productionPrompt"] == {"_id": second, "prompt": "two"}
        assert row["productionId"] == second
        foreign = await s.ben.patch(f"/api/prompts/{second}/tags/production")
        assert (foreign.status_code, foreign.json()) == (403, FORBIDDEN)
        unknown = await s.ben.patch(f"/api/prompts/{'f' * 24}/tags/production")
        assert (unknown.status_code, unknown.json()) == (404, MISSING)


async def test_an_admin_naming_nothing(stage: Any) -> None:
    async with stage() as s:
        answer = await s.admin.patch(f"/api/prompts/{'f' * 24}/tags/production")
        assert (answer.status_code, answer.json()) == (
            200,
            {"message": "Error making prompt production"},
        )
        shown = await s.admin.get(f"/api/prompts/{'f' * 24}")
        assert (shown.status_code, shown.content) == (200, b"")
        deleted = await s.admin.delete(f"/api/prompts/{'f' * 24}?groupId={'f' * 24}")
        assert (deleted.status_code, deleted.json()) == (404, MISSING)


@BOTH
async def test_one_version(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        path = f"/api/prompts/{group['productionId']}"
        assert (await s.ann.get(path)).json()["prompt"] == "Say hi to {{name}}"
        assert ((await s.ben.get(path)).status_code, (await s.ben.get(path)).json()) == (
            403,
            FORBIDDEN,
        )
        for key in ("f" * 24, "random", "nonsense", "x" * 24, "%00"):
            unknown = await s.ben.get(f"/api/prompts/{key}")
            assert (unknown.status_code, unknown.json()) == (404, MISSING), key
        labels = await s.ann.patch(f"{path}/labels", json={"labels": []})
        assert (labels.status_code, labels.json()) == (404, {"message": "Endpoint not found"})


@BOTH
async def test_deleting_the_version_in_use_promotes_the_newest(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        second, third = await s.add(group["_id"], "two"), await s.add(group["_id"], "three")
        path = f"?groupId={group['_id']}"
        answer = await s.ann.delete(f"/api/prompts/{group['productionId']}{path}")
        assert answer.json() == {"prompt": "Prompt deleted successfully"}
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert row["productionPrompt"] == {"_id": third, "prompt": "three"}
        await s.ann.delete(f"/api/prompts/{second}{path}")
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert row["productionId"] == third
        answer = await s.ann.delete(f"/api/prompts/{third}{path}")
        assert answer.json() == {
            "prompt": "Prompt deleted successfully",
            "promptGroup": {
                "message": "Prompt group deleted successfully",
                "id": group["_id"],
            },
        }
        assert await s.names(s.ann) == []
        for name in ("promptgroups", "prompts", "aclentries"):
            assert await s.collection(name).count_documents({}) == 0


async def test_a_version_that_is_deleted_while_it_is_put_to_use(stage: Any) -> None:
    """Its text must not be missing in the lists: the client inserts it from there."""
    async with stage() as s:
        group = await s.make()
        second = await s.add(group["_id"], "two")
        kernel = s.server.kernel
        prompts = Prompts(kernel.database, kernel.services, get_logger())
        read = await prompts.version(ObjectId(second), None)
        assert read is not None
        await s.ann.delete(f"/api/prompts/{second}?groupId={group['_id']}")
        assert not await prompts.put_to_use(read)
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert row["productionPrompt"]["prompt"] == "Say hi to {{name}}"


async def test_a_version_for_a_group_that_was_just_deleted(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        kernel = s.server.kernel
        prompts = Prompts(kernel.database, kernel.services, get_logger())
        await s.ann.delete(f"{GROUPS}/{group['_id']}")
        made = await prompts.add_version(Principal(ANN), ObjectId(group["_id"]), "late", "text")
        assert made is None
        assert await s.collection("prompts").count_documents({}) == 0


@BOTH
async def test_what_a_deletion_checks(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group, other = await s.make(), await s.make(name="Other")
        path = f"/api/prompts/{group['productionId']}"
        foreign = await s.ben.delete(path)
        assert (foreign.status_code, foreign.json()) == (403, FORBIDDEN)
        unknown = await s.ann.delete(f"/api/prompts/{'f' * 24}")
        assert (unknown.status_code, unknown.json()) == (404, MISSING)
        for query in ("", "?groupId=", "?groupId=nonsense", "?groupId=a&groupId=b"):
            answer = await s.ann.delete(f"{path}{query}")
            assert (answer.status_code, answer.json()) == (
                400,
                {"error": "Invalid or missing groupId"},
            )
        apart = await s.ann.delete(f"{path}?groupId={other['_id']}")
        assert (apart.status_code, apart.json()) == (500, {"error": "Error deleting prompt"})
        assert await s.collection("prompts").count_documents({}) == 2


async def test_a_version_without_a_group_is_nobodys(stage: Any) -> None:
    for roles in (True, False):
        async with stage(roles=roles) as s:
            group = await s.make()
            await s.collection("promptgroups").delete_many({})
            await s.collection("aclentries").delete_many({})
            answer = await s.ann.get(f"/api/prompts/{group['productionId']}")
            assert (answer.status_code, answer.json()) == (403, FORBIDDEN)
