"""The people of the authorisation matrix, and what they own, made through the API."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import jwt

from locutory import ApiKey, LimitExceeded, On, Plugin, hook
from locutory_contracts.accounts import ACCOUNTS, AccountDeleting
from locutory_contracts.sign_in import SIGN_INS
from locutory_testing import Server
from locutory_testing.server import SECRETS
from locutory_testing.waiting import until
from tests.boot.person import ROOT_MESSAGE, Person
from tests.conftest import _answer as echo

ENVIRONMENT = {
    "ALLOW_REGISTRATION": "true",
    "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
    "BAN_VIOLATIONS": "true",
    "ALLOW_SHARED_LINKS_PUBLIC": "false",
    # Nobody is to be refused for asking often.
    **dict.fromkeys(
        (
            "LOGIN_MAX",
            "REGISTER_MAX",
            "FORK_IP_MAX",
            "FORK_USER_MAX",
            "IMPORT_IP_MAX",
            "IMPORT_USER_MAX",
            "MESSAGE_IP_MAX",
            "MESSAGE_USER_MAX",
        ),
        "100000",
    ),
}
CACHE_SECONDS = 0.5
SETTINGS = {
    "auth": {"account_cache_seconds": CACHE_SECONDS},
    "conversations": {"title_hold_seconds": 0},
}
"""Changes made in the database count soon, and nobody waits for titles."""


class Model:
    """The model server of the tests, which holds an answer to ``please wait`` until the end."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)|$", head)[1] or 0)  # type: ignore[index]
        body = await reader.readexactly(length)
        if b"please wait" in body:
            chunk = b'{"choices": [{"index": 0, "delta": {"content": "well "}}]}'
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"connection: close\r\n\r\ndata: " + chunk + b"\n\n")
            with suppress(ConnectionError):
                await writer.drain()
                await self.released.wait()
            writer.close()
            return
        rest = asyncio.StreamReader()
        rest.feed_data(head + body)
        rest.feed_eof()
        await echo(rest, writer)


class Brake(Plugin):
    """Holds the deletion of an account, so that it stays closed; for tests only."""

    name = "brake"
    summary = "Holds deletions"

    def __init__(self) -> None:
        self.held: str | None = None
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    @hook
    def subscriptions(self) -> list[On]:
        async def hold(step: AccountDeleting) -> None:
            if step.user_id == self.held:
                self.reached.set()
                await self.released.wait()

        return [On(AccountDeleting, hold)]


@dataclass(slots=True)
class Member:
    """Somebody with an account. ``owns``: kind of object → id."""

    name: str
    id: str
    bearer: str
    owns: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Cast:
    """Everybody. ``keys``: API keys by what is wrong with them; ``scopes``: a good key for
    each scope that lacks it."""

    wire: httpx2.AsyncClient
    people: dict[str, Member]
    bearers: dict[str, str]
    keys: dict[str, str]
    scopes: dict[str, str]
    plugins: Collection[str]

    def __getitem__(self, name: str) -> Member:
        return self.people[name]

    async def send(self, bearer: str | None, method: str, path: str, **parts: Any) -> Any:
        """One request; no cookie is carried from one to the next."""
        self.wire.cookies.clear()
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        return await self.wire.request(method, path, headers=headers, **parts)


async def belongings(person: Person, plugins: Collection[str]) -> dict[str, str]:
    """One object of every kind that the plugins have, made by a person."""
    client = person.client
    made: dict[str, str] = {}

    async def call(method: str, path: str, body: Any = None) -> Any:
        answer = await client.request(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code in (200, 201), (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    final = await person.say("hello")
    made["conversation"] = conversation = final["conversation"]["conversationId"]
    made["message"] = final["responseMessage"]["messageId"]
    sessions = (await call("GET", "/api/auth/sessions"))["sessions"]
    made["session"] = sorted(sessions, key=lambda one: bool(one["current"]))[0]["id"]
    await call("PUT", "/api/keys", {"name": "openAI", "value": "secret", "expiresAt": ""})
    # Keys of memories have no digits; two people must not happen to have the same one.
    word = "".join(chr(ord("a") + int(digit, 16)) for digit in person.id)
    if "agentsapi" in plugins:
        made["api_key"] = (await call("POST", "/api/api-keys", {"name": "k"}))["id"]
    if "tags" in plugins:
        tag = {"tag": f"tag-{person.id}", "addToConversation": True, "conversationId": conversation}
        made["tag"] = (await call("POST", "/api/tags", tag))["tag"]
    if "presets" in plugins:
        preset = {"title": "p", "endpoint": "Fake", "model": "fake"}
        made["preset"] = (await call("POST", "/api/presets", preset))["presetId"]
    if "projects" in plugins:
        made["project"] = project = (await call("POST", "/api/projects", {"name": "p"}))["_id"]
        await call("PUT", f"/api/projects/conversations/{conversation}", {"projectId": project})
    if "memories" in plugins:
        made["memory"] = f"key_{word}"
        await call("POST", "/api/memories", {"key": made["memory"], "value": "v"})
    if "agentbuilder" in plugins:
        agent = {"name": "a", "provider": "Fake", "model": "fake", "tools": []}
        answer = await call("POST", "/api/agents", agent)
        made["agent"], made["agent_row"] = answer["id"], answer["_id"]
    if "prompts" in plugins:
        prompt = {"prompt": {"prompt": "say", "type": "text"}, "group": {"name": "g"}}
        answer = await call("POST", "/api/prompts", prompt)
        made["prompt"], made["prompt_group"] = answer["prompt"]["_id"], answer["group"]["_id"]
    if "share" in plugins:
        answer = await call("POST", f"/api/share/{conversation}", {})
        made["share"], made["share_row"] = answer["shareId"], answer["_id"]
    return made


async def running_turn(person: Person) -> str:
    """The conversation of a turn that runs until the model is released."""
    body = {
        "text": "please wait",
        "parentMessageId": ROOT_MESSAGE,
        "messageId": "m",
        "endpoint": "Fake",
        "endpointType": "custom",
        "model": "fake",
        "generationProtocolVersion": 2,
    }
    started = await person.client.post("/api/agents/chat/Fake", json=body)
    conversation = str(started.json()["conversationId"])

    async def saved() -> bool:
        answer = await person.client.get(f"/api/messages/{conversation}")
        return bool(answer.status_code == 200 and answer.json())

    # Nothing is written from there on.
    await until(saved, "the question of a running turn is not saved")
    return conversation


async def _share(owner: Person, owns: dict[str, str], viewer: str, editor: str) -> None:
    """Let the viewer and the editor in, and nobody else."""
    for kind, resource, second in (
        ("promptGroup", "prompt_group", "promptGroup_editor"),
        ("sharedLink", "share_row", "sharedLink_viewer"),
        ("agent", "agent_row", "agent_editor"),
    ):
        if resource not in owns:
            continue
        updated = [
            {"type": "user", "id": viewer, "accessRoleId": f"{kind}_viewer"},
            {"type": "user", "id": editor, "accessRoleId": second},
        ]
        answer = await owner.client.put(
            f"/api/permissions/{kind}/{owns[resource]}",
            json={"updated": updated, "removed": [], "public": False},
        )
        assert answer.status_code == 200, answer.text


def _token(user: str, **claims: Any) -> str:
    moment = int(time.time())
    body = {"id": user, "username": "", "provider": "local", "email": "x@example.com"}
    return jwt.encode({**body, "iat": moment, **claims}, SECRETS["JWT_SECRET"], "HS256")


@asynccontextmanager
async def assembled(server: Server, brake: Brake, plugins: Collection[str]) -> AsyncIterator[Cast]:
    """Everybody has an account, and his things; one is banned, one is being deleted."""
    kernel = server.kernel
    users = kernel.database.client[kernel.database.name]["users"]
    async with AsyncExitStack() as stack:

        async def join(name: str) -> Person:
            client = await stack.enter_async_context(server.connect())
            return await Person(client).join(f"{name}@example.com")

        admin = await join("admin")
        for permissions, value in (
            ("remote-agents", {"USE": True}),
            ("prompts", {"SHARE": True}),
            ("agents", {"SHARE": True}),
        ):
            answer = await admin.client.put(f"/api/roles/USER/{permissions}", json=value)
            assert answer.status_code == 200, answer.text
        names = ("owner", "viewer", "editor", "other", "spender", "intern", "banned", "closing")
        everybody = {"admin": admin, **{name: await join(name) for name in names}}
        people = {
            name: Member(
                name, person.id, person.client.headers["authorization"].removeprefix("Bearer ")
            )
            for name, person in everybody.items()
        }
        async with server.connect() as elsewhere:  # a session to lose
            await Person(elsewhere).log_in("spender@example.com")
        for name in ("owner", "other", "spender"):
            people[name].owns = await belongings(everybody[name], plugins)
        owner = everybody["owner"]
        for name in ("owner", "spender"):
            people[name].owns["running"] = await running_turn(everybody[name])
        await _share(owner, people["owner"].owns, people["viewer"].id, people["editor"].id)

        keys: dict[str, str] = {}
        scopes: dict[str, str] = {}
        if "agentsapi" in plugins:

            async def key(person: Person, **fields: Any) -> str:
                answer = await person.client.post("/api/api-keys", json={"name": "k", **fields})
                assert answer.status_code == 201, answer.text
                return str(answer.json()["key"])

            keys["good"] = await key(owner)
            for name in ("other", "intern", "banned", "closing"):
                keys[name] = await key(everybody[name])
            accesses = [route.access for _, route in kernel.routes.all()]
            known = {access.scope for access in accesses if isinstance(access, ApiKey)}
            for scope in known:
                if known - {scope}:
                    scopes[scope] = await key(owner, scopes=sorted(known - {scope}))

        database = kernel.database.client[kernel.database.name]
        await database["roles"].insert_one({"name": "INTERN", "permissions": {}})
        await users.update_one({"email": "intern@example.com"}, {"$set": {"role": "INTERN"}})
        # As ``locutory user ban`` does: a ban, and the end of every session.
        await kernel.events.publish(LimitExceeded("x", "logins", 100, people["banned"].id, ""))
        await kernel.services.get(SIGN_INS).close_all(people["banned"].id)
        await asyncio.sleep(CACHE_SECONDS)
        brake.held = people["closing"].id
        deletion = asyncio.create_task(kernel.services.get(ACCOUNTS).delete(brake.held))
        await brake.reached.wait()

        owner_id = people["owner"].id
        expired = int(time.time()) - 3600
        bearers = {
            "garbage": "garbage",
            "expired": _token(owner_id, iat=expired - 900, exp=expired),
            "future": _token(owner_id, nbf=int(time.time()) + 3600, exp=int(time.time()) + 7200),
            "pending second factor": _token(
                owner_id, twoFAPending=True, userId=owner_id, exp=int(time.time()) + 300
            ),
            "banned": people["banned"].bearer,
            "closing": people["closing"].bearer,
            "unknown account": _token("0" * 24, exp=int(time.time()) + 900),
        }
        wire = await stack.enter_async_context(server.connect())
        try:
            yield Cast(wire, people, bearers, keys, scopes, plugins)
        finally:
            brake.released.set()
            await deletion
