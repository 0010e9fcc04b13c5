"""Operators of the database in every text that a client may send (security §7)."""

from typing import Any

import pytest

HOSTILE: list[Any] = [
    {"$gt": ""},
    {"$ne": None},
    {"$regex": ".*"},
    ["a"],
    [{"$gt": ""}],
    {"x": {"$where": "1"}},
    7,
    True,
]


async def test_login(someone: Any) -> None:
    await someone.add("ann@example.com")
    for member in ("email", "password"):
        for value in HOSTILE:
            body = {"email": "ann@example.com", "password": "password123", member: value}
            answer = await someone.server.client.post("/api/auth/login", json=body)
            assert 400 <= answer.status_code < 500
            assert "token" not in answer.json()


async def test_register(someone: Any) -> None:
    for member in ("name", "username", "email", "password", "confirm_password", "token"):
        for value in HOSTILE:
            answer = await someone.register("ann@example.com", **{member: value})
            assert 400 <= answer.status_code < 500, member
    assert await someone.rows("users") == []


async def test_forms_are_read_the_same_way(someone: Any) -> None:
    await someone.add("ann@example.com")
    url = "/api/auth/login"
    for form in ("email[$gt]=&password[$gt]=", "email[]=a&password=password123", "email=&x=1"):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await someone.server.client.post(url, content=form, headers=headers)
        assert 400 <= answer.status_code < 500


async def test_malformed_json(someone: Any) -> None:
    answer = await someone.server.client.post(
        "/api/auth/login", content='{"email": ', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "Invalid JSON format",
        "message": "The request body contains malformed JSON",
    }


@pytest.mark.parametrize("password", ["pass\x00word123", "pass\ufffdword123", "🔑" * 30])
async def test_odd_passwords_work(someone: Any, password: str) -> None:
    await someone.register("ann@example.com", password=password, confirm_password=password)
    assert (await someone.login("ann@example.com", password)).status_code == 200
    assert (await someone.login("ann@example.com", "x" + password[1:])).status_code == 404


@pytest.mark.parametrize("query", ["retry[$gt]=", "retry=1&retry=2", "$where=1"])
async def test_queries_of_refresh(someone: Any, query: str) -> None:
    answer = await someone.server.client.post(f"/api/auth/refresh?{query}")
    assert answer.status_code == 200
    assert answer.text == "Refresh token not provided"
