"""``GET /api/search/enable`` (contract search §1)."""

from pathlib import Path
from typing import Any

import pytest

from locutory_testing import Serve, SignIn


def bearer(user: str) -> dict[str, str]:
    return {"authorization": f"Bearer {user}"}


@pytest.mark.parametrize(
    ("environment", "answer"),
    [
        ({}, b"true"),
        ({"SEARCH": "true"}, b"true"),
        ({"SEARCH": " TRUE "}, b"true"),
        ({"SEARCH": "false"}, b"false"),
        ({"SEARCH": "yes"}, b"false"),
        ({"MEILI_HOST": "http://127.0.0.1:1"}, b"true"),
        ({"MEILI_HOST": "http://127.0.0.1:1", "MEILI_MASTER_KEY": "k"}, b"false"),
        ({"MEILI_HOST": "http://127.0.0.1:1", "MEILI_MASTER_KEY": "k", "SEARCH": "true"}, b"false"),
        ({"MEILI_HOST": "no address", "MEILI_MASTER_KEY": "k", "SEARCH": "true"}, b"false"),
    ],
)
async def test_enable_is_a_bare_boolean(
    serve: Serve, user: str, environment: dict[str, str], answer: bytes
) -> None:
    async with serve("search", SignIn(), environment=environment) as server:
        found = await server.client.get("/api/search/enable", headers=bearer(user))
        assert (found.status_code, found.content) == (200, answer)
        assert found.headers["content-type"] == "application/json; charset=utf-8"
        assert (await server.client.get("/api/search/enable")).status_code == 401
        odd = await server.client.get("/api/search/enable?q[$ne]=1&q=%00%ff", headers=bearer(user))
        assert odd.content == answer


async def test_without_a_place_to_write_search_is_not_offered(
    serve: Serve, user: str, tmp_path: Path
) -> None:
    (tmp_path / "search").write_text("in the way")
    async with serve("search", SignIn()) as server:
        assert (await server.client.get("/readyz")).status_code == 200
        found = await server.client.get("/api/search/enable", headers=bearer(user))
        assert found.content == b"false"
        (tmp_path / "search").unlink()
        found = await server.client.get("/api/search/enable", headers=bearer(user))
        assert found.content == b"true"


async def test_an_index_that_is_not_used_is_removed(
    serve: Serve, tmp_path: Path, history: Any, kit: Any, user: str
) -> None:
    async with serve("search", history) as server:
        said = await history.say(user, "hidden treasure")
        await kit.until_found(server, user, "treasure", [said["messageId"]])
    assert list((tmp_path / "search").glob("index-*"))
    async with serve("search", history, environment={"SEARCH": "false"}):
        assert not list((tmp_path / "search").glob("index-*"))
