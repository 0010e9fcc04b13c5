"""An existing LibreChat database is used unchanged, and what we write can LibreChat read."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from bson import ObjectId
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from locutory.plugins import discovery
from locutory_testing import Serve, Server
from locutory_testing.database import Databases
from locutory_testing.server import SECRETS
from tests.boot import librechat_data as data
from tests.boot.librechat_fields import FIELDS, faults
from tests.boot.person import Person, custom_endpoint


def totp(secret: str) -> str:
    """The code of this half minute (RFC 6238)."""
    count = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(secret), count, hashlib.sha1).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def decrypt_v1(value: str) -> str:
    """LibreChat's oldest cipher, written down a second time."""
    key, iv = (bytes.fromhex(SECRETS[name]) for name in ("CREDS_KEY", "CREDS_IV"))
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    plain = decryptor.update(bytes.fromhex(value)) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return (unpadder.update(plain) + unpadder.finalize()).decode()


@dataclass
class Olga:
    """The user of the old database, on the new server."""

    server: Server
    client: httpx2.AsyncClient
    login: dict[str, Any]

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    async def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def rows(self, collection: str, **wanted: Any) -> list[dict[str, Any]]:
        found = self.server.kernel.database.collection(collection).find(wanted)
        return await found.to_list()

    async def unchanged(self, *collections: str) -> None:
        """Documents of these collections are exactly as LibreChat wrote them."""
        for collection in collections:
            for document in data.documents()[collection]:
                if collection in ("users", "messages", "aclentries"):
                    document = settled(document)
                (stored,) = await self.rows(collection, **key_of(collection, document))
                assert settled(stored) == settled(document), collection

    async def new(self, collection: str) -> list[dict[str, Any]]:
        """Documents that LibreChat did not write, each checked against its schema."""
        old = [key_of(collection, row) for row in data.documents().get(collection, ())]
        found = [
            row
            for row in await self.rows(collection)
            if not any(key.items() <= row.items() for key in old)
        ]
        for row in found:
            assert not faults(collection, row), (collection, faults(collection, row))
        return found


def key_of(collection: str, document: dict[str, Any]) -> dict[str, Any]:
    """What names a document; entries of the data have new ids each time."""
    if collection == "aclentries":
        names = ("principalType", "resourceId")
        return {name: document[name] for name in names}
    return {"_id": document["_id"]}


def settled(value: Any) -> Any:
    """A document without the ids that the data draws anew: those of sub-documents."""
    if isinstance(value, dict):
        inner = "memories" in value or "rating" in value or "endpoint" in value
        drop = inner and not {"user", "email", "presetId"} & value.keys()
        skipped = {"_id"} if drop or "principalType" in value else set()
        return {key: settled(item) for key, item in value.items() if key not in skipped}
    if isinstance(value, list):
        return [settled(item) for item in value]
    return value


Opened = Callable[..., AbstractAsyncContextManager[Olga]]


@pytest.fixture
def olga(serve: Serve, databases: Databases, fake_model: str) -> Opened:
    """``async with olga() as o``: the old database, a server with every installed plugin, and
    its user, signed in with password and code."""

    @asynccontextmanager
    async def opened(*needed: str) -> AsyncIterator[Olga]:
        names = list(discovery.available())
        absent = [name for name in needed if name not in names]
        if absent:
            pytest.skip(f"not installed: {', '.join(absent)}")
        name = f"librechat_{uuid4().hex}"
        async with databases.opened(name) as old:
            for collection, documents in data.documents().items():
                await old[collection].insert_many(documents)
        async with serve(*names, yaml=custom_endpoint(fake_model), database=name) as server:
            try:
                login = await sign_in(server)
                server.client.headers["authorization"] = f"Bearer {login['token']}"
                yield Olga(server, server.client, login)
            finally:
                await server.kernel.database.client.drop_database(name)

    return opened


async def sign_in(server: Server) -> dict[str, Any]:
    """Password, then code."""
    body = {"email": data.EMAIL, "password": data.PASSWORD}
    first = await server.client.post("/api/auth/login", json=body)
    assert first.status_code == 200, first.text
    assert first.json()["twoFAPending"] is True
    second = {"tempToken": first.json()["tempToken"], "token": totp(data.TOTP_SECRET)}
    answer = await server.client.post("/api/auth/2fa/verify-temp", json=second)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {**answer.json(), "cookies": dict(server.client.cookies)}
    return found


async def test_accounts(olga: Opened) -> None:
    """bcrypt, TOTP of the third cipher, sub-documents with ids of their own."""
    async with olga("auth", "users") as o:
        user = await o.get("/api/user")
        assert (user["_id"], user["email"], user["role"]) == (str(data.OLGA), data.EMAIL, "USER")
        assert user["personalization"]["memories"] is True
        assert not {"password", "totpSecret", "backupCodes"} & user.keys()
        await o.unchanged("users")
        wrong = {"email": data.EMAIL, "password": "another-password"}
        assert (await o.client.post("/api/auth/login", json=wrong)).status_code == 404

        # A session as LibreChat keeps it: the refresh token names it, its hash is stored.
        (session,) = await o.new("sessions")
        assert session["user"] == data.OLGA
        token = o.login["cookies"]["refreshToken"]
        assert hashlib.sha256(token.encode()).hexdigest() == session["refreshTokenHash"]
        claims = jwt.decode(token, SECRETS["JWT_REFRESH_SECRET"], algorithms=["HS256"])
        assert (claims["id"], claims["sessionId"]) == (str(data.OLGA), str(session["_id"]))

        # A backup code is used up, and nothing else of the account moves.
        body = {"email": data.EMAIL, "password": data.PASSWORD}
        pending = (await o.client.post("/api/auth/login", json=body)).json()["tempToken"]
        used = {"tempToken": pending, "backupCode": data.BACKUP_CODE}
        await o.send("POST", "/api/auth/2fa/verify-temp", used)
        (stored,) = await o.rows("users", _id=data.OLGA)
        assert stored["backupCodes"][0]["used"] is True
        assert stored["backupCodes"][0]["codeHash"] == data.BACKUP_HASH
        assert (stored["password"], stored["totpSecret"]) == (data.BCRYPT, data.TOTP_V3)


async def test_a_session_of_librechat_goes_on(olga: Opened) -> None:
    async with olga("auth") as o:
        session = ObjectId()
        claims = {
            "id": str(data.OLGA),
            "sessionId": str(session),
            "iat": int(time.time()),
            "exp": int(time.time()) + 3600,
        }
        token = jwt.encode(claims, SECRETS["JWT_REFRESH_SECRET"], algorithm="HS256")
        (known,) = await o.new("sessions")
        row = {
            "_id": session,
            "refreshTokenHash": hashlib.sha256(token.encode()).hexdigest(),
            "expiration": known["expiration"],
            "user": data.OLGA,
            "__v": 0,
        }
        await o.server.kernel.database.collection("sessions").insert_one(row)
        async with o.server.connect() as browser:
            cookies = f"refreshToken={token}; token_provider=librechat"
            answer = await browser.post("/api/auth/refresh", headers={"cookie": cookies})
            assert answer.status_code == 200, answer.text
            assert answer.json()["user"]["email"] == data.EMAIL
        await o.new("sessions")


async def test_nothing_is_rewritten_by_starting_and_reading(olga: Opened) -> None:
    async with olga("conversations") as o:
        for path in (
            "/api/user",
            "/api/convos",
            f"/api/convos/{data.CHAT}",
            f"/api/messages/{data.CHAT}",
            "/api/tags",
            "/api/presets",
            "/api/projects",
            "/api/prompts/all",
            "/api/memories",
            "/api/share",
            "/api/keys?name=openAI",
            "/api/user/settings/favorites",
            "/api/roles/USER",
        ):
            assert (await o.client.get(path)).status_code == 200, path
        await o.unchanged(*(name for name in data.documents() if name != "sharedlinks"))
        for row in await o.rows("accessroles"):
            assert row["__v"] == 0
            assert type(row["permBits"]) is int
        names = [row["accessRoleId"] for row in await o.rows("accessroles")]
        assert len(names) == len(set(names))


async def test_keys(olga: Opened) -> None:
    async with olga("endpoints") as o:
        assert await o.get("/api/keys", name="openAI") == {"expiresAt": "never"}
        known = await o.get("/api/keys", name="anthropic")
        assert known == {"expiresAt": "2099-01-01T00:00:00.000Z"}
        credentials = o.server.kernel.credentials
        assert credentials.decrypt(data.OPENAI_V1) == data.OPENAI_KEY
        body = {"name": "google", "value": "our key", "expiresAt": ""}
        await o.send("PUT", "/api/keys", body, 201)
        (row,) = await o.new("keys")
        assert row["userId"] == data.OLGA
        assert "expiresAt" not in row
        assert decrypt_v1(row["value"]) == "our key"
        await o.unchanged("keys", "pluginauths")


async def test_plugin_values(olga: Opened) -> None:
    async with olga("users") as o:
        body = {"pluginKey": "wolfram", "action": "install", "auth": {"WOLFRAM_APP_ID": "ours"}}
        await o.send("POST", "/api/user/plugins", body)
        (row,) = await o.new("pluginauths")
        assert (row["userId"], row["pluginKey"]) == (str(data.OLGA), "wolfram")
        assert decrypt_v1(row["value"]) == "ours"
        await o.unchanged("pluginauths")


async def test_history(olga: Opened) -> None:
    async with olga("conversations", "agents", "endpoints") as o:
        listed = (await o.get("/api/convos"))["conversations"]
        assert [row["conversationId"] for row in listed] == [data.CHAT, data.OLD_CHAT]
        shown = await o.get(f"/api/convos/{data.CHAT}")
        assert shown["messages"] == [str(key) for key in data.MESSAGES]
        assert (shown["temperature"], shown["maxContextTokens"]) == (0.5, 8000)
        messages = await o.get(f"/api/messages/{data.CHAT}")
        assert [row["messageId"] for row in messages] == [data.ASKED, data.ANSWERED]
        assert messages[1]["content"] == [{"type": "text", "text": "A place for data."}]
        assert messages[1]["feedback"]["rating"] == "thumbsUp"

        person = Person(o.client)
        person.id = str(data.OLGA)
        final = await person.say(
            "and an index?", conversationId=data.CHAT, parentMessageId=data.ANSWERED
        )
        assert final["conversation"]["conversationId"] == data.CHAT
        await o.unchanged("messages")
        new = await o.new("messages")
        assert [row["isCreatedByUser"] for row in new] == [True, False]
        for row in new:
            assert UUID(row["messageId"])
            assert row["user"] == str(data.OLGA)
        (stored,) = await o.rows("conversations", conversationId=data.CHAT)
        assert not faults("conversations", stored)
        assert stored["messages"] == [*data.MESSAGES, *(row["_id"] for row in new)]
        assert stored["_id"] == data.documents()["conversations"][0]["_id"]
        for name in ("createdAt", "tags", "chatProjectId", "title"):
            assert stored[name] == data.documents()["conversations"][0][name], name

        fresh = await person.say("something new")
        (stored,) = await o.new("conversations")
        assert stored["conversationId"] == fresh["conversation"]["conversationId"]
        assert all(isinstance(key, ObjectId) for key in stored["messages"])
        for name in ("transactions", "aclentries"):
            await o.new(name)


async def test_edits_of_history(olga: Opened) -> None:
    async with olga("conversations") as o:
        path = f"/api/messages/{data.CHAT}/{data.ASKED}"
        await o.send("PUT", path, {"text": "What is an index?", "model": "fake"})
        rating = {"feedback": {"rating": "thumbsDown", "tag": "inaccurate"}}
        await o.send("PUT", f"/api/messages/{data.CHAT}/{data.ANSWERED}/feedback", rating)
        arg = {"conversationId": data.CHAT, "title": "Renamed"}
        await o.send("POST", "/api/convos/update", {"arg": arg}, 201)
        for at, row in enumerate(await o.rows("messages")):
            assert not faults("messages", row)
            before = data.documents()["messages"][at]
            changed = {name for name in before if row[name] != before[name]}
            assert changed <= {"text", "tokenCount", "updatedAt", "feedback"}, changed
            if "feedback" in row:
                assert isinstance(row["feedback"]["_id"], ObjectId)
        (stored,) = await o.rows("conversations", conversationId=data.CHAT)
        assert not faults("conversations", stored)
        assert stored["title"] == "Renamed"


async def test_tags(olga: Opened) -> None:
    async with olga("tags", "conversations") as o:
        (tag,) = await o.get("/api/tags")
        assert (tag["tag"], tag["count"], tag["position"]) == ("Saved", 1, 1)
        await o.send("POST", "/api/tags", {"tag": "New", "description": "ours"})
        found = await o.send("PUT", f"/api/tags/convo/{data.OLD_CHAT}", {"tags": ["New", "Saved"]})
        assert sorted(found) == ["New", "Saved"]
        (row,) = await o.new("conversationtags")
        assert (row["user"], row["count"], row["position"]) == (str(data.OLGA), 1, 2)
        (saved,) = await o.rows("conversationtags", tag="Saved")
        assert not faults("conversationtags", saved)
        assert (saved["count"], saved["description"]) == (2, "kept")
        (chat,) = await o.rows("conversations", conversationId=data.OLD_CHAT)
        assert sorted(chat["tags"]) == ["New", "Saved"]
        assert not faults("conversations", chat)


async def test_presets(olga: Opened) -> None:
    async with olga("presets") as o:
        (preset,) = await o.get("/api/presets")
        assert (preset["presetId"], preset["title"]) == (data.PRESET, "Precise")
        assert preset["user"] == str(data.OLGA)
        body = {"title": "Ours", "endpoint": "Fake", "temperature": 1, "defaultPreset": True}
        await o.send("POST", "/api/presets", body, 201)
        (row,) = await o.new("presets")
        assert UUID(row["presetId"])
        assert (row["user"], row["order"], row["defaultPreset"]) == (str(data.OLGA), 0, True)
        (old,) = await o.rows("presets", presetId=data.PRESET)
        assert not faults("presets", old)
        assert not {"order", "defaultPreset"} & old.keys()
        assert old["_id"] == data.documents()["presets"][0]["_id"]


async def test_prompts(olga: Opened) -> None:
    async with olga("prompts", "roles") as o:
        (row,) = await o.get("/api/prompts/all")
        assert (row["_id"], row["command"], row["isPublic"]) == (str(data.GROUP), "greet", True)
        assert row["productionPrompt"]["prompt"] == "Say hi to {{name}}"
        versions = await o.get("/api/prompts", groupId=str(data.GROUP))
        assert [row["_id"] for row in versions] == [
            str(data.SECOND_VERSION),
            str(data.FIRST_VERSION),
        ]
        path = f"/api/prompts/groups/{data.GROUP}"
        version = {"prompt": {"prompt": "ours", "type": "text"}}
        added = await o.send("POST", f"{path}/prompts", version)
        await o.send("PATCH", f"/api/prompts/{added['prompt']['_id']}/tags/production")
        await o.send("PATCH", path, {"oneliner": "greets better"})
        await o.send("POST", f"{path}/use")
        await o.send(
            "POST",
            "/api/prompts",
            {"prompt": {"prompt": "x", "type": "text"}, "group": {"name": "Ours"}},
        )
        (changed,) = await o.rows("promptgroups", _id=data.GROUP)
        assert changed["projectIds"] == []  # an old field, which stays
        assert not faults("promptgroups", {k: v for k, v in changed.items() if k != "projectIds"})
        assert changed["productionId"] == ObjectId(added["prompt"]["_id"])
        assert (changed["numberOfGenerations"], changed["author"]) == (5, data.OLGA)
        assert changed["createdAt"] == data.documents()["promptgroups"][0]["createdAt"]
        await o.unchanged("prompts", "aclentries", "accessroles")
        assert len(await o.new("prompts")) == 2
        (group,) = await o.new("promptgroups")
        (entry,) = await o.new("aclentries")
        assert entry["resourceId"] == group["_id"]
        assert (entry["principalId"], entry["principalModel"]) == (data.OLGA, "User")
        owner = next(
            role
            for role in data.documents()["accessroles"]
            if role["accessRoleId"] == "promptGroup_owner"
        )
        assert (entry["roleId"], entry["permBits"]) == (owner["_id"], 15)


async def test_memories(olga: Opened) -> None:
    async with olga("memories") as o:
        (memory,) = (await o.get("/api/memories"))["memories"]
        assert (memory["_id"], memory["key"]) == (str(data.MEMORY), "likes")
        await o.send("POST", "/api/memories", {"key": "dislikes", "value": "waiting"}, 201)
        (row,) = await o.new("memoryentries")
        assert (row["userId"], row["key"]) == (data.OLGA, "dislikes")
        await o.unchanged("memoryentries")
        await o.send("PATCH", "/api/memories/likes", {"value": "Olga likes indexes."})
        (old,) = await o.rows("memoryentries", _id=data.MEMORY)
        assert not faults("memoryentries", old)
        await o.send("PATCH", "/api/memories/preferences", {"memories": False})
        (user,) = await o.rows("users", _id=data.OLGA)
        assert user["personalization"]["memories"] is False
        assert user["personalization"]["statefulCodeEnvironment"] == "user"
        assert isinstance(user["personalization"]["_id"], ObjectId)


async def test_projects(olga: Opened) -> None:
    async with olga("projects", "conversations") as o:
        (project,) = (await o.get("/api/projects"))["projects"]
        assert (project["_id"], project["conversationCount"]) == (str(data.PROJECT), 1)
        listed = (await o.get("/api/convos", projectId=str(data.PROJECT)))["conversations"]
        assert [row["conversationId"] for row in listed] == [data.CHAT]
        made = await o.send("POST", "/api/projects", {"name": "Ours"}, 201)
        (row,) = await o.new("chatprojects")
        assert (row["user"], row["conversationCount"]) == (str(data.OLGA), 0)
        move = {"projectId": made["_id"]}
        await o.send("PUT", f"/api/projects/conversations/{data.OLD_CHAT}", move)
        (chat,) = await o.rows("conversations", conversationId=data.OLD_CHAT)
        assert chat["chatProjectId"] == made["_id"]
        assert not faults("conversations", chat)
        for row in await o.rows("chatprojects"):
            assert not faults("chatprojects", row)


async def test_shared_links(olga: Opened) -> None:
    async with olga("share", "conversations", "roles") as o:
        links = (await o.get("/api/share"))["links"]
        assert {link["shareId"] for link in links} == {data.SHARE, data.OLD_SHARE}
        shared = await o.get(f"/api/share/{data.SHARE}")
        assert shared["title"] == "About databases"
        assert shared["messages"][0]["text"] == "What is a database?"
        # A link from before entries is given them on first sight, and loses its old field.
        await o.client.get(f"/api/share/{data.OLD_SHARE}")
        (old,) = await o.rows("sharedlinks", shareId=data.OLD_SHARE)
        assert "isPublic" not in old
        assert not faults("sharedlinks", old)
        entries = [row for row in await o.new("aclentries") if row["resourceId"] == data.OLD_LINK]
        assert sorted(row["principalType"] for row in entries) == ["public", "user"]
        await o.send("DELETE", f"/api/share/{data.SHARE}")
        made = await o.send("POST", f"/api/share/{data.CHAT}", {})
        (row,) = await o.rows("sharedlinks", shareId=made["shareId"])
        assert not faults("sharedlinks", row)
        assert row["messages"] == list(data.MESSAGES)
        await o.new("aclentries")


async def test_favorites(olga: Opened) -> None:
    async with olga("users") as o:
        (favorite,) = await o.get("/api/user/settings/favorites")
        assert (favorite["model"], favorite["endpoint"]) == ("fake", "Fake")
        star = "/api/user/settings/favorites/tools/builtin/web_search"
        assert (await o.client.put(star)).status_code == 200
        (row,) = await o.new("toolfavorites")
        assert (row["user"], row["itemId"]) == (data.OLGA, "web_search")
        await o.unchanged("toolfavorites", "users")


def test_the_data_itself_is_librechats() -> None:
    """The table of fields accepts the documents that it is meant to describe."""
    old = {"projectIds", "isPublic"}
    for collection, documents in data.documents().items():
        if collection in FIELDS:
            for document in documents:
                now = {key: value for key, value in document.items() if key not in old}
                assert not faults(collection, now), (collection, faults(collection, now))
