"""Google and Apple: OpenID Connect with their own habits (contract oauth §4)."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from locutory import StartupError

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"

GOOGLE = {"GOOGLE_CLIENT_ID": "google-client", "GOOGLE_CLIENT_SECRET": "google-secret"}


async def test_google(site: Any, issuer: Any) -> None:
    claims = {
        "email": "ada@gmail.example",
        "email_verified": True,
        "given_name": "Ada",
        "family_name": "Lovelace",
        "picture": "https://lh3.example/a.png",
    }
    async with site(GOOGLE, addresses={"google": issuer.address}) as found:
        location = await found.start("google")
        sent = dict(parse_qsl(urlsplit(location).query))
        assert sent["scope"] == "openid profile email"
        assert sent["redirect_uri"] == f"{CLIENT}/oauth/google/callback"
        assert {"state", "nonce", "code_challenge"} <= sent.keys()
        back = await found.come_back(issuer.agree(location, "1234", **claims))
        assert back.headers["location"] == CLIENT
        account = await found.people.only()
        assert account["provider"] == "google"
        assert account["googleId"] == "1234"
        assert "openidIssuer" not in account
        assert account["username"] == "Ada"
        assert account["name"] == "Ada Lovelace"
        assert account["emailVerified"] is True
        assert account["avatar"] == "https://lh3.example/a.png"


async def test_registration_of_social_logins_can_be_closed(site: Any, issuer: Any) -> None:
    settings = {**GOOGLE, "ALLOW_SOCIAL_REGISTRATION": "false"}
    async with site(settings, addresses={"google": issuer.address}) as found:
        mail = {"email": "ada@gmail.example", "email_verified": True}
        back = await found.come_back(issuer.agree(await found.start("google"), "1", **mail))
        assert back.headers["location"] == FAILED
        await found.people.add(email="ada@gmail.example", provider="google")
        back = await found.come_back(issuer.agree(await found.start("google"), "1", **mail))
        assert back.headers["location"] == CLIENT


@pytest.mark.parametrize("verified", [None, False, "false"])
async def test_unverified_address_takes_over_nothing(site: Any, issuer: Any, verified: Any) -> None:
    async with site(GOOGLE, addresses={"google": issuer.address}) as found:
        await found.people.add(email="victim@x.org", provider="google")
        claims = {"email": "victim@x.org", "email_verified": verified}
        back = await found.come_back(issuer.agree(await found.start("google"), "2", **claims))
        assert back.headers["location"] == FAILED


async def test_google_needs_an_address(site: Any, issuer: Any) -> None:
    async with site(GOOGLE, addresses={"google": issuer.address}) as found:
        back = await found.come_back(issuer.agree(await found.start("google"), "3", email=None))
        assert back.headers["location"] == FAILED


# Apple


APPLE_KEY = ECKey.generate_key("P-256", private=True)


@pytest.fixture
def apple(tmp_path: Path) -> dict[str, str]:
    """Settings with a key as Apple gives it out."""
    path = tmp_path / "AuthKey_K1.p8"
    path.write_bytes(APPLE_KEY.as_pem(private=True))
    return {
        "APPLE_CLIENT_ID": "org.example.chat",
        "APPLE_TEAM_ID": "TEAM",
        "APPLE_KEY_ID": "K1",
        "APPLE_PRIVATE_KEY_PATH": str(path),
    }


def posted(issuer: Any, location: str, subject: str, **claims: Any) -> dict[str, str]:
    """The form that Apple's page makes the browser post."""
    return dict(parse_qsl(urlsplit(issuer.agree(location, subject, **claims)).query))


async def post(found: Any, form: dict[str, str]) -> httpx2.Response:
    """Post from Apple's site: the browser withholds its cookies, and sends them again when
    it follows the answer."""
    async with found.server.connect() as stranger:
        answer: httpx2.Response = await stranger.post("/oauth/apple/callback", data=form)
    if answer.status_code != 303:
        return answer
    assert answer.headers["location"].startswith("/oauth/apple/callback?resume=")
    assert "set-cookie" not in answer.headers
    response: httpx2.Response = await found.browser.get(answer.headers["location"])
    return response


async def test_apple(site: Any, issuer: Any, apple: dict[str, str]) -> None:
    async with site(apple, addresses={"apple": issuer.address}) as found:
        location = await found.start("apple")
        sent = dict(parse_qsl(urlsplit(location).query))
        assert sent["response_mode"] == "form_post"
        assert sent["scope"] == "name email"
        mail = {"email": "Ada.L@icloud.example", "email_verified": "true"}
        form = posted(issuer, location, "001.abc", **mail)
        form["user"] = '{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"evil@x.org"}'
        assert (await post(found, form)).headers["location"] == CLIENT
        account = await found.people.only()
        assert account["appleId"] == "001.abc"
        assert account["email"] == "Ada.L@icloud.example"
        assert account["username"] == "ada.l"
        assert account["name"] == "Ada Lovelace"
        assert "avatar" not in account
        secret = issuer.asked[0]["client_secret"]
        token = jwt.decode(secret, APPLE_KEY, algorithms=["ES256"])
        assert token.header["kid"] == "K1"
        assert token.claims["iss"] == "TEAM"
        assert token.claims["sub"] == "org.example.chat"
        assert token.claims["aud"] == "https://appleid.apple.com"


async def test_apple_answer_is_for_one_browser_and_once(
    site: Any, issuer: Any, apple: dict[str, str]
) -> None:
    mail = {"email": "ada@x.org", "email_verified": True}
    async with site(apple, addresses={"apple": issuer.address}) as found:
        async with found.server.connect() as attacker:
            location = await found.start("apple", attacker)
        form = posted(issuer, location, "evil", **mail)
        assert (await post(found, form)).headers["location"] == FAILED
        form = posted(issuer, await found.start("apple"), "ada", **mail)
        assert (await post(found, form)).headers["location"] == CLIENT
        assert (await post(found, form)).headers["location"] == FAILED
        back = await found.browser.get("/oauth/apple/callback?resume=guess")
        assert back.headers["location"] == FAILED
        assert len(found.people.opened) == 1


async def test_apple_answer_that_is_too_large(
    site: Any, issuer: Any, apple: dict[str, str]
) -> None:
    async with site(apple, addresses={"apple": issuer.address}) as found:
        form = posted(issuer, await found.start("apple"), "ada")
        form["user"] = "x" * 600_000
        assert (await post(found, form)).status_code == 413


@pytest.mark.parametrize("path", ["missing.p8", "pyproject.toml", "/"])
async def test_apple_key_that_cannot_be_read(site: Any, apple: dict[str, str], path: str) -> None:
    with pytest.raises(StartupError, match="APPLE_PRIVATE_KEY_PATH"):
        async with site({**apple, "APPLE_PRIVATE_KEY_PATH": path}):
            pass
