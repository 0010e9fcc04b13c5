"""Single groups: making, reading, using, changing, deleting (contract prompts §4)."""

from typing import Any

import pytest
from bson import ObjectId

ANN = "a" * 24
GROUPS = "/api/prompts/groups"
FORBIDDEN = {
    "error": "Forbidden",
    "message": "Insufficient permissions to access this promptGroup",
}
MISSING = {"error": "Not Found", "message": "promptGroup not found"}
GREETING = {
    "prompt": {"prompt": "Say hi to {{name}}", "type": "text"},
    "group": {"name": "Greeter", "category": "", "oneliner": "greets", "command": "greet"},
}
BOTH = pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])


@BOTH
async def test_a_new_prompt_is_answered_and_stored_as_librechat_does(
    stage: Any, roles: bool
) -> None:
    async with stage(roles=roles) as s:
        answer = await s.ann.post("/api/prompts", json=GREETING)
        assert answer.status_code == 200
        body = answer.json()
        group, prompt = body["group"], body["prompt"]
        assert set(group) == {
            *("_id", "author", "authorName", "category", "command", "name", "oneliner"),
            *("productionId", "createdAt", "numberOfGenerations", "updatedAt"),
            "productionPrompt",
        }
        assert group["productionPrompt"] == {"prompt": "Say hi to {{name}}"}
        assert (group["author"], group["authorName"]) == (ANN, "Ann")
        assert group["numberOfGenerations"] == 0
        assert group["productionId"] == prompt["_id"]
        assert set(prompt) == {
            *("_id", "author", "groupId", "prompt", "type", "createdAt", "updatedAt"),
        }
        stored = await s.collection("promptgroups").find_one({})
        assert stored["__v"] == 0
        assert stored["author"] == ObjectId(ANN)
        assert stored["productionId"] == ObjectId(prompt["_id"])
        assert "tenantId" not in stored
        version = await s.collection("prompts").find_one({})
        assert version["groupId"] == stored["_id"]
        assert (version["__v"], version["type"]) == (0, "text")
        if roles:
            entry = await s.collection("aclentries").find_one({"resourceId": stored["_id"]})
            assert (entry["resourceType"], entry["permBits"]) == ("promptGroup", 15)
            assert entry["principalId"] == ObjectId(ANN)


async def test_optional_members_have_their_defaults(stage: Any) -> None:
    async with stage() as s:
        body = {"prompt": {"prompt": "x"}, "group": {"name": "Bare", "command": None}}
        made = (await s.ann.post("/api/prompts", json=body)).json()
        assert (made["group"]["oneliner"], made["group"]["category"]) == ("", "")
        assert "command" not in made["group"]
        assert made["prompt"]["type"] == "text"


async def test_only_what_users_set_is_taken(stage: Any) -> None:
    async with stage() as s:
        forged = {
            "name": "Forged",
            "author": "b" * 24,
            "authorName": "Ben",
            "_id": "c" * 24,
            "numberOfGenerations": 99,
            "productionId": "c" * 24,
            "tenantId": "other",
        }
        prompt = {"prompt": "x", "type": "text", "author": "b" * 24, "groupId": "c" * 24}
        answer = await s.ann.post("/api/prompts", json={"prompt": prompt, "group": forged})
        group = answer.json()["group"]
        assert (group["author"], group["authorName"]) == (ANN, "Ann")
        assert group["_id"] != "c" * 24
        assert group["numberOfGenerations"] == 0
        assert answer.json()["prompt"]["author"] == ANN
        assert "tenantId" not in await s.collection("promptgroups").find_one({})


INCOMPLETE: list[Any] = [
    {},
    {"prompt": {}},
    {"group": {"name": "x"}},
    {"prompt": {"prompt": "x", "type": "text"}, "group": {}},
    {"prompt": {"prompt": "x", "type": "text"}, "group": {"name": ""}},
    {"prompt": {"prompt": "x", "type": "text"}, "group": {"name": None}},
    {"prompt": "x", "group": "y"},
    [],
    [1],
]


async def test_a_prompt_needs_text_and_name(stage: Any) -> None:
    async with stage() as s:
        for body in INCOMPLETE:
            answer = await s.ann.post("/api/prompts", json=body)
            assert answer.status_code == 400
            assert answer.json() == {"error": "Prompt and group name are required"}
            assert await s.collection("promptgroups").count_documents({}) == 0


WRONG: list[Any] = [
    ({"prompt": "x", "type": "text"}, {"name": {"$gt": ""}}),
    ({"prompt": "x", "type": "text"}, {"name": ["a"]}),
    ({"prompt": "x", "type": "text"}, {"name": 5}),
    ({"prompt": "x", "type": "text"}, {"name": "n" * 256}),
    ({"prompt": "x", "type": "text"}, {"name": "n", "command": "Not Allowed"}),
    ({"prompt": "x", "type": "text"}, {"name": "n", "command": "c" * 57}),
    ({"prompt": "x", "type": "text"}, {"name": "n", "category": {"a": 1}}),
    ({"prompt": "x", "type": "text"}, {"name": "n", "oneliner": "o" * 501}),
    ({"prompt": {"$ne": 1}, "type": "text"}, {"name": "n"}),
    ({"prompt": " \n", "type": "text"}, {"name": "n"}),
    ({"prompt": "x", "type": "image"}, {"name": "n"}),
    ({"prompt": "x", "type": ["text"]}, {"name": "n"}),
    ({"prompt": "x", "type": None}, {"name": "n"}),
]


async def test_wrong_values_of_a_new_prompt_are_refused(stage: Any) -> None:
    async with stage() as s:
        for prompt, group in WRONG:
            answer = await s.ann.post("/api/prompts", json={"prompt": prompt, "group": group})
            assert answer.status_code == 400
            assert answer.json()["error"]
            assert await s.collection("promptgroups").count_documents({}) == 0
            assert await s.collection("prompts").count_documents({}) == 0


@BOTH
async def test_a_group_is_shown_whole(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        await s.collection("promptgroups").update_one(
            {}, {"$set": {"projectIds": [ObjectId()], "isActive": True}}
        )
        shown = (await s.ann.get(f"{GROUPS}/{group['_id']}")).json()
        assert set(shown) == {*group, "__v"}
        assert set(shown["productionPrompt"]) == {
            *("_id", "author", "groupId", "prompt", "type", "createdAt", "updatedAt", "__v"),
        }
        assert shown["author"] == ANN


@BOTH
async def test_strangers_and_unknown_ids(stage: Any, roles: bool) -> None:
    """Unknown or malformed is 404, foreign is 403; the rights come before the body."""
    async with stage(roles=roles) as s:
        group = await s.make()
        calls: list[tuple[str, str, Any]] = [
            ("GET", "", None),
            ("POST", "/prompts", {}),
            ("POST", "/use", None),
            ("PATCH", "", {"unknown": 1}),
            ("DELETE", "", None),
        ]
        for method, rest, body in calls:
            foreign = await s.ben.request(method, f"{GROUPS}/{group['_id']}{rest}", json=body)
            assert (foreign.status_code, foreign.json()) == (403, FORBIDDEN), method
            for key in ("f" * 24, "nonsense", "0", "x" * 24, "%00", "%F0%9F%98%80", "a" * 4000):
                unknown = await s.ben.request(method, f"{GROUPS}/{key}{rest}", json=body)
                assert (unknown.status_code, unknown.json()) == (404, MISSING), (method, key)
        assert (await s.ann.get(f"{GROUPS}/{group['_id']}")).status_code == 200


async def test_a_capability_opens_everything_and_has_its_own_404s(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        assert (await s.admin.get(f"{GROUPS}/{group['_id']}")).status_code == 200
        for key in ("f" * 24, "nonsense"):
            answer = await s.admin.get(f"{GROUPS}/{key}")
            assert answer.status_code == 404
            assert answer.json() == {"message": "Prompt group not found"}
        used = await s.admin.post(f"{GROUPS}/{'f' * 24}/use")
        assert (used.status_code, used.json()) == (404, {"error": "Prompt group not found"})
        used = await s.admin.post(f"{GROUPS}/nonsense/use")
        assert (used.status_code, used.json()) == (400, {"error": "Invalid groupId"})
        version = {"prompt": {"prompt": "x", "type": "text"}}
        for method, rest, body in (
            ("PATCH", "", {"name": "x"}),
            ("DELETE", "", None),
            ("POST", "/prompts", version),
        ):
            answer = await s.admin.request(method, f"{GROUPS}/{'f' * 24}{rest}", json=body)
            assert (answer.status_code, answer.json()) == (404, MISSING)
        answer = await s.admin.patch(f"{GROUPS}/{group['_id']}", json={"name": "By admin"})
        assert answer.json()["name"] == "By admin"
        assert (await s.admin.delete(f"{GROUPS}/{group['_id']}")).status_code == 200


async def test_without_entries_even_an_admin_reaches_only_his_own(stage: Any) -> None:
    async with stage(roles=False) as s:
        group = await s.make()
        answer = await s.admin.get(f"{GROUPS}/{group['_id']}")
        assert (answer.status_code, answer.json()) == (403, FORBIDDEN)
        assert (await s.admin.get(f"{GROUPS}/{'f' * 24}")).status_code == 404


async def test_a_group_without_entries_is_its_admins_only(stage: Any) -> None:
    """Data from before entries, not migrated (contract prompts §5)."""
    async with stage() as s:
        group = await s.make()
        await s.collection("aclentries").delete_many({})
        assert await s.names(s.ann) == []
        assert (await s.ann.get(f"{GROUPS}/{group['_id']}")).status_code == 403
        assert (await s.admin.get(f"{GROUPS}/{group['_id']}")).status_code == 200


@BOTH
async def test_uses_are_counted_and_limited(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        path = f"{GROUPS}/{group['_id']}/use"
        first = await s.ann.post(path, json={})
        assert first.json() == {"numberOfGenerations": 1}
        assert first.headers["x-ratelimit-limit"] == "30"
        assert first.headers["x-ratelimit-remaining"] == "29"
        stored = await s.collection("promptgroups").find_one({})
        assert stored["updatedAt"] > stored["createdAt"]
        for uses in range(2, 31):
            assert (await s.ann.post(path)).json() == {"numberOfGenerations": uses}
        refused = await s.ann.post(path)
        assert refused.status_code == 429
        assert refused.json() == {"message": "Too many prompt usage requests. Try again later"}
        assert "retry-after" in refused.headers
        assert (await s.ben.post(path)).status_code == 403  # counted by user


@BOTH
async def test_a_change_answers_the_whole_group(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        path = f"{GROUPS}/{group['_id']}"
        answer = await s.ann.patch(path, json={"name": "Renamed"})
        assert answer.status_code == 200
        changed = answer.json()
        assert set(changed) == {*group, "__v"} - {"productionPrompt"}
        assert changed["name"] == "Renamed"
        assert changed["updatedAt"] > group["updatedAt"]
        assert changed["oneliner"] == "greets"
        everything = {"name": "N", "oneliner": "", "category": "code", "command": "a-1"}
        changed = (await s.ann.patch(path, json=everything)).json()
        assert {key: changed[key] for key in everything} == everything
        assert (await s.ann.patch(path, json={"command": ""})).json()["command"] == ""
        assert (await s.ann.patch(path, json={"command": None})).status_code == 200
        assert (await s.ann.patch(path, json={})).json()["name"] == "N"


ISSUES: list[Any] = [
    (
        {"name": ""},
        [
            {
                "code": "too_small",
                "minimum": 1,
                "type": "string",
                "inclusive": True,
                "exact": False,
                "message": "String must contain at least 1 character(s)",
                "path": ["name"],
            }
        ],
    ),
    (
        {"oneliner": "x" * 501},
        [
            {
                "code": "too_big",
                "maximum": 500,
                "type": "string",
                "inclusive": True,
                "exact": False,
                "message": "String must contain at most 500 character(s)",
                "path": ["oneliner"],
            }
        ],
    ),
    (
        {"command": "Not This"},
        [
            {
                "validation": "regex",
                "code": "invalid_string",
                "message": "Command must only contain lowercase alphanumeric characters "
                "and hyphens",
                "path": ["command"],
            }
        ],
    ),
    (
        {"name": None, "author": "me", "isActive": True},
        [
            {
                "code": "invalid_type",
                "expected": "string",
                "received": "null",
                "path": ["name"],
                "message": "Expected string, received null",
            },
            {
                "code": "unrecognized_keys",
                "keys": ["author", "isActive"],
                "path": [],
                "message": "Unrecognized key(s) in object: 'author', 'isActive'",
            },
        ],
    ),
    (
        [],
        [
            {
                "code": "invalid_type",
                "expected": "object",
                "received": "array",
                "path": [],
                "message": "Expected object, received array",
            }
        ],
    ),
]


async def test_a_change_is_strict(stage: Any) -> None:
    async with stage() as s:
        for body, issues in ISSUES:
            group = await s.make()
            answer = await s.ann.patch(f"{GROUPS}/{group['_id']}", json=body)
            assert answer.status_code == 400
            assert answer.json() == {"error": "Invalid request body", "details": issues}
            assert (await s.collection("promptgroups").find_one({}))["name"] == "Greeter"


async def test_wrong_types_of_a_change(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        for name in ("name", "oneliner", "category", "command"):
            for value in ({"a": 1}, ["a"], 5, True, {"$gt": ""}):
                answer = await s.ann.patch(f"{GROUPS}/{group['_id']}", json={name: value})
                assert answer.status_code == 400
                (issue,) = answer.json()["details"]
                assert (issue["code"], issue["path"]) == ("invalid_type", [name])


async def test_lengths_are_those_that_browsers_count(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        path = f"{GROUPS}/{group['_id']}"
        assert (await s.ann.patch(path, json={"name": "😀" * 127})).status_code == 200
        assert (await s.ann.patch(path, json={"name": "😀" * 128})).status_code == 400
        assert (await s.ann.patch(path, json={"name": "a\0b" + "\n" * 9})).status_code == 200
        assert (await s.ann.patch(path, json={"command": "ok\n"})).status_code == 400


@BOTH
async def test_a_deleted_group_leaves_nothing(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make()
        kept = await s.make(name="Kept")
        await s.add(group["_id"], "two")
        answer = await s.ann.delete(f"{GROUPS}/{group['_id']}")
        assert answer.status_code == 200
        assert answer.json() == {"message": "Prompt group deleted successfully"}
        assert await s.collection("promptgroups").count_documents({}) == 1
        assert await s.collection("prompts").count_documents({}) == 1
        if roles:
            (entry,) = await s.collection("aclentries").find({}).to_list()
            assert entry["resourceId"] == ObjectId(kept["_id"])
        assert (await s.ann.get(f"{GROUPS}/{group['_id']}")).status_code == 404
        assert await s.names(s.ann) == ["Kept"]
        again = await s.ann.delete(f"{GROUPS}/{group['_id']}")
        assert (again.status_code, again.json()) == (404, MISSING)


async def test_permissions_of_the_role(stage: Any) -> None:
    """USE on every route, CREATE as well on those that make, change and delete."""
    refused = {"message": "Forbidden: Insufficient permissions"}
    routes = {
        ("GET", "/api/prompts/groups"): False,
        ("GET", "/api/prompts/all"): False,
        ("GET", f"{GROUPS}/{ANN}"): False,
        ("GET", "/api/prompts"): False,
        ("GET", f"/api/prompts/{ANN}"): False,
        ("POST", f"{GROUPS}/{ANN}/prompts"): False,
        ("POST", f"{GROUPS}/{ANN}/use"): False,
        ("POST", "/api/prompts"): True,
        ("PATCH", f"{GROUPS}/{ANN}"): True,
        ("PATCH", f"/api/prompts/{ANN}/tags/production"): True,
        ("DELETE", f"/api/prompts/{ANN}"): True,
        ("DELETE", f"{GROUPS}/{ANN}"): True,
    }
    for use, create in ((False, True), (True, False)):
        yaml = {"interface": {"prompts": {"use": use, "create": create}}}
        async with stage(yaml=yaml) as s:
            for (method, path), creates in routes.items():
                answer = await s.ann.request(method, path)
                denied = not use or (creates and not create)
                if denied:
                    assert (answer.status_code, answer.json()) == (403, refused), (method, path)
                else:
                    assert answer.status_code in (200, 404), (method, path)
            assert (await s.ann.get("/api/categories")).status_code == 200


async def test_categories_in_their_order(stage: Any) -> None:
    async with stage() as s:
        values = [
            "idea",
            "travel",
            "teach_or_explain",
            "write",
            "shop",
            "code",
            "misc",
            "roleplay",
            "finance",
        ]
        found = (await s.ann.get("/api/categories")).json()
        assert found == [{"label": f"com_ui_{value}", "value": value} for value in values]
