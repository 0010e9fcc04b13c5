"""Who may register on a server that nobody configured."""

import asyncio
from typing import Any

from locutory_testing import Serve

FIELDS = {"username": "", "password": "password123", "confirm_password": "password123"}


def applicant(name: str) -> dict[str, Any]:
    return {"name": name, "email": f"{name}@example.com", **FIELDS}


async def test_the_first_one_may_and_nobody_after(serve: Serve) -> None:
    async with serve("auth", "webclient", database="door") as server:
        try:
            config = (await server.client.get("/api/config")).json()
            assert config["registrationEnabled"] is True
            first = await server.client.post("/api/auth/register", json=applicant("first"))
            assert first.status_code == 200
            login = {"email": "first@example.com", "password": "password123"}
            account = (await server.client.post("/api/auth/login", json=login)).json()["user"]
            assert account["role"] == "ADMIN"
            second = await server.client.post("/api/auth/register", json=applicant("second"))
            assert second.status_code == 403
            config = (await server.client.get("/api/config")).json()
            assert config["registrationEnabled"] is False
            async with serve("auth", "webclient", database="door") as again:
                third = await again.client.post("/api/auth/register", json=applicant("third"))
                assert third.status_code == 403
        finally:
            await server.kernel.database.client.drop_database("door")


async def test_closed_means_closed(serve: Serve) -> None:
    async with serve("auth", environment={"ALLOW_REGISTRATION": "false"}) as server:
        answer = await server.client.post("/api/auth/register", json=applicant("first"))
        assert answer.status_code == 403


async def test_of_many_at_once_one_gets_in(serve: Serve) -> None:
    """Strangers must not slip in beside the administrator of a new server."""
    async with serve("auth", "webclient") as server:
        names = ("ann", "ben", "cleo", "dan", "eve")
        answers = await asyncio.gather(
            *(server.client.post("/api/auth/register", json=applicant(name)) for name in names)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403, 403]
        rows = await server.kernel.database.collection("users").find({}).to_list()
        assert [row["role"] for row in rows] == ["ADMIN"]
        refused = next(answer for answer in answers if answer.status_code == 403)
        assert refused.json() == {"message": "Registration is not allowed."}
