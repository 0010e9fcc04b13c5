"""What is found to be wrong, and how many documents there are."""

from typing import Any

import pytest

from locutory_transfer import Progress, check, copy, count


async def test_counts(kind: str, opened: Any) -> None:
    database = await opened(kind, "a")
    await database["notes"].insert_many([{"n": n} for n in range(30)])
    await database.create_collection("empty")
    assert await count(database) == {"empty": 0, "notes": 30}


@pytest.mark.slow
async def test_a_server_validates(opened: Any) -> None:
    database = await opened("mongodb", "a")
    await database["notes"].insert_many([{"n": n} for n in range(30)])
    await database.create_collection("view", viewOn="notes", pipeline=[])
    assert await check(database) == []


async def test_an_unfinished_copy_is_told(opened: Any) -> None:
    source, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    await source["notes"].insert_one({"n": 1})

    def fail(_progress: Progress) -> None:
        raise KeyError("broken off")

    with pytest.raises(KeyError):
        await copy(source, target, origin="a", progress=fail)
    assert (await check(target))[0] == "The database is an unfinished copy of a."
