"""Guessing passwords, telling accounts apart, and many sign-ins at once (security §4, §10)."""

import asyncio
import time
from typing import Any

import pytest

from locutory.data.cache import MemoryCache
from locutory_auth.throttle import Throttle

TOO_MANY = {"message": "Too many login attempts, please try again after 5 minutes."}
PROXIED = {"LOCUTORY_TRUSTED_PROXIES": "127.0.0.0/8", "LOCUTORY_ACCOUNT_FAILURES": "3"}


async def sign_in(someone: Any, ip: str, password: str = "wrongwrong1", email: str = "ann") -> Any:
    body = {"email": f"{email}@example.com", "password": password}
    return await someone.post("/api/auth/login", body, **{"x-forwarded-for": ip})


class TestOneAccount:
    """Attempts on one account, each from another address."""

    @pytest.mark.usefixtures("still_cache")
    async def test_is_slowed_down(self, people: Any) -> None:
        async with people(PROXIED) as someone:
            await someone.add("ann@example.com")
            statuses = [
                (await sign_in(someone, f"198.51.100.{number}")).status_code for number in range(12)
            ]
            assert statuses == [404] * 4 + [429] * 8
            answer = await sign_in(someone, "203.0.113.1", "password123")
            assert (answer.status_code, answer.json()) == (429, TOO_MANY)
            assert int(answer.headers["retry-after"]) >= 1
            # Others are not touched, and the account of somebody unknown looks the same.
            await someone.add("bob@example.com")
            good = await sign_in(someone, "198.51.100.1", "password123", "bob")
            assert good.status_code == 200
            nobody = [
                (await sign_in(someone, f"198.51.100.{number}", email="nobody")).status_code
                for number in range(12)
            ]
            assert nobody == statuses

    @pytest.mark.usefixtures("still_cache")
    async def test_many_at_once_do_not_slip_through(self, people: Any) -> None:
        async with people(PROXIED) as someone:
            await someone.add("ann@example.com")
            answers = await asyncio.gather(
                *(sign_in(someone, f"198.51.100.{number}") for number in range(30))
            )
            assert sum(answer.status_code == 404 for answer in answers) == 4

    @pytest.mark.usefixtures("still_cache")
    async def test_its_owner_is_not_locked_out(self, people: Any) -> None:
        """Whoever has signed in from his address before does not wait."""
        async with people(PROXIED) as someone:
            await someone.add("ann@example.com")
            assert (await sign_in(someone, "203.0.113.1", "password123")).status_code == 200
            for number in range(10):
                await sign_in(someone, f"198.51.100.{number}")
            assert (await sign_in(someone, "198.51.100.1", "password123")).status_code == 429
            assert (await sign_in(someone, "203.0.113.1", "password123")).status_code == 200
            # That clears the count.
            assert (await sign_in(someone, "198.51.100.1")).status_code == 404

    async def test_can_be_switched_off(self, people: Any) -> None:
        async with people({**PROXIED, "LOCUTORY_ACCOUNT_FAILURES": "0"}) as someone:
            await someone.add("ann@example.com")
            for number in range(8):
                assert (await sign_in(someone, f"198.51.100.{number}")).status_code == 404

    async def test_waits_grow_and_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        throttle = Throttle(MemoryCache(), "test", 2, 60)
        moment = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: moment)
        assert [await throttle.admit("Ann") for _ in range(3)] == [0, 0, 0]
        assert await throttle.admit(" ann ") == 2
        for _ in range(20):
            wait = await throttle.admit("ann")
        assert wait == 60
        moment += 1.1
        assert await throttle.admit("ann") == 0
        assert await throttle.admit("ann") == 60
        moment += 16 * 60
        assert await throttle.admit("ann") == 0


class TestOneAddress:
    async def test_is_limited_behind_a_proxy(self, people: Any) -> None:
        async with people({**PROXIED, "LOGIN_MAX": "3"}) as someone:
            for number in range(3):
                answer = await sign_in(someone, "198.51.100.1", email=f"x{number}")
                assert answer.status_code == 404
            assert (await sign_in(someone, "198.51.100.1", email="y")).status_code == 429
            # Entries left of the trusted one are the caller's own claims.
            forged = await sign_in(someone, "203.0.113.5, 198.51.100.1", email="z")
            assert forged.status_code == 429
            assert (await sign_in(someone, "198.51.100.2", email="y")).status_code == 404

    async def test_is_limited_without_a_proxy(self, people: Any) -> None:
        environment = {"LOGIN_MAX": "3", "LOCUTORY_TRUSTED_PROXIES": "10.0.0.0/8"}
        async with people(environment) as someone:
            statuses = [
                (await sign_in(someone, f"198.51.100.{number}", email=f"x{number}")).status_code
                for number in range(5)
            ]
            assert statuses == [404, 404, 404, 429, 429]

    async def test_is_a_network_of_ipv6(self, people: Any) -> None:
        async with people({**PROXIED, "LOGIN_MAX": "3"}) as someone:
            statuses = [
                (await sign_in(someone, f"2001:db8::{number}", email=f"x{number}")).status_code
                for number in range(5)
            ]
            assert statuses == [404, 404, 404, 429, 429]


async def test_a_failed_sign_in_tells_nothing_where_wanted(people: Any) -> None:
    async with people({"LOCUTORY_HIDE_ACCOUNTS": "true"}) as someone:
        await someone.add("ann@example.com")
        known = await someone.login("ann@example.com", "wrongwrong1")
        unknown = await someone.login("nobody@example.com", "wrongwrong1")
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
        assert sorted(known.headers) == sorted(unknown.headers)
