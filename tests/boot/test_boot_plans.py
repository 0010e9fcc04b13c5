"""No query that people cause reads a whole collection that grows."""

from collections.abc import Iterator
from typing import Any

import pytest

from locutory.plugins import discovery
from locutory_sqlite.filters import Filter
from locutory_sqlite.planner import Plan
from locutory_sqlite.reading import Reading
from locutory_testing import Serve
from locutory_testing.database import Databases
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint
from tests.boot.test_boot_account import WORD, YAML, join_second, use_everything

SMALL = {
    "accessroles": "a few for each type of resource",
    "agentcategories": "a few, which an administrator writes",
    "banners": "a few, which an administrator writes",
    "configs": "one for each role or group that has settings of its own",
    "projects": "one",
    "roles": "one for each role",
    "systemgrants": "one for each role and capability",
    "locutory_outbox": "what has not been handed on yet",
    "locutory_share_leftovers": "files that are to be removed yet",
    "locutory_tags_recounts": "tags that are to be counted yet",
}
"""Collections that stay small, and why."""

ON_PURPOSE: dict[tuple[str, str], str] = {}
"""Collection and paths of the filter, and why all of it may be read."""


def stages(described: dict[str, Any]) -> Iterator[str]:
    """The stages of a plan that read documents."""
    parts = described.get("inputStages")
    if parts is None:
        yield described["stage"]
    for part in parts or ():
        yield from stages(part)


def paths(query: Filter) -> str:
    """The paths that a filter names, for the list of exceptions and for people."""
    named = {condition.path for condition in query.conditions}
    named.update(paths(clause) for clauses in query.branches for clause in clauses)
    return " ".join(sorted(named))


@pytest.fixture
def scans(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Collection and paths of every filter for which a whole collection was read."""
    if not databases.are_files:
        pytest.skip("a server has plans of its own")
    found: set[tuple[str, str]] = set()
    plan = Reading.plan

    def noted(self: Reading, query: Filter, *args: Any, limited: bool, **options: Any) -> Plan:
        chosen = plan(self, query, *args, limited=limited, **options)
        first = query.matches_all and limited  # the first document, whichever it is
        if "COLLSCAN" in stages(chosen.describe()) and not first:
            found.add((self._stored.name, paths(query)))
        return chosen

    monkeypatch.setattr(Reading, "plan", noted)
    return found


async def look_around(person: Person) -> None:
    """Open the lists that a client shows, each in the ways that it can be asked for."""
    for path in (
        "/api/agents",
        "/api/agents?search=a&category=hr&promoted=0",
        "/api/agents/categories",
        "/api/api-keys",
        "/api/auth/sessions",
        "/api/balance",
        "/api/banner",
        "/api/config",
        "/api/convos",
        "/api/convos?isArchived=true&sortBy=title&sortDirection=asc",
        f"/api/convos?search={WORD}&tags={WORD}",
        "/api/keys?name=openAI",
        "/api/memories",
        f"/api/messages?search={WORD}",
        "/api/models",
        "/api/permissions/search-principals?q=first",
        "/api/presets",
        "/api/projects",
        f"/api/projects?search={WORD}&sortBy=name&sortDirection=asc",
        "/api/prompts",
        "/api/prompts/all?category=sys__shared__prompts__sys",
        f"/api/prompts/groups?name={WORD}",
        "/api/roles/USER",
        "/api/share",
        f"/api/share?sortBy=title&sortDirection=asc&search={WORD}",
        "/api/startup",
        "/api/tags",
        "/api/user",
        "/api/user/settings/favorites",
    ):
        answer = await person.client.get(path)
        assert answer.status_code in (200, 404), (path, answer.text)


async def agents(person: Person) -> None:
    """Make two agents, the second of which hands over to the first; take the first away."""
    client = person.client
    whole = {"provider": "Fake", "model": "fake", "tools": []}
    first = (await client.post("/api/agents", json={**whole, "name": "first"})).json()["id"]
    edges = [{"from": "", "to": first, "edgeType": "handoff"}]
    second = await client.post("/api/agents", json={**whole, "name": "second", "edges": edges})
    assert second.status_code == 201, second.text
    path = f"/api/agents/{second.json()['id']}"
    assert (await client.patch(path, json={"name": "third"})).status_code == 200
    assert (await client.delete(f"/api/agents/{first}")).status_code == 200


async def test_every_query_has_an_index(
    serve: Serve, fake_model: str, scans: set[tuple[str, str]]
) -> None:
    picker = {"peoplePicker": {"users": True, "groups": True, "roles": True}}
    interface = {**YAML["interface"], **picker}
    yaml = {**custom_endpoint(fake_model), **YAML, "interface": interface}
    async with serve(*discovery.available(), environment=ENVIRONMENT, yaml=yaml) as server:
        scans.clear()  # checks at the start may read everything once
        person = await join_second(server)
        await use_everything(person)
        await agents(person)
        await look_around(person)
        await person.client.post("/api/auth/refresh")
        deleted = await person.client.request("DELETE", "/api/user/delete")
        assert deleted.json() == {"message": "User deleted"}
    found = {(name, paths) for name, paths in scans if name not in SMALL}
    assert found - ON_PURPOSE.keys() == set()
