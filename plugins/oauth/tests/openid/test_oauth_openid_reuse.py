"""Sessions made of the provider's tokens, and logging out there (contract oauth §5.4, §5.5)."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from locutory_testing.server import SECRETS

CLIENT = "http://localhost:3080"
REUSE = {"OPENID_REUSE_TOKENS": "true"}
STALE = {"OPENID_REUSE_MAX_SESSION_AGE_MS": "0"}


async def arrive(found: Any, issuer: Any, subject: str = "ada", **claims: Any) -> httpx2.Response:
    response: httpx2.Response = await found.come_back(
        issuer.agree(await found.start("openid"), subject, email=f"{subject}@x.org", **claims)
    )
    assert response.headers["location"] == CLIENT
    return response


def cookies_of(response: httpx2.Response) -> dict[str, str]:
    """``Set-Cookie`` values by name."""
    return {text.partition("=")[0]: text for text in response.headers.get_list("set-cookie")}


async def test_cookies_after_sign_in(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        before = (await found.browser.get("/oauth/openid")).headers["set-cookie"]
        cookies = cookies_of(await arrive(found, issuer))
        assert set(cookies) == {"connect.sid", "refreshToken", "token_provider", "openid_user_id"}
        for name in ("refreshToken", "token_provider", "openid_user_id"):
            assert "; Path=/; Expires=" in cookies[name]
            assert cookies[name].endswith("; HttpOnly; SameSite=Strict")
        assert cookies["token_provider"].startswith("token_provider=openid;")
        assert cookies["refreshToken"].split(";")[0][13:] in issuer.refresh_tokens
        # A new login session: nobody shares one that was planted before.
        assert cookies["connect.sid"].partition(";")[0] != before.partition(";")[0]
        assert found.people.opened == []  # no row in sessions


async def test_without_a_refresh_token_there_is_a_usual_session(site: Any, issuer: Any) -> None:
    issuer.with_refresh_token = False
    async with site(issuer.settings(**REUSE)) as found:
        cookies = cookies_of(await arrive(found, issuer))
        assert cookies["token_provider"].startswith("token_provider=librechat")
        assert len(found.people.opened) == 1


async def test_young_tokens_are_used_again(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        asked = len(issuer.asked)
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 200
        assert answer.json()["user"]["email"] == "ada@x.org"
        assert len(issuer.asked) == asked
        bearer = {"authorization": f"Bearer {answer.json()['token']}"}
        me = await found.browser.get("/me", headers=bearer)
        assert me.json() == {"id": answer.json()["user"]["_id"], "role": "USER"}


async def test_old_tokens_are_renewed(site: Any, issuer: Any) -> None:
    settings = issuer.settings(**REUSE, **STALE, OPENID_REFRESH_AUDIENCE="api://x")
    async with site(settings) as found:
        first = cookies_of(await arrive(found, issuer))
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 200
        asked = issuer.asked[-1]
        assert asked["grant_type"] == "refresh_token"
        assert "scope" not in asked
        assert asked["audience"] == "api://x"
        renewed = cookies_of(answer)
        assert set(renewed) == set(first)
        assert renewed["refreshToken"] != first["refreshToken"]
        bearer = {"authorization": f"Bearer {answer.json()['token']}"}
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200


async def test_tokens_about_to_expire_are_renewed(site: Any, issuer: Any) -> None:
    issuer.life = 20
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        await found.browser.get("/refresh")
        assert issuer.asked[-1]["grant_type"] == "refresh_token"


async def test_without_a_login_session_the_cookie_is_enough(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        found.browser.cookies.delete("connect.sid")
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 200
        assert "connect.sid" in cookies_of(answer)


async def test_many_tabs_turn_the_token_once(site: Any, issuer: Any) -> None:
    issuer.life = 20  # about to expire
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        cookies, issuer.life = dict(found.browser.cookies), 3600
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        answers = await asyncio.gather(
            *(found.browser.get("/refresh", headers=headers) for _ in range(10))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert len({cookies_of(a)["refreshToken"].split(";")[0] for a in answers}) == 1
        assert [form["grant_type"] for form in issuer.asked].count("refresh_token") == 1


async def test_provider_that_revoked_the_tokens(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE, **STALE)) as found:
        await arrive(found, issuer)
        issuer.refresh_tokens.clear()
        for _ in range(2):
            answer = await found.browser.get("/refresh")
            assert answer.status_code == 403
            assert answer.text == "Invalid OpenID refresh token"


async def test_renewed_tokens_of_somebody_else(site: Any, issuer: Any) -> None:
    issuer.refreshed = {"sub": "mallory"}
    async with site(issuer.settings(**REUSE, **STALE)) as found:
        await arrive(found, issuer)
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 302
        assert answer.headers["location"] == "/login"
        assert "set-cookie" not in answer.headers


async def test_account_that_is_gone(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        await found.people.rows.delete_many({})
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 302
        assert answer.headers["location"] == "/login"


async def test_no_cookie_at_all(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        answer = await found.browser.get("/refresh")
        assert (answer.status_code, answer.text) == (200, "Refresh token not provided")


async def test_off_by_default(site: Any, issuer: Any) -> None:
    async with site(issuer.settings()) as found:
        await arrive(found, issuer)
        assert (await found.browser.get("/refresh")).status_code == 418


async def _signed_in(found: Any, issuer: Any) -> dict[str, Any]:
    await arrive(found, issuer)
    return dict((await found.browser.get("/refresh")).json()["user"])


async def test_bearers_that_are_refused(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE, OPENID_CLOCK_TOLERANCE="0")) as found:
        await _signed_in(found, issuer)
        good = issuer.claims("locutory", sub="ada")
        for token, message in (
            ("garbage", "invalid token"),
            (issuer.token({**good, "aud": "another"}), "invalid token"),
            (issuer.token({**good, "iss": "https://evil.example"}), "invalid token"),
            (issuer.token({**good, "exp": good["iat"] - 10}), "jwt expired"),
            (issuer.token({**good, "sub": "mallory"}), "Unauthorized"),
            (jwt.encode({"alg": "HS256"}, good, OctKey.import_key("x" * 32)), "invalid token"),
        ):
            answer = await found.browser.get("/me", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert answer.json() == {"message": message}
        assert (await found.browser.get("/me")).json() == {"message": "No auth token"}
        bearer = {"authorization": f"Bearer {issuer.token(good)}"}
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200


async def test_access_tokens_of_a_configured_audience(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE, OPENID_AUDIENCE="api://x,api://y")) as found:
        await _signed_in(found, issuer)
        token = issuer.token(issuer.claims("api://y", sub="ada"))
        answer = await found.browser.get("/me", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200


async def test_bearer_needs_the_browser_it_was_given_to(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        user = await _signed_in(found, issuer)
        bearer = {"authorization": f"Bearer {issuer.token(issuer.claims('locutory', sub='ada'))}"}
        secret = OctKey.import_key(SECRETS["JWT_REFRESH_SECRET"])
        other = OctKey.import_key("another-secret-another-secret-another")
        for cookie in (
            None,
            jwt.encode({"alg": "HS256"}, {"id": user["_id"]}, other),
            jwt.encode({"alg": "HS256"}, {"id": user["_id"], "exp": 1}, secret),
            jwt.encode({"alg": "HS256"}, {"id": user["_id"], "sessionId": "x"}, secret),
            jwt.encode({"alg": "HS256"}, {"id": {"$ne": None}}, secret),
            jwt.encode({"alg": "HS256"}, {"id": "f" * 24}, secret),
        ):
            found.browser.cookies.delete("openid_user_id")
            if cookie is not None:
                found.browser.cookies.set("openid_user_id", cookie)
            assert (await found.browser.get("/me", headers=bearer)).status_code == 401
            found.browser.cookies.clear()
            found.browser.cookies.set("token_provider", "openid")
            found.browser.cookies.set("openid_user_id", "x")
        # LibreChat's cookie is good here.
        found.browser.cookies.clear()
        found.browser.cookies.set("token_provider", "openid")
        theirs = jwt.encode({"alg": "HS256"}, {"id": user["_id"]}, secret)
        found.browser.cookies.set("openid_user_id", theirs)
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200


async def test_keys_are_remembered_and_change(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        await _signed_in(found, issuer)
        claims = issuer.claims("locutory", sub="ada")
        for _ in range(5):
            bearer = {"authorization": f"Bearer {issuer.token(claims)}"}
            await found.browser.get("/me", headers=bearer)
        assert issuer.keys_fetched == 1
        for name in ("other-1", "other-2"):  # nobody makes us ask again and again
            bearer = {"authorization": f"Bearer {issuer.token(claims, kid=name)}"}
            assert (await found.browser.get("/me", headers=bearer)).status_code == 401
        assert issuer.keys_fetched == 1


async def test_keys_that_changed(site: Any, issuer: Any) -> None:
    settings = issuer.settings(**REUSE, OPENID_JWKS_URL_CACHE_ENABLED="false")
    async with site(settings) as found:
        await _signed_in(found, issuer)
        issuer.key = RSAKey.generate_key(2048, {"kid": "k2"})
        token = issuer.token(issuer.claims("locutory", sub="ada"), kid="k2")
        bearer = {"authorization": f"Bearer {token}"}
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200


async def test_provider_that_is_down_for_a_moment(site: Any, issuer: Any) -> None:
    """Whoever is signed in does not feel it."""
    settings = issuer.settings(**REUSE, OPENID_JWKS_URL_CACHE_TIME="0")
    async with site(settings) as found:
        await _signed_in(found, issuer)
        issuer.keys_down = True
        bearer = {"authorization": f"Bearer {issuer.token(issuer.claims('locutory', sub='ada'))}"}
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200


# Logging out


async def end(found: Any, user_id: str) -> dict[str, list[str]]:
    answer = (await found.browser.get(f"/logout/{user_id}")).json()
    if "redirect" not in answer:
        return {}
    parts = urlsplit(answer["redirect"])
    assert parts.path == "/logout"
    return parse_qs(parts.query)


LOGOUT = {**REUSE, "OPENID_USE_END_SESSION_ENDPOINT": "true"}


async def test_logging_out_there_too(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**LOGOUT)) as found:
        user = await _signed_in(found, issuer)
        token = (await found.browser.get("/refresh")).json()["token"]
        query = await end(found, user["_id"])
        assert query == {
            "tenant": ["1"],
            "post_logout_redirect_uri": [f"{CLIENT}/login"],
            "id_token_hint": [token],
        }
        assert "connect.sid" not in found.browser.cookies
        # The login session is over, so there is no token any more.
        again = await end(found, user["_id"])
        assert again["client_id"] == ["locutory"]
        assert "id_token_hint" not in again


async def test_logout_address_that_would_be_too_long(site: Any, issuer: Any) -> None:
    settings = issuer.settings(
        **LOGOUT,
        OPENID_MAX_LOGOUT_URL_LENGTH="300",
        OPENID_POST_LOGOUT_REDIRECT_URI="https://bye.example/",
    )
    async with site(settings) as found:
        user = await _signed_in(found, issuer)
        assert await end(found, user["_id"]) == {
            "tenant": ["1"],
            "post_logout_redirect_uri": ["https://bye.example/"],
            "logout_hint": ["ada@x.org"],
            "client_id": ["locutory"],
        }


async def test_logging_out_only_here(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**LOGOUT)) as found:
        local = await found.people.add(email="bob@x.org", provider="local")
        assert await end(found, local) == {}
        issuer.metadata["end_session_endpoint"] = None
    async with site(issuer.settings(**LOGOUT)) as found:
        user = await _signed_in(found, issuer)
        assert await end(found, user["_id"]) == {}
    async with site(issuer.settings(**REUSE)) as found:
        user = await _signed_in(found, issuer)
        assert await end(found, user["_id"]) == {}


async def test_real_provider(site: Any, oidc: Any) -> None:
    """Sign in, refresh and be revoked at a provider that is not ours."""
    await oidc.add("ada", email="ada@example.com")
    async with site(oidc.settings(**REUSE, **STALE)) as found:
        back = await found.come_back(await oidc.agree(await found.start("openid"), "ada"))
        assert "openid_user_id" in cookies_of(back)
        answer = await found.browser.get("/refresh")
        assert answer.status_code == 200
        # It gives no new id token, so the one of the sign-in stays while it is good.
        bearer = {"authorization": f"Bearer {answer.json()['token']}"}
        assert (await found.browser.get("/me", headers=bearer)).status_code == 200
        back = await found.come_back(await oidc.agree(await found.start("openid"), "ada"))
        await oidc.revoke("ada")
        assert (await found.browser.get("/refresh")).status_code == 403
