"""OpenID together with the bundled plugins for accounts and roles (contract oauth §5.3-§5.5)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from bson import ObjectId

from locutory_contracts.sign_in import SIGN_INS
from locutory_oauth.plugin import OAuthPlugin
from locutory_testing import Serve, Server

CLIENT = "http://localhost:3080"
REUSE = {"OPENID_REUSE_TOKENS": "true", "OPENID_USE_END_SESSION_ENDPOINT": "true"}
STALE = {"OPENID_REUSE_MAX_SESSION_AGE_MS": "0"}
WEEK = timedelta(days=7)


class House:
    """A server with all three plugins, and a browser on it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.browser = server.client

    def rows(self, name: str) -> Any:
        return self.server.kernel.database.collection(name)

    async def account(self, **chosen: Any) -> dict[str, Any]:
        found = await self.rows("users").find_one(chosen)
        assert found is not None
        return dict(found)

    async def arrive(self, issuer: Any, subject: str = "ada", **claims: Any) -> httpx2.Response:
        """Sign in at the provider and come back."""
        start = await self.browser.get("/oauth/openid")
        claims = {"email": f"{subject}@x.org", "email_verified": True, **claims}
        back = issuer.agree(start.headers["location"], subject, **claims)
        return await self.browser.get(back.removeprefix(CLIENT))

    async def refresh(self, **cookies: str) -> httpx2.Response:
        return await self.browser.post("/api/auth/refresh", headers=_cookie_header(cookies))

    async def me(self, token: str, **cookies: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}", **_cookie_header(cookies)}
        return await self.browser.get("/api/auth/sessions", headers=headers)

    async def logout(self, token: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        return await self.browser.post("/api/auth/logout", headers=headers)

    def cookies(self) -> dict[str, str]:
        return dict(self.browser.cookies)


def _cookie_header(cookies: Mapping[str, str]) -> dict[str, str]:
    pairs = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"cookie": pairs} if pairs else {}


@pytest.fixture
def house(serve: Serve) -> Any:
    """``async with house({...}) as found:`` — the three plugins on one server."""

    @asynccontextmanager
    async def start(
        environment: Mapping[str, str], addresses: Mapping[str, str] | None = None
    ) -> AsyncIterator[House]:
        given = {"ALLOW_SOCIAL_LOGIN": "true", "LOGIN_MAX": "1000", **environment}
        async with serve("auth", "roles", OAuthPlugin(addresses), environment=given) as server:
            yield House(server)

    return start


class TestReusedTokens:
    """``OPENID_REUSE_TOKENS``: the provider's tokens are the session."""

    async def test_from_sign_in_to_logging_out(self, house: Any, issuer: Any) -> None:
        async with house(issuer.settings(**REUSE, **STALE)) as found:
            arrival = await found.arrive(issuer)
            assert arrival.headers["location"] == CLIENT
            first = found.cookies()
            assert first["token_provider"] == "openid"
            assert await found.rows("sessions").count_documents({}) == 0

            refreshed = await found.refresh()
            assert refreshed.status_code == 200
            assert refreshed.json()["user"]["email"] == "ada@x.org"
            assert "password" not in refreshed.json()["user"]
            second, token = found.cookies(), refreshed.json()["token"]
            assert second["refreshToken"] != first["refreshToken"]
            assert list(issuer.refresh_tokens) == [second["refreshToken"]]
            assert (await found.me(token)).json() == {"sessions": []}

            answer = await found.logout(token)
            assert answer.json()["message"] == "Logout successful"
            away = urlsplit(answer.json()["redirect"])
            assert f"{away.scheme}://{away.netloc}{away.path}" == f"{issuer.address}/logout"
            assert parse_qs(away.query)["id_token_hint"] == [token]
            assert found.cookies() == {}
            assert issuer.revoked == [second["refreshToken"]]

            # Whoever kept the cookies and the token gets nothing for them.
            for kept in (first, second):
                assert (await found.refresh(**kept)).status_code == 403
                assert (await found.me(token, **kept)).status_code == 401
            assert (await found.me(token)).status_code == 401
            assert (await found.refresh()).text == "Refresh token not provided"

    async def test_a_provider_that_cannot_be_reached_keeps_nobody_in(
        self, house: Any, issuer: Any
    ) -> None:
        async with house(issuer.settings(**REUSE)) as found:
            await found.arrive(issuer)
            token = (await found.refresh()).json()["token"]
            kept, issuer.revocation_status = found.cookies(), 503
            assert (await found.logout(token)).status_code == 200
            assert (await found.refresh(**kept)).status_code == 403

    async def test_many_tabs_refresh_at_once(self, house: Any, issuer: Any) -> None:
        issuer.life = 20  # about to expire
        async with house(issuer.settings(**REUSE)) as found:
            await found.arrive(issuer)
            kept, issuer.life = found.cookies(), 3600
            answers = await asyncio.gather(*(found.refresh(**kept) for _ in range(8)))
            assert {answer.status_code for answer in answers} == {200}
            assert len({a.json()["token"] for a in answers}) == 1

    async def test_ending_all_sessions_ends_these_too(self, house: Any, issuer: Any) -> None:
        async with house(issuer.settings(**REUSE)) as found:
            await found.arrive(issuer)
            token, kept = (await found.refresh()).json()["token"], found.cookies()
            user = str((await found.account())["_id"])
            await found.server.kernel.services.get(SIGN_INS).close_all(user)
            assert (await found.me(token)).status_code == 401
            assert (await found.refresh()).status_code == 403
            # The note outlives the cookies: nothing else here could refuse them.
            note = await found.rows("locutory_revocations").find_one({"_id": ObjectId(user)})
            assert note["expiration"] > datetime.now(UTC) + WEEK
            await asyncio.sleep(0.01)
            await found.arrive(issuer)
            assert (await found.refresh()).status_code == 200
            assert (await found.refresh(**kept)).status_code == 403

    async def test_the_account_decides_too(self, house: Any, issuer: Any) -> None:
        settings = issuer.settings(**REUSE, BAN_VIOLATIONS="true")
        async with house({**settings, "LOCUTORY_AUTH_ACCOUNT_CACHE_SECONDS": "0"}) as found:
            await found.arrive(issuer)
            token = (await found.refresh()).json()["token"]
            user = (await found.account())["_id"]
            auth = next(p for p in found.server.kernel.plugins if p.name == "auth").container
            await auth.bans.put("general", 20, 60, user=str(user))
            auth.cache.clear()
            text = "Your account has been temporarily banned due to violations of our service."
            for answer in (await found.refresh(), await found.arrive(issuer)):
                assert answer.status_code == 403
                assert answer.json() == {"message": text}
            await auth.bans.lift(str(user))
            change = {"$set": {"agentTriggerDeletionStartedAt": datetime.now(UTC)}}
            await found.rows("users").update_one({"_id": user}, change)
            auth.cache.clear()
            for answer in (await found.refresh(), await found.me(token)):
                assert answer.status_code == 401
                assert answer.json()["code"] == "ACCOUNT_DELETION_IN_PROGRESS"
            await found.rows("users").delete_many({})
            auth.cache.clear()
            assert (await found.refresh()).status_code == 302
            assert (await found.me(token)).status_code == 401

    async def test_a_token_of_somebody_else(self, house: Any, issuer: Any) -> None:
        async with house(issuer.settings(**REUSE)) as found:
            await found.arrive(issuer, "bob")
            bob = (await found.refresh()).json()["token"]
            found.browser.cookies.clear()
            await found.arrive(issuer, "ada")
            ada, kept = (await found.refresh()).json()["token"], found.cookies()
            assert (await found.me(ada)).status_code == 200
            assert (await found.me(bob)).status_code == 401
            for changes in (
                {"openid_user_id": "nonsense"},
                {"openid_user_id": kept["refreshToken"]},
                {"token_provider": "librechat"},
                {"token_provider": "session"},
                {"token_provider": "nobody"},
            ):
                assert (await found.me(ada, **{**kept, **changes})).status_code == 401
            expired = issuer.token(issuer.claims("locutory", sub="ada", exp=1))
            answer = await found.me(expired)
            assert (answer.status_code, answer.json()) == (401, {"message": "jwt expired"})

    async def test_a_session_of_ours_beside_it(self, house: Any, issuer: Any) -> None:
        """After the provider's token the local one is tried, whatever the cookie says."""
        async with house(issuer.settings(**REUSE)) as found:
            await found.arrive(issuer)
            user = str((await found.account())["_id"])
            opened = await found.server.kernel.services.get(SIGN_INS).open(user)
            listed = await found.me(opened.access_token)
            assert [each["current"] for each in listed.json()["sessions"]] == [True]
            token = (await found.refresh()).json()["token"]
            listed = await found.me(token)
            assert [each["current"] for each in listed.json()["sessions"]] == [False]


async def test_a_usual_session(house: Any, oidc: Any) -> None:
    """Sign-in at a provider that is not ours."""
    await oidc.add("eva", email="eva@example.com", email_verified=True, name="Eva")
    async with house(oidc.settings()) as found:
        start = await found.browser.get("/oauth/openid")
        back = await oidc.agree(start.headers["location"], "eva")
        arrival = await found.browser.get(back.removeprefix(CLIENT))
        assert arrival.headers["location"] == CLIENT
        refreshed = await found.refresh()
        assert refreshed.json()["user"]["provider"] == "openid"
        token = refreshed.json()["token"]
        (session,) = (await found.me(token)).json()["sessions"]
        assert session["ip"]
        assert "Mozilla" in session["userAgent"]
        assert "redirect" not in (await found.logout(token)).json()
        assert await found.rows("sessions").count_documents({}) == 0


async def test_with_a_real_provider_tokens_turn(house: Any, oidc: Any) -> None:
    await oidc.add("ivo", email="ivo@example.com")
    async with house(oidc.settings(**REUSE, **STALE)) as found:
        start = await found.browser.get("/oauth/openid")
        back = await oidc.agree(start.headers["location"], "ivo")
        await found.browser.get(back.removeprefix(CLIENT))
        token = (await found.refresh()).json()["token"]
        assert (await found.me(token)).status_code == 200
        away = (await found.logout(token)).json()["redirect"]
        assert away.startswith(f"{oidc.issuer}/")
        async with httpx2.AsyncClient(trust_env=False) as client:
            assert (await client.get(away)).status_code < 400


SYNC = {
    "OPENID_ROLE_SYNC_ENABLED": "true",
    "OPENID_ROLE_SYNC_CLAIM": "roles",
    "OPENID_ROLE_SYNC_ROLE_PRIORITY": "Editors, Readers",
    "OPENID_ROLE_SYNC_FALLBACK_ROLE": "USER",
}


async def test_roles_that_are_stored(house: Any, issuer: Any) -> None:
    async with house(issuer.settings(**SYNC)) as found:
        await found.rows("roles").insert_one({"name": "editors", "permissions": {}})
        for roles, role in ((["EDITORS"], "editors"), ([], "USER"), (["editors"], "editors")):
            assert (await found.arrive(issuer, roles=roles)).headers["location"] == CLIENT
            assert (await found.account())["role"] == role
        refused = await found.arrive(issuer, "bob", roles=["readers"])
        assert refused.headers["location"].endswith("error=auth_failed")
        assert await found.rows("users").count_documents({}) == 1


async def test_roles_of_a_tenant(house: Any, issuer: Any) -> None:
    async with house(issuer.settings(**SYNC, TRUST_TENANT_HEADER="true")) as found:
        await found.rows("roles").insert_one(
            {"name": "Editors", "permissions": {}, "tenantId": "acme"}
        )
        assert (await found.arrive(issuer, roles=["editors"])).headers["location"] != CLIENT
        found.browser.headers["x-tenant-id"] = "acme"
        assert (await found.arrive(issuer, roles=["editors"])).headers["location"] == CLIENT
        account = await found.account()
        assert (account["role"], account["tenantId"]) == ("Editors", "acme")


async def test_administrator_by_claim_and_no_more(house: Any, issuer: Any) -> None:
    rule = {
        "OPENID_ADMIN_ROLE": "boss",
        "OPENID_ADMIN_ROLE_PARAMETER_PATH": "roles",
        "OPENID_ADMIN_ROLE_TOKEN_KIND": "id",
    }
    async with house(issuer.settings(**rule)) as found:
        for roles, role in ((["x"], "USER"), (["boss"], "ADMIN"), ([], "USER")):
            assert (await found.arrive(issuer, roles=roles)).headers["location"] == CLIENT
            assert (await found.account())["role"] == role


async def test_groups_of_the_directory(house: Any, issuer: Any) -> None:
    settings = issuer.settings(OPENID_REUSE_TOKENS="true", USE_ENTRA_ID_FOR_PEOPLE_SEARCH="true")
    async with house(settings, {"graph": issuer.address}) as found:
        groups = found.rows("groups")
        for name in ("g1", "g2"):
            row: dict[str, Any] = {
                "name": name,
                "source": "entra",
                "idOnTheSource": name,
                "memberIds": [],
            }
            await groups.insert_one(row)
        for ids in (["g1", "unknown"], ["g2"], []):
            issuer.graph["getMemberGroups"] = ids
            arrival = await found.arrive(issuer, oid="oid-1")
            assert arrival.headers["location"] == CLIENT
            rows = await groups.find({"memberIds": "oid-1"}).to_list()
            assert [row["name"] for row in rows] == [name for name in ids if name != "unknown"]
