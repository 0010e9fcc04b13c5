"""Rights to see, change and name agents (contract agents §1, §2, §4, §5)."""

from typing import Any

import pytest

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)
UNKNOWN = "agent_" + "x" * 21
GRAPH = {"type": "team", "name": "Team", "description": "works together"}


async def test_levels(stage: Any) -> None:
    async with stage() as s:
        made = await s.make(name="A", instructions="secret", tools=["calculator"])
        path = f"/api/agents/{made['id']}"
        await s.share(made, BEN, "viewer")
        seen = (await s.ben.get(path)).json()
        assert seen["name"] == "A"
        assert not {"instructions", "tools", "author", "tool_resources", "versions"} & seen.keys()
        assert seen["owner_contact"] == {"name": "Ann"}
        for method, below in (
            ("GET", "/expanded"),
            ("GET", "/versions"),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/duplicate"),
            ("POST", "/revert"),
        ):
            for client in (s.ben, s.eve):
                answer = await client.request(method, path + below, json={"name": "mine"})
                assert answer.status_code == 403, (method, below)
                assert answer.json()["message"] == "Insufficient permissions to access this agent"
        assert (await s.eve.get(path)).status_code == 403
        await s.share(made, BEN, "editor")
        whole = (await s.ben.get(f"{path}/expanded")).json()
        assert whole["instructions"] == "secret"
        assert "author" not in whole
        changed = await s.ben.patch(path, json={"name": "B"})
        assert (changed.status_code, "author" in changed.json()) == (200, False)
        assert (await s.ben.delete(path)).status_code == 403
        assert (await s.ann.delete(path)).json() == {"message": "Agent deleted"}
        assert await s.collection("aclentries").count_documents({}) == 0


@pytest.mark.parametrize(
    "name", [UNKNOWN, "x", "%24ne", "a" * 3000, "agent_%00", "..%2Fchat", "{}"]
)
async def test_ids_of_nothing(stage: Any, name: str) -> None:
    async with stage() as s:
        for method, below in (("GET", ""), ("GET", "/versions"), ("PATCH", ""), ("DELETE", "")):
            answer = await s.ann.request(method, f"/api/agents/{name}{below}", json={})
            assert answer.status_code in (400, 404), (method, below, answer.text)
        assert (await s.admin.get(f"/api/agents/{UNKNOWN}")).json() == {"error": "Agent not found"}


async def test_agents_that_bodies_name(stage: Any) -> None:
    """Nobody ties an agent to one that they may not view: not at first, not later, not by a
    copy, and not by going back."""
    async with stage() as s:
        anns = await s.make(name="Ann's")
        bens = await s.make(s.ben, name="Ben's")
        own = f"/api/agents/{bens['id']}"

        def naming(agent: str) -> list[tuple[str, dict[str, Any]]]:
            members = [bens["id"], agent]
            edges = [{"from": bens["id"], "to": agent, "edgeType": "direct"}]
            ends = {"entry_agent_id": bens["id"], "result_agent_id": agent}
            graph = {**GRAPH, "agent_ids": members, "edges": edges, **ends}
            return [
                ("edges", {"edges": [{"from": bens["id"], "to": agent}]}),
                ("edges", {"edges": [{"from": [agent], "to": [bens["id"]]}]}),
                ("subagents", {"subagents": {"enabled": True, "agent_ids": [agent]}}),
                ("subagents", {"subagents": {"enabled": True, "graphs": [graph]}}),
            ]

        for where, fields in naming(anns["id"]):
            refused = f"You do not have access to one or more agents referenced in {where}"
            made = {"provider": "Fake", "model": "fake", **fields}
            for answer in (
                await s.ben.post("/api/agents", json=made),
                await s.ben.patch(own, json=fields),
            ):
                assert answer.status_code == 403, answer.text
                assert answer.json() == {"error": refused, "agent_ids": [anns["id"]]}
        for where, fields in naming(UNKNOWN):
            answer = await s.ben.patch(own, json=fields)
            assert answer.status_code == 400
            assert answer.json() == {
                "error": f"One or more agents referenced in {where} do not exist",
                "agent_ids": [UNKNOWN],
            }
        assert await s.collection("agents").count_documents({}) == 2
        await s.share(anns, BEN, "viewer")
        for _, fields in naming(anns["id"]):
            assert (await s.ben.patch(own, json=fields)).status_code == 200
        await s.ben.patch(own, json={"edges": [], "subagents": {"enabled": False}})
        path = f"/api/permissions/agent/{anns['_id']}"
        gone = {"updated": [], "removed": [{"type": "user", "id": BEN}]}
        assert (await s.ann.put(path, json=gone)).status_code == 200
        back = await s.ben.post(f"{own}/revert", json={"version_index": 1})
        assert back.status_code == 403


async def test_a_new_agent_names_itself(stage: Any) -> None:
    async with stage() as s:
        other = await s.make(name="B")
        made = await s.make(edges=[{"from": "", "to": other["id"]}])
        assert made["edges"] == [{"from": made["id"], "to": other["id"]}]
        copy = (await s.ann.post(f"/api/agents/{made['id']}/duplicate")).json()["agent"]
        assert copy["edges"] == [{"from": copy["id"], "to": other["id"]}]
        await s.ann.delete(f"/api/agents/{other['id']}")
        left = (await s.ann.get(f"/api/agents/{made['id']}/expanded")).json()
        assert (left["edges"], left["version"]) == ([], 1)


async def test_lists_tell_little(stage: Any) -> None:
    async with stage() as s:
        made = await s.make(name="A", instructions="secret", tools=["calculator"], category="it")
        await s.make(s.eve, name="Eve's")
        await s.share(made, BEN, "viewer")
        (row,) = (await s.ben.get("/api/agents")).json()["data"]
        hidden = {"instructions", "tools", "model", "provider", "author", "versions", "tenantId"}
        assert not hidden & row.keys()
        assert (row["isEditable"], row["_id"]) == (False, made["_id"])
        assert await s.names(s.ben, requiredPermission="2") == []
        assert await s.names(s.ann, requiredPermission="15") == ["A"]
        for odd in ("-1", "0", "16", "99999999999999999999"):
            assert await s.names(s.ann, requiredPermission=odd) == []
        assert await s.names(s.ann, category="it") == ["A"]
        assert await s.names(s.ann, category="hr") == []
        assert await s.names(s.ann, search=".*") == []
        for cursor in ("x", "e30=", "%00", "bnVsbA==", "W10="):
            assert await s.names(s.ann, cursor=cursor) == ["A"]


async def test_pages(stage: Any) -> None:
    async with stage() as s:
        for at in range(5):
            await s.make(name=f"n{at}")
        found, cursor = [], None
        for _ in range(3):
            query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await s.ann.get("/api/agents", params=query)).json()
            found += [row["name"] for row in page["data"]]
            cursor = page["after"]
        assert found == ["n4", "n3", "n2", "n1", "n0"]
        assert (page["has_more"], cursor) == (False, None)


async def test_programs_have_rights_of_their_own(stage: Any) -> None:
    """The right to view an agent in the client is not one to use it by a key (agents-api §2)."""
    from locutory import Principal
    from locutory_contracts.agents import STORED_AGENTS

    async with stage() as s:
        made = await s.make(name="A")
        await s.share(made, BEN, "viewer")
        stored = s.server.kernel.services.get(STORED_AGENTS)
        agent = await stored.find(made["id"])
        ann, ben = Principal(ANN), Principal(BEN)
        assert await stored.decide(ann, agent, remote=True)
        assert not await stored.decide(ben, agent, remote=True)
        assert await stored.decide(ben, agent)
        assert not await stored.decide(Principal(ANN, tenant="t1"), agent)
        assert [one["id"] for one in await stored.reachable(ann)] == [made["id"]]
        assert await stored.reachable(ben) == []
