"""Directories that check passwords, the captcha, invitations, and finding people."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from bson import ObjectId

from locutory import JSON, Plugin, Provide, Public, Request, Route, hook
from locutory_contracts.people import PEOPLE
from locutory_contracts.sign_in import PASSWORD_CHECKS, SIGN_INS, Identity, IdentityRefused
from locutory_testing.network import ForwardProxy


class Ldap(Plugin):
    """Knows Ann by the name ``ann`` and the password ``directory1``."""

    name = "directory"
    summary = "A directory; for tests only"
    provides = (PASSWORD_CHECKS,)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    @hook
    def services(self, ctx: Any) -> list[Provide]:
        self._services = ctx.services
        return [Provide(PASSWORD_CHECKS, self, "ldap")]

    async def check(self, name: str, password: str) -> str:
        self.asked.append((name, password))
        if (name, password) != ("ann", "directory1"):
            raise IdentityRefused("auth_failed", "Invalid username/password")
        identity = Identity("ldap", "ldapId", "l1", "ann@example.com", True, fields={"name": "Ann"})
        user: str = await self._services.get(SIGN_INS).adopt(identity, may_register=True)
        return user


class TestDirectory:
    @pytest.fixture
    async def office(self, people: Any) -> Any:
        ldap = Ldap()
        settings = {"LDAP_URL": "ldap://127.0.0.1", "LDAP_USER_SEARCH_BASE": "dc=example"}
        async with people({**settings, "LOCUTORY_ACCOUNT_FAILURES": "4"}, plugins=[ldap]) as one:
            one.ldap = ldap
            yield one

    async def test_decides_alone(self, office: Any) -> None:
        await office.add("bob@example.com")
        answer = await office.login("ann", "directory1")
        assert answer.status_code == 200
        assert answer.json()["user"]["provider"] == "ldap"
        assert (await office.me(answer.json()["token"])).status_code == 200
        # Stored passwords open nothing.
        answer = await office.login("bob@example.com")
        assert (answer.status_code, answer.json()) == (
            404,
            {"message": "Invalid username/password"},
        )

    @pytest.mark.parametrize("password", ["", " ", "\t\n", None, 7, ["x"], {"a": 1}])
    async def test_is_never_asked_with_an_empty_password(self, office: Any, password: Any) -> None:
        body = {"email": "ann", "password": password}
        answer = await office.post("/api/auth/login", body)
        assert (answer.status_code, answer.json()) == (404, {"message": "Missing credentials"})
        body = {"email": password, "password": "directory1"}
        assert (await office.post("/api/auth/login", body)).status_code == 404
        assert office.ldap.asked == []

    @pytest.mark.usefixtures("still_cache")
    async def test_guessing_is_slowed_down_here_too(self, office: Any) -> None:
        statuses = [(await office.login("ann", "wrong")).status_code for _ in range(10)]
        assert 429 in statuses
        assert len(office.ldap.asked) < 10

    async def test_the_second_factor_is_asked_for(self, office: Any) -> None:
        await office.login("ann", "directory1")
        await office.change("ann@example.com", twoFactorEnabled=True)
        office.auth.cache.clear()
        assert "tempToken" in (await office.login("ann", "directory1")).json()


class Turnstile(Plugin):
    """Checks answers as Cloudflare does: ``good`` is good."""

    name = "challenges"
    summary = "Checks answers; for tests only"

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.broken = False

    @hook
    def routes(self) -> list[Route]:
        return [
            Route(
                path="/siteverify",
                methods=("POST",),
                endpoint=self.verify,
                access=Public("a test"),
                summary="Checks an answer",
            )
        ]

    async def verify(self, request: Request) -> JSON:
        self.asked.append(dict(request.fields))
        if self.broken:
            return JSON(b"not json", 502)
        return JSON({"success": request.fields["response"] == "good"})


class TestCaptcha:
    async def test_is_asked_for_where_there_is_a_secret(self, people: Any) -> None:
        cloudflare = Turnstile()
        # It may be any server; here the same one, whose address is known when it runs.
        async with people({"TURNSTILE_SECRET_KEY": "secret"}, plugins=[cloudflare]) as someone:
            await someone.add("ann@example.com")
            captcha = someone.auth.captcha
            captcha._url = f"{someone.server.url}/siteverify"
            body = {"email": "ann@example.com", "password": "password123"}
            failed = {"message": "The captcha was not solved. Please try again."}
            for given in (None, "", "bad", "x" * 5000):
                sent = {**body, "cf-turnstile-response": given}
                for path in ("/api/auth/login", "/api/auth/register"):
                    answer = await someone.post(path, sent)
                    assert (answer.status_code, answer.json()) == (400, failed)
            for field in ("cf-turnstile-response", "turnstileToken"):
                answer = await someone.post("/api/auth/login", {**body, field: "good"})
                assert answer.status_code == 200
            asked = {"secret": "secret", "response": "good", "remoteip": "127.0.0.1"}
            assert cloudflare.asked[-1] == asked
            cloudflare.broken = True
            answer = await someone.post("/api/auth/login", {**body, "turnstileToken": "good"})
            assert answer.status_code == 503

    async def test_is_checked_through_the_proxy(self, people: Any) -> None:
        cloudflare = Turnstile()
        async with ForwardProxy().running() as proxy:
            environment = {"TURNSTILE_SECRET_KEY": "secret", "PROXY": proxy.place}
            async with people(environment, plugins=[cloudflare]) as someone:
                await someone.add("ann@example.com")
                captcha = someone.auth.captcha
                captcha._url = f"{someone.server.url}/siteverify"
                body = {"email": "ann@example.com", "password": "password123"}
                answer = await someone.post("/api/auth/login", {**body, "turnstileToken": "good"})
                assert answer.status_code == 200
                assert proxy.seen == [f"POST {captcha._url}"]

    async def test_is_not_without(self, people: Any) -> None:
        async with people(yaml={"turnstile": {"siteKey": "k"}}) as someone:
            await someone.add("ann@example.com")
            assert (await someone.login("ann@example.com")).status_code == 200


class TestInvitations:
    async def test_open_a_closed_registration_once(self, people: Any) -> None:
        environment = {"ALLOW_REGISTRATION": "false", "DOMAIN_CLIENT": "https://chat.example"}
        async with people(environment) as someone:
            link = httpx2.URL(await someone.auth.invites.invite(" Ann@Example.com"))
            assert (link.host, link.path) == ("chat.example", "/register")
            token = link.params["token"]
            (row,) = await someone.rows("tokens")
            assert row["email"] == "ann@example.com"
            assert "type" not in row
            assert row["token"] != token
            assert timedelta(days=6) < row["expiresAt"] - datetime.now(UTC) < timedelta(days=8)
            answer = await someone.register("bob@example.com", token=token)
            assert (answer.status_code, answer.json()) == (400, {"message": "Invalid invite token"})
            assert (await someone.register("ann@example.com", token=token)).status_code == 200
            assert len(await someone.rows("users")) == 1
            answer = await someone.register("ann@example.com", token=token)
            assert answer.json() == {"message": "Invalid invite token"}
            assert (await someone.register("bob@example.com")).status_code == 403


class TestPeople:
    @pytest.fixture
    async def town(self, someone: Any) -> Any:
        await someone.add("ann@example.com", name="Ann (A+) Example", username="annie")
        await someone.add("bob@example.com", name="Bob", username="bobby", idOnTheSource="src-1")
        await someone.add("cy@example.com", name="Cy", username="cy", tenantId="t1")
        someone.people = someone.server.kernel.services.get(PEOPLE)
        return someone

    async def search(self, town: Any, text: str, limit: int = 10, **options: Any) -> list[str]:
        found = await town.people.search(text, limit, **options)
        assert all("password" not in account and "__v" not in account for account in found)
        return sorted(account["email"] for account in found)

    async def test_search(self, town: Any) -> None:
        ann, bob = "ann@example.com", "bob@example.com"
        assert await self.search(town, "ANNIE") == [ann]
        assert await self.search(town, "bob") == [bob]
        assert await self.search(town, "example.com") == [ann, bob]
        assert len(await self.search(town, "example", 1)) == 1
        assert await self.search(town, "example", tenant="t1") == ["cy@example.com"]
        # Text is text.
        assert await self.search(town, "(a+)") == [ann]
        for pattern in (".*", "^a", "ann|bob", "(?i)ann", "[a-z]", "$", "\\w", "(a+)+$"):
            assert await self.search(town, pattern) == [], pattern
        assert await self.search(town, "") == []
        assert await self.search(town, "bob", 0) == []

    async def test_by_id_address_and_origin(self, town: Any) -> None:
        bob = await town.account("bob@example.com")
        cy = await town.account("cy@example.com")
        ids = [str(bob["_id"]), str(cy["_id"]), str(ObjectId()), "nonsense", ""]
        found = await town.people.find_many(ids)
        assert set(found) == set(ids[:2])
        assert "password" not in found[ids[0]]
        assert await town.people.find_many([]) == {}
        assert (await town.people.by_source_id("src-1"))["_id"] == bob["_id"]
        assert await town.people.by_source_id("src-1", tenant="t1") is None
        assert (await town.people.by_email(" BOB@example.com"))["_id"] == bob["_id"]
        assert await town.people.by_email("cy@example.com") is None
        assert (await town.people.by_email("cy@example.com", tenant="t1"))["_id"] == cy["_id"]
        assert await town.people.by_email("b.b@example.com") is None
