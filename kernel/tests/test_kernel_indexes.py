"""Which of the declared indexes a database gets."""

from typing import Any, ClassVar
from uuid import uuid4

import pytest
from beanie import Document
from pymongo import AsyncMongoClient, IndexModel

from locutory.database import Database, indexes_of
from locutory.settings import KernelConfig


class Noted(Document):
    text: str

    class Settings:
        name = "noted"
        indexes: ClassVar[list[IndexModel]] = [IndexModel("text"), IndexModel("tenantId")]
        spare_indexes: ClassVar[frozenset[str]] = frozenset({"tenantId_1"})


async def prepared(uri: str) -> set[str]:
    database = Database()
    await database.open(uri, KernelConfig(), f"test_{uuid4().hex}")
    try:
        await database.prepare({"notes": [Noted]}, create_indexes=True)
        return set(await database[Noted].index_information())
    finally:
        await database.client.drop_database(database.name)
        await database.close()


async def test_spare_indexes_are_for_mongodb(
    database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [index.document["name"] for index in indexes_of(Noted)] == ["text_1", "tenantId_1"]
    assert all(index.document["background"] for index in indexes_of(Noted))
    assert await prepared(database_uri) == {"_id_", "text_1"}

    async def mongodb(_client: Any) -> dict[str, Any]:
        return {"version": "8.2.0"}

    monkeypatch.setattr(AsyncMongoClient, "server_info", mongodb)
    assert await prepared(database_uri) == {"_id_", "text_1", "tenantId_1"}
