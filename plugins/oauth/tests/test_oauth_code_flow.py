"""GitHub, Discord and Facebook (contract oauth §2, §4)."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
VERSION = "v23.0"

SETTINGS = {
    f"{name}_CLIENT_{part}": f"{name.lower()}-{part.lower()}"
    for name in ("GITHUB", "DISCORD", "FACEBOOK")
    for part in ("ID", "SECRET")
}


@dataclass
class Services:
    """The three services at one address. ``profiles``: what they say, by path."""

    address: str = ""
    profiles: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    profile_requests: list[Request] = field(default_factory=list)
    token: Any = None

    @property
    def addresses(self) -> dict[str, str]:
        return dict.fromkeys(("github", "discord", "facebook"), self.address)

    def agree(self, location: str) -> str:
        sent = dict(parse_qsl(urlsplit(location).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = sent
        return f"{sent['redirect_uri']}?{urlencode({'code': code, 'state': sent['state']})}"

    async def exchange(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append(form)
        sent = self.codes.pop(form.get("code", ""), None)
        if self.token is not None:
            return PlainTextResponse(self.token, 200)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if sent is None or sent["code_challenge"] != challenge:
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse({"access_token": "token-1", "token_type": "bearer", "scope": "x"})

    async def profile(self, request: Request) -> Response:
        self.profile_requests.append(request)
        assert request.headers["authorization"] == "Bearer token-1"
        found = self.profiles.get(request.url.path)
        return JSONResponse(found) if found is not None else PlainTextResponse("no", 404)

    def routes(self) -> list[Route]:
        tokens = (
            "/login/oauth/access_token",
            "/api/oauth2/token",
            f"/{VERSION}/oauth/access_token",
        )
        return [
            *(Route(path, self.exchange, methods=["POST"]) for path in tokens),
            Route("/{path:path}", self.profile),
        ]


@pytest.fixture
async def services(listen: Any) -> AsyncIterator[Services]:
    made = Services()
    async with listen(made.routes()) as address:
        made.address = address
        yield made


async def arrive(found: Any, services: Services, name: str) -> httpx2.Response:
    response: httpx2.Response = await found.come_back(services.agree(await found.start(name)))
    return response


GITHUB = {
    "/api/v3/user": {
        "id": 42,
        "login": "ada",
        "name": "Ada Lovelace",
        "email": "public@x.org",
        "avatar_url": "https://avatars.example/42",
    },
    "/api/v3/user/emails": [
        {"email": "old@x.org", "verified": True, "primary": False},
        {"email": "ada@x.org", "verified": True, "primary": True},
    ],
}


async def test_github(site: Any, services: Services) -> None:
    services.profiles = GITHUB
    async with site(SETTINGS, addresses=services.addresses) as found:
        location = await found.start("github")
        assert location.startswith(f"{services.address}/login/oauth/authorize?")
        sent = dict(parse_qsl(urlsplit(location).query))
        assert sent["scope"] == "user:email read:user"
        assert sent["redirect_uri"] == f"{CLIENT}/oauth/github/callback"
        assert sent["code_challenge_method"] == "S256"
        back = await found.come_back(services.agree(location))
        assert back.headers["location"] == CLIENT
        account = await found.people.only()
        assert account["githubId"] == "42"
        assert account["email"] == "ada@x.org"
        assert account["emailVerified"] is True
        assert account["username"] == "ada"
        assert account["name"] == "Ada Lovelace"
        assert account["avatar"] == "https://avatars.example/42"
        assert services.asked[0]["client_secret"] == "github-secret"


@pytest.mark.parametrize(
    ("emails", "chosen", "verified"),
    [
        ([{"email": "a@x.org", "primary": True, "verified": False}], "a@x.org", False),
        (
            [
                {"email": "a@x.org", "primary": True, "verified": False},
                {"email": "b@x.org", "primary": False, "verified": True},
            ],
            "b@x.org",
            True,
        ),
        ([], None, False),
        ({"message": "Not Found"}, None, False),
    ],
)
async def test_github_addresses(
    site: Any, services: Services, emails: Any, chosen: str | None, verified: bool
) -> None:
    services.profiles = {**GITHUB, "/api/v3/user/emails": emails}
    async with site(SETTINGS, addresses=services.addresses) as found:
        back = await arrive(found, services, "github")
        if chosen is None:
            assert back.headers["location"] == FAILED
            return
        assert found.people.identities[0].email == chosen
        assert found.people.identities[0].email_verified is verified


async def test_who_tells_no_address(site: Any, services: Services, logged: Any) -> None:
    """Nobody gets a new account; whoever is known by the id comes in. A GitHub App may lack
    the permission for addresses (404), people of Facebook and Discord need not have one."""
    user = f"/{VERSION}/me"
    services.profiles = {
        "/api/v3/user": {"id": 42, "login": "ada", "email": "shown@x.org"},
        "/api/users/@me": {"id": "7", "username": "ada", "email": None},
        user: {"id": "77", "name": "Ada"},
    }
    async with site(SETTINGS, addresses=services.addresses) as found:
        for name, own in (("github", "42"), ("discord", "7"), ("facebook", "77")):
            assert (await arrive(found, services, name)).headers["location"] == FAILED
            known = {"provider": name, f"{name}Id": own, "email": f"{name}@x.org"}
            await found.people.add(**known)
            assert (await arrive(found, services, name)).headers["location"] == CLIENT
        assert await found.people.count() == 3
    assert set(logged.codes()) == {"no_address"}
    assert "the permission to read e-mail addresses" in logged.text()


async def test_github_enterprise(site: Any, services: Services) -> None:
    services.profiles = GITHUB
    settings = {
        **SETTINGS,
        "GITHUB_ENTERPRISE_BASE_URL": services.address,
        "GITHUB_ENTERPRISE_USER_AGENT": "Our-Agent",
        "GITHUB_CALLBACK_URL": "/oauth/github/callback?x=1",
    }
    async with site(settings) as found:
        location = await found.start("github")
        assert location.startswith(f"{services.address}/login/oauth/authorize?")
        await found.come_back(services.agree(location).replace("?x=1?", "?"))
        assert services.profile_requests[0].headers["user-agent"] == "Our-Agent"
        assert (await found.people.only())["githubId"] == "42"


DISCORD = {
    "id": "80351110224678912",
    "username": "nelly",
    "global_name": "Nelly",
    "discriminator": "1337",
    "avatar": None,
    "email": "nelly@x.org",
    "verified": True,
}


@pytest.mark.parametrize(
    ("changes", "picture"),
    [
        ({}, "https://cdn.discordapp.com/embed/avatars/2.png"),
        ({"discriminator": "0"}, "https://cdn.discordapp.com/embed/avatars/0.png"),
        (
            {"avatar": "f00"},
            "https://cdn.discordapp.com/avatars/80351110224678912/f00.png",
        ),
        (
            {"avatar": "a_f00"},
            "https://cdn.discordapp.com/avatars/80351110224678912/a_f00.gif",
        ),
    ],
)
async def test_discord(
    site: Any, services: Services, changes: dict[str, Any], picture: str
) -> None:
    services.profiles = {"/api/users/@me": {**DISCORD, **changes}}
    async with site(SETTINGS, addresses=services.addresses) as found:
        location = await found.start("discord")
        sent = dict(parse_qsl(urlsplit(location).query))
        assert sent["prompt"] == "none"
        assert sent["scope"] == "identify email"
        back = await found.come_back(services.agree(location))
        assert back.headers["location"] == CLIENT
        account = await found.people.only()
        assert account["discordId"] == "80351110224678912"
        assert account["username"] == "nelly"
        assert account["name"] == "Nelly"
        assert account["avatar"] == picture


async def test_discord_address_that_nobody_verified(site: Any, services: Services) -> None:
    """Discord lets people sign up with somebody else's address."""
    services.profiles = {"/api/users/@me": {**DISCORD, "verified": False}}
    async with site(SETTINGS, addresses=services.addresses) as found:
        await found.people.add(email="nelly@x.org", provider="discord")
        assert (await arrive(found, services, "discord")).headers["location"] == FAILED


async def test_facebook(site: Any, services: Services) -> None:
    services.profiles = {
        f"/{VERSION}/me": {
            "id": "77",
            "name": "Ada L.",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@x.org",
            "picture": {"data": {"url": "https://fb.example/77.jpg"}},
        }
    }
    async with site(SETTINGS, addresses=services.addresses) as found:
        location = await found.start("facebook")
        assert urlsplit(location).path == f"/{VERSION}/dialog/oauth"
        sent = dict(parse_qsl(urlsplit(location).query))
        assert "public_profile" in sent["scope"].split()
        back = await found.come_back(services.agree(location))
        assert back.headers["location"] == CLIENT
        account = await found.people.only()
        assert account["facebookId"] == "77"
        assert account["username"] == "Ada L."
        assert account["name"] == "Ada Lovelace"
        assert account["avatar"] == "https://fb.example/77.jpg"
        proof = hmac.digest(b"facebook-secret", b"token-1", "sha256").hex()
        assert services.profile_requests[0].query_params["appsecret_proof"] == proof


@pytest.mark.parametrize("profile", [{"id": "77"}, {"email": "a@x.org"}, {"id": True}, ["x"]])
async def test_profile_that_says_too_little(site: Any, services: Services, profile: Any) -> None:
    services.profiles = {f"/{VERSION}/me": profile}
    async with site(SETTINGS, addresses=services.addresses) as found:
        assert (await arrive(found, services, "facebook")).headers["location"] == FAILED
        assert await found.people.count() == 0


@pytest.mark.parametrize("token", ["", "not json", "[]", '{"access_token": 7}', "{}"])
async def test_token_endpoint_that_talks_nonsense(
    site: Any, services: Services, token: str
) -> None:
    services.token = token
    async with site(SETTINGS, addresses=services.addresses) as found:
        assert (await arrive(found, services, "github")).headers["location"] == FAILED


async def test_service_that_is_down(site: Any) -> None:
    addresses = {"github": "http://127.0.0.1:9"}
    async with site(SETTINGS, addresses=addresses) as found:
        sent = dict(parse_qsl(urlsplit(await found.start("github")).query))
        back = await found.come_back(f"{CLIENT}/oauth/github/callback?code=x&state={sent['state']}")
        assert back.headers["location"] == FAILED


async def test_code_is_good_once(site: Any, services: Services) -> None:
    services.profiles = GITHUB
    async with site(SETTINGS, addresses=services.addresses) as found:
        location = services.agree(await found.start("github"))
        assert (await found.come_back(location)).headers["location"] == CLIENT
        assert (await found.come_back(location)).headers["location"] == FAILED
        assert len(services.asked) == 1


async def test_sign_in_of_another_browser(site: Any, services: Services) -> None:
    services.profiles = GITHUB
    async with site(SETTINGS, addresses=services.addresses) as found:
        async with found.server.connect() as attacker:
            location = services.agree(await found.start("github", attacker))
        assert (await found.come_back(location)).headers["location"] == FAILED
        assert services.asked == []


async def test_who_does_not_agree(site: Any, services: Services) -> None:
    async with site(SETTINGS, addresses=services.addresses) as found:
        sent = dict(parse_qsl(urlsplit(await found.start("github")).query))
        location = f"{CLIENT}/oauth/github/callback?error=access_denied&state={sent['state']}"
        back = await found.come_back(location)
        assert back.headers["location"] == f"{CLIENT}/oauth/error"
