"""Every route × everybody: generated from the route table of a server with every plugin.

Strangers, ended and disabled sessions are refused by every route that is not public; another
user's object answers as one that does not exist, and stays as it is; administration is for
administrators; sessions and API keys do not stand for each other.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from locutory import ApiKey, Can, Capability, NoBody, OptionalUser, Public, Route
from locutory.http.validation import refused
from locutory.plugins import discovery
from locutory_testing import Serve, Server
from locutory_testing.database import Databases
from tests.boot.cast import ENVIRONMENT, SETTINGS, Brake, Cast, Member, Model, assembled
from tests.boot.objects import (
    ADMINISTERED,
    AGENT_APART,
    BODIES,
    DELETE,
    EDIT,
    LETS_GO,
    NAMING,
    OWNER_GETS_NOTHING,
    PARAMETERS,
    QUERIES,
    RIGHTS,
    SHARE,
    SHARED,
    STATED_APART,
    UNKNOWN_THINGS,
    UNREACHED,
    VIEW,
    filled,
    filled_path,
    key_of,
    kind_of,
    parameters,
    random_id,
    slots,
    variants,
)
from tests.boot.person import custom_endpoint
from tests.boot.test_boot_account import mentions

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLUGINS = sorted(discovery.available())
VOLATILE = frozenset({"locutory_outbox", "locutory_refresh", "sessions", "logs"})
"""Collections that move by themselves."""

_PLUGINS_OF_PATHS = {
    "convos": "conversations",
    "messages": "conversations",
    "permissions": "roles",
}

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=\"generationCreatedAt\":)\d+|(?<=\"position\":)\d+"
)


class World:
    """The one server of this module, and everybody on it."""

    def __init__(self, server: Server, cast: Cast) -> None:
        self.server = server
        self.cast = cast

    def routes(self, plugin: str) -> Iterator[tuple[Route, str]]:
        """(route, method) of a plugin."""
        for owner, route in self.server.kernel.routes.all():
            if owner == plugin:
                for method in route.methods:
                    yield route, method

    def everything(self) -> Iterator[tuple[Route, str]]:
        for plugin in PLUGINS:
            yield from self.routes(plugin)

    def request(self, route: Route, method: str, path: str, ids: dict[str, str]) -> dict[str, Any]:
        """Arguments of a request with these ids in its slots."""
        key = key_of(route, method)
        parts: dict[str, Any] = {"path": filled_path(path, ids)}
        if key in QUERIES:
            parts["params"] = filled(QUERIES[key], ids)
        if method != "GET" and not route.raw_body:
            parts["json"] = filled(BODIES.get(key, {}), ids)
        return parts

    def ids(self, member: Member, route: Route, method: str, path: str) -> dict[str, str] | None:
        """A person's own objects for every slot; ``None`` when a kind has none, because the
        plugin that keeps them is not installed."""
        found = {slot: kind_of(slot) for slot in slots(path, route, method)}
        if not set(found.values()) <= member.owns.keys():
            return None
        return {slot: member.owns[kind] for slot, kind in found.items()}

    async def ask(
        self, bearer: str | None, route: Route, method: str, path: str, ids: dict[str, str]
    ) -> Any:
        return await self.cast.send(bearer, method, **self.request(route, method, path, ids))

    async def belongings_of(self, member: Member) -> dict[str, list[str]]:
        """Everything stored that mentions a person, by collection."""
        database = self.server.kernel.database
        store = database.client[database.name]
        found = {}
        for name in sorted(await store.list_collection_names()):
            if name not in VOLATILE:
                documents = await store[name].find({}).to_list()
                found[name] = sorted(str(one) for one in documents if mentions(one, member.id))
        return found

    async def changes_since(self, before: dict[str, list[str]]) -> list[str]:
        """What differs from an earlier `belongings_of` the owner."""
        after = await self.belongings_of(self.cast["owner"])
        return [
            f"changed in {collection}: {sorted(set(before.get(collection, [])) ^ set(rows))}"
            for collection, rows in after.items()
            if rows != before.get(collection, [])
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    brake = Brake()
    model = Model()
    listening = await asyncio.start_server(model.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    installed = list(discovery.available())
    settings = {name: value for name, value in SETTINGS.items() if name in installed}
    yaml = {**custom_endpoint(f"http://127.0.0.1:{port}/v1"), "plugins": settings}
    serve = Serve(databases, tmp_path_factory.mktemp("matrix"))
    async with (
        listening,
        serve(*installed, brake, environment=ENVIRONMENT, yaml=yaml) as server,
        assembled(server, brake, installed) as cast,
    ):
        yield World(server, cast)
        model.released.set()


def own_paths(world: World, plugin: str) -> Iterator[tuple[Route, str, str, dict[str, str]]]:
    """(route, method, path, the owner's ids) of every route that is not public."""
    for route, method in world.routes(plugin):
        if isinstance(route.access, Public):
            continue
        for path in variants(route.path):
            ids = world.ids(world.cast["owner"], route, method, path)
            if ids is not None:
                yield route, method, path, ids


def comparable(answer: Any, ids: dict[str, str]) -> tuple[int, str, str]:
    """Status, content type and body of an answer, ids and dates left out."""
    text = answer.text
    for value in ids.values():
        text = text.replace(value, "<id>")
    return answer.status_code, answer.headers.get("content-type", ""), _ID.sub("<id>", text)


def shown(answer: Any) -> str:
    return f"{answer.status_code} {answer.text[:120]}"


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


async def test_every_parameter_has_an_object(world: World) -> None:
    problems = []
    for route, method in world.everything():
        key = key_of(route, method)
        for path in variants(route.path):
            problems += [
                f"{key}: {{{name}}} is not in PARAMETERS"
                for name in parameters(path)
                if name not in PARAMETERS
            ]
        for model, table in ((route.body or route.body_schema, BODIES), (route.query, QUERIES)):
            if (
                isinstance(model, type)
                and key not in table
                and not isinstance(route.access, Public)
            ):
                named = NAMING.keys() & {
                    field.alias or name for name, field in model.model_fields.items()
                }
                problems += [f"{key}: {name} needs an entry in the tables" for name in named]
    report(problems)


async def test_the_tables_name_no_routes_that_are_gone(world: World) -> None:
    """An entry whose path was renamed would test nothing."""
    known = {key_of(route, method) for route, method in world.everything()}
    tables = (*BODIES, *QUERIES, *STATED_APART, *AGENT_APART)
    report([key for key in tables if key not in known and _plugin_of(key) in PLUGINS])


def _plugin_of(key: str) -> str:
    """The plugin behind a path of the tables."""
    first = key.split()[1].split("/")[2]
    return _PLUGINS_OF_PATHS.get(first, first)


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_strangers_are_refused(world: World, plugin: str) -> None:
    """Without a session that counts: 401 by routes that ask for one, and nothing happens."""
    cast, problems = world.cast, []
    before = await world.belongings_of(cast["owner"])
    for route, method, path, ids in own_paths(world, plugin):
        access = route.access
        callers: dict[str, str | None] = {"anonymous": None, **cast.bearers}
        if isinstance(access, ApiKey):
            callers |= {"session": cast["owner"].bearer}
            callers |= {f"key of {name}": cast.keys[name] for name in ("banned", "closing")}
        elif cast.keys:
            callers |= {"API key": cast.keys["good"]}
        if isinstance(access, OptionalUser):
            if method == "GET" and not SHARED & {kind_of(slot) for slot in ids}:
                plain = comparable(await world.ask(None, route, method, path, ids), ids)
                for name, bearer in callers.items():
                    answer = await world.ask(bearer, route, method, path, ids)
                    if comparable(answer, ids) != plain:
                        problems.append(f"{name} {method} {path}: {shown(answer)}, not {plain}")
            continue
        for name, bearer in callers.items():
            answer = await world.ask(bearer, route, method, path, ids)
            # A ban is said where the contract wants it said (kernel §12).
            expected = {401, 403} if name == "banned" else {401}
            if LETS_GO.get(key_of(route, method)) == name:
                expected = {200}
            if answer.status_code not in expected:
                problems.append(f"{name} {method} {path}: {shown(answer)}")
    report(problems + await world.changes_since(before))


async def test_bodies_of_a_wrong_type_are_refused(world: World) -> None:
    """Each route that names a model for its body answers one that it does not take with the
    refusal of its contract, and nothing happens."""
    problems: list[str] = []
    before = await world.belongings_of(world.cast["owner"])
    for route, method in world.everything():
        if route.body is None or route.body is NoBody:
            continue
        expected = refused(route)
        assert expected is not None, key_of(route, method)
        assert isinstance(expected.body, Mapping), key_of(route, method)
        for path in variants(route.path):
            ids = world.ids(world.cast["owner"], route, method, path)
            if ids is None:
                continue
            parts = {**world.request(route, method, path, ids), "json": []}
            # Whoever may not send the body at all is told that; an administrator may.
            for who in ("owner", "admin"):
                answer = await world.cast.send(world.cast[who].bearer, method, **parts)
                if answer.status_code != 403:
                    break
            if (
                answer.status_code != expected.status
                or answer.json().keys() != expected.body.keys()
            ):
                problems.append(f"{method} {path}: {shown(answer)}, not {expected}")
    report(problems + await world.changes_since(before))


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_rights_are_asked_for(world: World, plugin: str) -> None:
    """403 for a role without the permission, a user without the capability, a key without the
    scope, and a key whose owner's role lost the permission."""
    cast, problems = world.cast, []
    for route, method, path, ids in own_paths(world, plugin):
        access = route.access
        callers: dict[str, str] = {}
        if isinstance(access, Can):
            callers = {"intern": cast["intern"].bearer}
        elif isinstance(access, Capability):
            people = ("owner", "viewer", "editor", "other", "intern")
            callers = {name: cast[name].bearer for name in people}
        elif isinstance(access, ApiKey):
            callers = {"key of intern": cast.keys["intern"]}
            if access.scope in cast.scopes:
                callers["key without scope"] = cast.scopes[access.scope]
        for name, bearer in callers.items():
            answer = await world.ask(bearer, route, method, path, ids)
            if answer.status_code != 403:
                problems.append(f"{name} {method} {path}: {shown(answer)}")
        if isinstance(access, Capability):
            answer = await world.ask(cast["admin"].bearer, route, method, path, ids)
            if answer.status_code in (401, 403) or answer.status_code >= 500:
                problems.append(f"admin {method} {path}: {shown(answer)}")
        if isinstance(access, ApiKey):
            answer = await world.ask(cast.keys["good"], route, method, path, ids)
            if answer.status_code in (401, 403) or answer.status_code >= 500:
                problems.append(f"good key {method} {path}: {shown(answer)}")
    report(problems)


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_owners_see_what_is_theirs(world: World, plugin: str) -> None:
    """Otherwise nothing would be shown by others not seeing it."""
    cast, problems = world.cast, []
    for route, method, path, ids in own_paths(world, plugin):
        if method != "GET" or isinstance(route.access, ApiKey | Capability):
            continue
        if f"GET {path}" in OWNER_GETS_NOTHING or UNKNOWN_THINGS & set(parameters(path)):
            continue
        if route.fallback and parameters(path):
            continue
        answer = await world.ask(cast["owner"].bearer, route, method, path, ids)
        if answer.status_code not in (200, 204):
            problems.append(f"{method} {path}: {shown(answer)}")
    report(problems)


def mixtures(
    foreign: dict[str, str], own: dict[str, str] | None
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Ids with at least one of somebody else, each beside the same with ids of nothing
    instead. The other slots hold the caller's own objects, or nothing."""
    kinds = {slot: kind_of(slot) for slot in foreign}
    nothing, instead = (
        {slot: ids[kind] for slot, kind in kinds.items()}
        for ids in ({kind: random_id(kind) for kind in set(kinds.values())} for _ in range(2))
    )
    sources = ["foreign", "nothing"] if own is None else ["foreign", "own", "nothing"]
    values = {"foreign": foreign, "own": own or {}, "nothing": nothing, "instead": instead}
    for choice in itertools.product(sources, repeat=len(foreign)):
        if "foreign" not in choice:
            continue
        chosen = dict(zip(foreign, choice, strict=True))
        asked = {slot: values[source][slot] for slot, source in chosen.items()}
        random = {
            slot: values["instead" if source == "foreign" else source][slot]
            for slot, source in chosen.items()
        }
        yield asked, random


async def test_requests_reach_what_they_name(world: World) -> None:
    """The owner of an object is answered otherwise than for one that nobody has; or else it
    would prove nothing that others are answered so."""
    spender, problems = world.cast["spender"], []
    asked = []
    for route, method in world.everything():
        for path in variants(route.path):
            ids = world.ids(spender, route, method, path)
            if ids and not isinstance(route.access, Public | ApiKey | Capability):
                asked.append((route, method, path, ids))
    # What destroys comes last, the parts before the whole.
    ends = ("/abort", "/delete")
    asked.sort(key=lambda one: (one[1] == "DELETE" or one[2].endswith(ends), -len(one[3])))
    asked.sort(key=lambda one: (one[1], one[2]) == ("DELETE", "/api/convos"))
    for route, method, path, ids in asked:
        if {key_of(route, method), f"{method} {path}"} & UNREACHED.keys():
            continue
        if route.fallback or UNKNOWN_THINGS & set(parameters(path)):
            continue
        nothing = {slot: random_id(kind_of(slot)) for slot in ids}
        for_nothing = await world.ask(spender.bearer, route, method, path, nothing)
        for_own = await world.ask(spender.bearer, route, method, path, ids)
        if comparable(for_own, ids) == comparable(for_nothing, nothing):
            problems.append(f"{method} {path}: {shown(for_own)}")
    report(problems)


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_others_objects_do_not_exist(world: World, plugin: str) -> None:
    """Another user's object answers as one that nobody has, for reading and for changing, and
    stays as it is."""
    cast, problems = world.cast, []
    before = await world.belongings_of(cast["owner"])
    for route, method, path, foreign in own_paths(world, plugin):
        shared = bool(SHARED & {kind_of(slot) for slot in foreign})
        for name in ("other", "viewer", "editor", "admin"):
            if (shared and name != "other") or (not parameters(path) and not foreign):
                continue
            if isinstance(route.access, Capability):
                continue
            caller, bearer = cast[name], cast[name].bearer
            if isinstance(route.access, ApiKey):
                if name != "other":
                    continue
                bearer = cast.keys["other"]
            if not foreign:  # a name of which everybody has his own: only effects count
                await world.ask(bearer, route, method, path, {})
                continue
            own = world.ids(caller, route, method, path)
            for asked, random in mixtures(foreign, own):
                with_foreign = await world.ask(bearer, route, method, path, asked)
                apart = (table.get(key_of(route, method)) for table in (STATED_APART, AGENT_APART))
                if any(
                    one and with_foreign.status_code == one[0] and one[1] in with_foreign.text
                    for one in apart
                ):
                    continue
                with_random = await world.ask(bearer, route, method, path, random)
                expected = comparable(with_random, random)
                if comparable(with_foreign, asked) == expected:
                    continue
                where = {slot: value in foreign.values() for slot, value in asked.items()}
                problems.append(
                    f"{name} {method} {path} {where}: {shown(with_foreign)}"
                    f" — a random id: {shown(with_random)}"
                )
    report(problems + await world.changes_since(before))


async def test_what_viewers_and_editors_may(world: World) -> None:
    """On what is shared with them: viewers look, editors change, only owners delete and
    share; an administrator may look."""
    cast, problems = world.cast, []
    shared = [
        (route, method, path, ids)
        for plugin in PLUGINS
        for route, method, path, ids in own_paths(world, plugin)
        if SHARED & {kind_of(slot) for slot in ids}
        and not route.fallback
        and not isinstance(route.access, ApiKey)
    ]
    before = await world.belongings_of(cast["owner"])
    for route, method, path, ids in shared:
        needed = RIGHTS.get(key_of(route, method))
        if needed is None:
            problems.append(f"{method} {path} needs an entry in RIGHTS")
        refused = {EDIT: ("viewer",), DELETE: ("viewer", "editor"), SHARE: ("viewer", "editor")}
        for name in refused.get(needed or "", ()):
            answer = await world.ask(cast[name].bearer, route, method, path, ids)
            if answer.status_code not in (403, 404):
                problems.append(f"{name} {method} {path}: {shown(answer)}")
    problems += await world.changes_since(before)
    allowed = {VIEW: ("viewer", "editor"), EDIT: ("editor",)}
    for route, method, path, ids in shared:
        if UNKNOWN_THINGS & set(parameters(path)):
            continue
        needed = RIGHTS.get(key_of(route, method), "")
        # The versions of a group (prompts §4 (4)) ask for an entry, not for a capability.
        bypass = needed == VIEW and path.startswith(tuple(f"{one}/" for one in ADMINISTERED))
        for name in (*allowed.get(needed, ()), *(("admin",) if bypass else ())):
            answer = await world.ask(cast[name].bearer, route, method, path, ids)
            if answer.status_code not in (200, 201):
                problems.append(f"{name} {method} {path}: {shown(answer)}")
    report(problems)
