"""The tenant that a trusted proxy names before anybody is signed in (contract kernel §9)."""

from typing import Any

import httpx2
import pytest

ACME = {"x-tenant-id": "acme"}
OTHER = {"x-tenant-id": "other"}
TRUSTED = {"TRUST_TENANT_HEADER": "true"}
ADDRESS = "ann@example.com"


async def register(someone: Any, password: str, **headers: str) -> None:
    form = someone.form(ADDRESS, password=password, confirm_password=password)
    answer = await someone.post("/api/auth/register", form, **headers)
    assert answer.status_code == 200, answer.text


async def sign_in(someone: Any, password: str, **headers: str) -> httpx2.Response:
    body = {"email": ADDRESS, "password": password}
    answer: httpx2.Response = await someone.post("/api/auth/login", body, **headers)
    return answer


async def test_accounts_of_two_tenants(people: Any) -> None:
    async with people(TRUSTED) as someone:
        await someone.add("root@example.com", role="ADMIN")
        await register(someone, "password of acme", **ACME)
        await register(someone, "password of other", **OTHER)
        await register(someone, "password of nobody", **ACME)  # known there
        rows = [row for row in await someone.rows("users") if row["email"] == ADDRESS]
        assert sorted(row["tenantId"] for row in rows) == ["acme", "other"]
        assert {row["role"] for row in rows} == {"USER"}
        for good, bad, headers in (
            ("password of acme", "password of other", ACME),
            ("password of other", "password of acme", OTHER),
        ):
            answer = await sign_in(someone, good, **headers)
            assert answer.status_code == 200
            assert answer.json()["user"]["tenantId"] == headers["x-tenant-id"]
            assert (await sign_in(someone, bad, **headers)).status_code == 404
            assert (await sign_in(someone, good, **{"x-tenant-id": "third"})).status_code == 404


async def test_an_untrusted_proxy_names_nobody(people: Any) -> None:
    async with people() as someone:
        await register(someone, "password of acme", **ACME)
        (row,) = [row for row in await someone.rows("users") if row["email"] == ADDRESS]
        assert "tenantId" not in row
        assert (await sign_in(someone, "password of acme", **OTHER)).status_code == 200


@pytest.mark.parametrize(
    "value", ["", "a b", "__SYSTEM__", "x" * 129, "a/b", "a,b", "{}", "$ne", "a\tb"]
)
async def test_what_is_no_tenant_is_ignored(people: Any, value: str) -> None:
    async with people(TRUSTED) as someone:
        await register(someone, "password of acme", **{"x-tenant-id": value})
        (row,) = [row for row in await someone.rows("users") if row["email"] == ADDRESS]
        assert "tenantId" not in row


async def test_all_characters_of_a_tenant(people: Any) -> None:
    async with people(TRUSTED) as someone:
        await register(someone, "password of acme", **{"X-TENANT-ID": "a-c_M.e1"})
        (row,) = [row for row in await someone.rows("users") if row["email"] == ADDRESS]
        assert row["tenantId"] == "a-c_M.e1"


async def test_sessions_stay_in_their_tenant(people: Any, code_of: Any) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    async with people(TRUSTED) as someone:
        await someone.add(ADDRESS, tenantId="acme")
        answer = await sign_in(someone, "password123", **ACME)
        someone.server.client.cookies.clear()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        refused = await someone.post("/api/auth/refresh", cookie=cookie, **OTHER)
        assert (refused.status_code, refused.headers["location"]) == (302, "/login")
        assert (await someone.post("/api/auth/refresh", cookie=cookie, **ACME)).status_code == 200

        await someone.protect(secret)
        temp = (await sign_in(someone, "password123", **ACME)).json()["tempToken"]
        body = {"tempToken": temp, "token": code_of(secret)}
        verify = "/api/auth/2fa/verify-temp"
        assert (await someone.post(verify, body, **OTHER)).status_code == 401
        assert (await someone.post(verify, body, **ACME)).status_code == 200


async def test_resets_stay_in_their_tenant(people: Any) -> None:
    environment = {
        **TRUSTED,
        "ALLOW_PASSWORD_RESET": "true",
        "LOCUTORY_RESET_LINK_IN_ANSWER": "true",
        "RESET_PASSWORD_MAX": "100",
    }
    async with people(environment) as someone:
        for tenant in ("acme", "other"):
            await someone.add(ADDRESS, tenantId=tenant)
        request, reset = "/api/auth/requestPasswordReset", "/api/auth/resetPassword"
        body = {"email": ADDRESS}
        assert "message" in (await someone.post(request, body, **{"x-tenant-id": "third"})).json()
        link = httpx2.URL((await someone.post(request, body, **OTHER)).json()["link"])
        form = {
            "userId": link.params["userId"],
            "token": link.params["token"],
            "password": "new password 1",
            "confirm_password": "new password 1",
        }
        assert (await someone.post(reset, form, **ACME)).status_code == 400
        assert (await someone.post(reset, form, **OTHER)).status_code == 200
        assert (await sign_in(someone, "new password 1", **OTHER)).status_code == 200
        assert (await sign_in(someone, "new password 1", **ACME)).status_code == 404
