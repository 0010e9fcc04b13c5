"""A server with links, people who use it, and files on disk."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from beanie import Document
from bson import ObjectId

from locutory import (
    AUTHENTICATORS,
    Context,
    Plugin,
    Principal,
    Provide,
    Request,
    Unauthorized,
    hook,
)
from locutory.data.database import Collection
from locutory_contracts.conversations import NO_PARENT
from locutory_contracts.files import (
    FILES,
    FileMissing,
    FilePreview,
    FileRecord,
    NotReadable,
    OpenedFile,
)
from locutory_testing import Serve, Server, SignIn


def moment(**ago: float) -> datetime:
    """A moment in the past (or the future), in whole milliseconds."""
    found = datetime.now(UTC) - timedelta(**ago)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


class StoredFile(Document):
    """A record of a file."""

    file_id: str

    class Settings:
        name = "files"


class FilesOnDisk(Plugin):
    """Files in a folder, as a files plugin would keep them. ``opened`` counts open ones."""

    name = "diskfiles"
    summary = "Files in a folder; for tests only"
    provides = (FILES,)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.opened = 0

    @hook
    def documents(self) -> list[type[Document]]:
        return [StoredFile]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self._database = ctx.database
        return [Provide(FILES, self)]

    async def put(self, user: str, body: bytes, **fields: Any) -> str:
        """Store a file; returns its ``file_id``."""
        file_id = str(uuid4())
        (self._folder / file_id).write_bytes(body)
        record = {
            "user": ObjectId(user),
            "file_id": file_id,
            "filename": "picture.png",
            "filepath": f"/uploads/{user}/{file_id}",
            "type": "image/png",
            "bytes": len(body),
            "source": "local",
            "text": "secret text",
            "createdAt": moment(),
            "updatedAt": moment(),
            "__v": 0,
            **fields,
        }
        await self._database[StoredFile].insert_one(record)
        return file_id

    async def change(self, file_id: str, **fields: Any) -> None:
        await self._database[StoredFile].update_one({"file_id": file_id}, {"$set": fields})

    async def drop(self, file_id: str) -> None:
        await self._database[StoredFile].delete_one({"file_id": file_id})

    def lose(self, file_id: str) -> None:
        """The bytes are gone, the record stays."""
        (self._folder / file_id).unlink()

    async def find(self, user: str, file_ids: Sequence[str]) -> Mapping[str, FileRecord]:
        if not ObjectId.is_valid(user):
            return {}
        key = {"user": ObjectId(user), "file_id": {"$in": list(file_ids)}}
        found = self._database[StoredFile].find(key, {"text": 0})
        return {record["file_id"]: record async for record in found}

    async def open(self, record: FileRecord) -> OpenedFile:
        if record["source"] == "azure_blob":
            raise NotReadable
        path = self._folder / record["file_id"]
        if not path.exists():
            raise FileMissing
        self.opened += 1

        async def chunks() -> AsyncIterator[bytes]:
            body = path.read_bytes()
            for start in range(0, len(body), 1000):
                yield body[start : start + 1000]

        async def close() -> None:
            self.opened -= 1

        return OpenedFile(chunks(), path.stat().st_size, close)

    async def address(self, record: FileRecord, filename: str) -> str | None:
        return f"https://store.example/{record['file_id']}?name={filename}"

    async def preview(self, user: str, file_id: str) -> FilePreview | None:
        key = {"user": ObjectId(user), "file_id": file_id}
        record = await self._database[StoredFile].find_one(key)
        if record is None:
            return None
        return FilePreview(
            record.get("status") or "ready",
            record.get("text"),
            record.get("textFormat"),
            record.get("previewError"),
        )


class CookieSignIn(Plugin):
    """Knows people by a cookie ``refreshToken``, as the auth plugin could."""

    name = "cookies"
    summary = "Signs in whoever the cookie names; for tests only"
    provides = (AUTHENTICATORS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AUTHENTICATORS, self, "cookie")]

    async def authenticate(self, request: Request) -> Principal:
        user = request.cookies.get("refreshToken", "")
        if not ObjectId.is_valid(user):
            raise Unauthorized
        return Principal(id=user)


class Offer(Plugin):
    """Provides given values; for tests only."""

    name = "offer"
    summary = "Provides services that other plugins would"

    def __init__(self, *offers: Provide) -> None:
        self._offers = offers
        self.provides = tuple(offer.key for offer in offers)  # type: ignore[misc]  # each offers its own

    @hook
    def services(self) -> list[Provide]:
        return list(self._offers)


@dataclass(slots=True)
class Person:
    """Somebody who may be signed in; ``id`` is empty for a stranger."""

    client: httpx2.AsyncClient
    id: str = field(default_factory=lambda: str(ObjectId()))
    role: str = "USER"

    async def call(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx2.Response:
        """Send a request; ``body`` goes as JSON."""
        headers = dict(options.pop("headers", {}))
        if self.id:
            headers["authorization"] = f"Bearer {self.id}:{self.role}"
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        """GET with a query."""
        return await self.call("GET", path, params=query or None)

    async def share(self, conversation_id: str, **body: Any) -> dict[str, Any]:
        """Make a link."""
        answer = await self.call("POST", f"/api/share/{conversation_id}", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def read(self, share_id: str) -> dict[str, Any]:
        """Open a link."""
        answer = await self.get(f"/api/share/{share_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@dataclass(slots=True)
class World:
    """A server, people, and short cuts into the database."""

    server: Server
    alice: Person
    bob: Person
    stranger: Person
    files: FilesOnDisk

    def collection(self, name: str) -> Collection:
        return self.server.kernel.database.collection(name)

    def person(self, role: str = "USER") -> Person:
        """Somebody new."""
        return Person(self.server.client, role=role)

    async def chat(self, user: str, *texts: str, **fields: Any) -> str:
        """A stored conversation, question and answer in turn; returns its id."""
        conversation_id = str(uuid4())
        document = {
            "conversationId": conversation_id,
            "user": user,
            "__v": 0,
            "title": "A chat",
            "endpoint": "openAI",
            "messages": [],
            "isTemporary": False,
            "createdAt": moment(),
            "updatedAt": moment(),
            **fields,
        }
        await self.collection("conversations").insert_one(document)
        parent = NO_PARENT
        for number, text in enumerate(texts):
            parent = await self.say(
                user,
                conversation_id,
                parent,
                text=text,
                isCreatedByUser=number % 2 == 0,
                createdAt=moment(seconds=100 - number),
            )
        return conversation_id

    async def say(self, user: str, conversation_id: str, parent: str, **fields: Any) -> str:
        """A stored message; returns its id."""
        message = {
            "messageId": str(uuid4()),
            "conversationId": conversation_id,
            "user": user,
            "parentMessageId": parent,
            "__v": 0,
            "sender": "User",
            "text": "Hello",
            "isCreatedByUser": True,
            "createdAt": moment(),
            "updatedAt": moment(),
            **fields,
        }
        await self.collection("messages").insert_one(message)
        return str(message["messageId"])

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """Stored messages, oldest first."""
        found = self.collection("messages").find({"conversationId": conversation_id})
        return await found.sort([("createdAt", 1)]).to_list()

    async def link(self, share_id: str) -> dict[str, Any]:
        """A stored link."""
        found = await self.collection("sharedlinks").find_one({"shareId": share_id})
        assert found is not None
        return found

    async def links(self, **key: Any) -> list[dict[str, Any]]:
        """Stored links."""
        return await self.collection("sharedlinks").find(key).to_list()

    async def entries(self, link_id: Any) -> list[dict[str, Any]]:
        """Access entries of a link."""
        key = {"resourceId": ObjectId(link_id), "resourceType": "sharedLink"}
        return await self.collection("aclentries").find(key).to_list()

    async def grant(self, link_id: str, person: Person, bits: int = 1, **fields: Any) -> None:
        """Let somebody read a link."""
        await self.collection("aclentries").insert_one(
            {
                "principalType": "user",
                "principalId": ObjectId(person.id),
                "principalModel": "User",
                "resourceType": "sharedLink",
                "resourceId": ObjectId(link_id),
                "permBits": bits,
                "grantedAt": moment(),
                **fields,
            }
        )

    async def make_private(self, link_id: str) -> None:
        """Take the entry for everybody away."""
        key = {"resourceId": ObjectId(link_id), "principalType": "public"}
        await self.collection("aclentries").delete_many(key)


MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def make_world(serve: Serve, tmp_path: Path) -> MakeWorld:
    """``async with make_world(environment={…}, without={"roles"}) as world: …``"""

    @asynccontextmanager
    async def make(
        *plugins: Plugin | str, without: Sequence[str] = (), **options: Any
    ) -> AsyncIterator[World]:
        folder = tmp_path / "stored"
        folder.mkdir(exist_ok=True)
        files = FilesOnDisk(folder)
        chosen: list[Plugin | str] = ["share", "conversations", "roles"]
        chosen = [name for name in chosen if name not in without]
        if "files" not in without:
            chosen.append(files)
        if "signin" not in without:
            chosen.append(SignIn())
        async with serve(*chosen, *plugins, **options) as server:
            client = server.client
            yield World(server, Person(client), Person(client), Person(client, ""), files)

    return make


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    """Links as they are without any setting."""
    async with make_world() as world:
        yield world


class Kit:
    """What tests build with."""

    offer = Offer
    cookies = CookieSignIn
    moment = staticmethod(moment)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
