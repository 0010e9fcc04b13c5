"""Sign-in with a real OpenID provider (contract oauth §3, §5)."""

import hashlib
from collections.abc import Callable
from typing import Any

from locutory import Provide, hook
from locutory.plugins.plugin import Plugin
from locutory_contracts.avatars import AVATARS

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"

Query = Callable[[str], dict[str, str]]


async def test_first_sign_in_makes_an_account(site: Any, oidc: Any, query: Query) -> None:
    await oidc.add(
        "ada",
        email="ada@example.com",
        email_verified=True,
        given_name="Ada",
        family_name="Lovelace",
        preferred_username="ada.l",
        oid="object-1",
    )
    async with site(oidc.settings()) as found:
        location = await found.start("openid")
        sent = query(location)
        assert sent["redirect_uri"] == f"{CLIENT}/oauth/openid/callback"
        assert sent["response_type"] == "code"
        assert sent["scope"] == "openid profile email"
        assert sent["client_id"] == "locutory"
        assert len(sent["state"]) >= 43
        assert len(sent["nonce"]) >= 43
        back = await found.come_back(await oidc.agree(location, "ada"))
        assert back.status_code == 302
        assert back.headers["location"] == CLIENT
        account = await found.people.only()
        assert account["provider"] == "openid"
        assert account["openidId"] == "ada"
        assert account["openidIssuer"] == oidc.issuer
        assert account["email"] == "ada@example.com"
        assert account["emailVerified"] is True
        assert account["username"] == "ada.l"
        assert account["name"] == "Ada Lovelace"
        assert account["idOnTheSource"] == "object-1"
        assert account["role"] == "USER"
        cookies = back.headers.get_list("set-cookie")
        assert any(cookie.startswith("refreshToken=session-of-") for cookie in cookies)
        assert any(cookie.startswith("token_provider=librechat") for cookie in cookies)


async def test_second_sign_in_finds_the_account_and_renews_it(site: Any, oidc: Any) -> None:
    async with site(oidc.settings()) as found:
        for name in ("Old", "New"):
            await oidc.add("ada", email="ada@example.com", given_name=name)
            back = await found.come_back(await oidc.agree(await found.start("openid"), "ada"))
            assert back.headers["location"] == CLIENT
        assert (await found.people.only())["name"] == "New"


async def test_cookie_of_the_browser(site: Any, oidc: Any) -> None:
    async with site({**oidc.settings(), "SESSION_COOKIE_SECURE": "true"}) as found:
        response = await found.browser.get("/oauth/openid")
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("connect.sid=s%3A")
        assert "; Path=/; " in cookie
        assert cookie.endswith("HttpOnly; Secure; SameSite=Lax")
        assert response.headers["cache-control"] == "no-store"


async def test_pkce(site: Any, oidc: Any, query: Query) -> None:
    async with site(oidc.settings(OPENID_USE_PKCE="true")) as found:
        sent = query(await found.start("openid"))
        assert sent["code_challenge_method"] == "S256"
        assert len(sent["code_challenge"]) == 43


async def test_public_client_needs_no_secret(site: Any, issuer: Any) -> None:
    settings = {**issuer.settings(OPENID_USE_PKCE="true"), "OPENID_CLIENT_SECRET": ""}
    async with site(settings) as found:
        back = await found.come_back(issuer.agree(await found.start("openid"), "bob"))
        assert back.headers["location"] == CLIENT
    assert issuer.asked[0]["client_id"] == "locutory"
    assert len(issuer.asked[0]["code_verifier"]) == 64
    assert not {"client_secret", "basic"} & issuer.asked[0].keys()


async def test_pkce_is_used_where_it_is_announced(site: Any, issuer: Any, query: Query) -> None:
    issuer.metadata["code_challenge_methods_supported"] = ["plain", "S256"]
    async with site(issuer.settings()) as found:
        sent = query(await found.start("openid"))
        assert sent["code_challenge_method"] == "S256"


async def test_client_authentication(site: Any, issuer: Any) -> None:
    """Basic by default, in the body where that is offered or demanded."""
    offered = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"]}
    for metadata, more, in_body in (
        ({}, {}, False),
        (offered, {}, True),
        ({}, {"OPENID_GENERATE_NONCE": "true"}, True),
    ):
        issuer.metadata = metadata
        async with site(issuer.settings(**more)) as found:
            await found.come_back(issuer.agree(await found.start("openid"), "bob"))
        asked = issuer.asked[-1]
        if in_body:
            assert asked["client_secret"] == "secret-of-the-client"
        else:
            assert asked["basic"] == "locutory:secret-of-the-client"


async def test_audience_is_asked_for(site: Any, oidc: Any, query: Query) -> None:
    async with site(oidc.settings(OPENID_AUDIENCE="api://one, api://two")) as found:
        assert query(await found.start("openid"))["audience"] == "api://one"


async def test_who_does_not_agree_comes_to_the_login_page(
    site: Any, issuer: Any, query: Query
) -> None:
    async with site(issuer.settings()) as found:
        state = query(await found.start("openid"))["state"]
        location = f"{CLIENT}/oauth/openid/callback?error=access_denied&state={state}"
        back = await found.come_back(location)
        assert back.status_code == 302
        assert back.headers["location"] == f"{CLIENT}/oauth/error"
        again = await found.come_back(back.headers["location"])
        assert again.headers["location"] == FAILED


async def test_refusal_without_a_state_comes_there_too(site: Any, oidc: Any) -> None:
    async with site(oidc.settings()) as found:
        back = await found.come_back(await oidc.deny(await found.start("openid")))
        assert back.headers["location"] == FAILED


async def test_unreachable_provider_does_not_stop_the_server(site: Any, oidc: Any) -> None:
    async with site(oidc.settings(OPENID_ISSUER="http://127.0.0.1:9")) as found:
        assert (await found.browser.get("/readyz")).status_code == 200
        assert await found.start("openid") == FAILED


async def test_issuer_may_be_the_discovery_document(site: Any, oidc: Any) -> None:
    await oidc.add("carl", email="carl@example.com")
    address = f"{oidc.issuer}/.well-known/openid-configuration"
    async with site(oidc.settings(OPENID_ISSUER=address)) as found:
        back = await found.come_back(await oidc.agree(await found.start("openid"), "carl"))
        assert back.headers["location"] == CLIENT
        assert (await found.people.only())["openidIssuer"] == oidc.issuer
        assert found.people.identities[-1].issuer_configured


async def test_domain_client_with_a_path(site: Any, oidc: Any) -> None:
    await oidc.add("dora", email="dora@example.com")
    settings = oidc.settings(
        DOMAIN_CLIENT="https://chat.example.com/app/",
        SESSION_COOKIE_SECURE="false",  # our browser speaks http
    )
    async with site(settings) as found:
        location = await oidc.agree(await found.start("openid"), "dora")
        back = await found.browser.get(location.removeprefix(CLIENT))
        assert back.headers["location"] == "https://chat.example.com/app/"
        error = await found.browser.get("/oauth/error")
        assert error.headers["location"] == (
            "https://chat.example.com/app/login?redirect=false&error=auth_failed"
        )


async def test_redirect_goes_nowhere_else(site: Any, oidc: Any) -> None:
    await oidc.add("dora", email="dora@example.com")
    async with site(oidc.settings()) as found:
        response = await found.browser.get(
            "/oauth/openid?redirect_to=https://evil.example&redirect_uri=https://evil.example"
        )
        assert "evil" not in response.headers["location"]
        location = await oidc.agree(response.headers["location"], "dora")
        back = await found.come_back(location + "&redirect_to=https://evil.example")
        assert back.headers["location"] == CLIENT


async def test_secrets_are_not_logged(site: Any, oidc: Any, logged: Any, query: Query) -> None:
    async with site(oidc.settings(DEBUG_OPENID_REQUESTS="true")) as found:
        location = await found.start("openid")
        returned = await oidc.agree(location, "eve")
        await found.come_back(returned)
        text = logged.text()
        assert "oauth.request" in text
        assert "secret-of" not in text
        assert query(returned)["code"] not in text
        assert query(location)["state"] not in text


class Gallery(Plugin):
    """Stores pictures."""

    name = "gallery"
    summary = "Stores pictures; for tests"
    provides = (AVATARS,)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AVATARS, self)]

    async def fetch(self, user_id: str, name: str, url: str, headers: Any) -> str:
        self.asked.append((name, url, dict(headers)))
        return f"/images/{user_id}/{name}"


async def test_picture_is_taken_over(site: Any, oidc: Any) -> None:
    await oidc.add("fay", email="fay@example.com", picture="https://cdn.example.com/fay.jpg")
    async with site(oidc.settings()) as found:
        await found.come_back(await oidc.agree(await found.start("openid"), "fay"))
        account = await found.people.only()
        assert account["avatar"] == "https://cdn.example.com/fay.jpg"
        chosen = "/images/fay/chosen.png?manual=true"
        await found.people.update(str(account["_id"]), {"avatar": chosen})
        await found.come_back(await oidc.agree(await found.start("openid"), "fay"))
        assert (await found.people.only())["avatar"] == chosen


async def test_picture_is_stored_where_somebody_stores_pictures(site: Any, oidc: Any) -> None:
    own, foreign = f"{oidc.issuer}/photo", "https://cdn.example.com/fay.jpg"
    gallery = Gallery()
    async with site(oidc.settings(), gallery) as found:
        for picture in (own, foreign):
            await oidc.add("fay", email="fay@example.com", picture=picture)
            await found.come_back(await oidc.agree(await found.start("openid"), "fay"))
        name = hashlib.sha256(b"fay").hexdigest() + ".png"
        first, second = gallery.asked
        assert first[:2] == (name, own)
        assert first[2]["authorization"].startswith("Bearer ")
        assert second == (name, foreign, {})
        assert (await found.people.only())["avatar"].endswith(name)


async def test_picture_must_be_a_web_address(site: Any, oidc: Any) -> None:
    await oidc.add("gus", email="gus@example.com", picture="javascript:alert(1)")
    async with site(oidc.settings()) as found:
        await found.come_back(await oidc.agree(await found.start("openid"), "gus"))
        assert "avatar" not in await found.people.only()
