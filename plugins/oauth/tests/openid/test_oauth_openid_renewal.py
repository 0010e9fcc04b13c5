"""Renewed sessions of reused tokens: what the provider gives then, and leaves out."""

import time
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from locutory_testing.server import SECRETS

CLIENT = "http://localhost:3080"
REUSE = {"OPENID_REUSE_TOKENS": "true"}
OVER = -10
"""Life of an id token that has just ended: good for signing in, since clocks differ."""

STALE = {"OPENID_REUSE_MAX_SESSION_AGE_MS": "0"}


async def arrive(found: Any, issuer: Any, subject: str = "ada") -> None:
    back = await found.come_back(issuer.agree(await found.start("openid"), subject))
    assert back.headers["location"] == CLIENT


async def me(found: Any, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return int((await found.browser.get("/me", headers=headers)).status_code)


def expires(token: str) -> float:
    """When the client believes that a token ends: it reads the claim."""
    import orjson
    from joserfc.util import urlsafe_b64decode

    return float(orjson.loads(urlsafe_b64decode(token.split(".")[1].encode()))["exp"])


async def _refreshed(found: Any) -> httpx2.Response:
    answer: httpx2.Response = await found.browser.get("/refresh")
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("access", ["opaque", "other audience", "other person"])
@pytest.mark.parametrize("rotates", [True, False])
async def test_renewal_without_an_id_token(
    site: Any, issuer: Any, access: str, rotates: bool
) -> None:
    """Whatever is handed out is accepted, also when the id token of the sign-in is over."""
    issuer.life = OVER
    if access == "other audience":
        issuer.access_claims = {}
    elif access == "other person":
        issuer.access_claims = {"aud": "locutory", "sub": "mallory"}
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        issuer.with_id_token, issuer.life = False, 3600
        issuer.with_refresh_token = rotates
        token = (await _refreshed(found)).json()["token"]
        assert issuer.asked[-1]["grant_type"] == "refresh_token"
        assert expires(token) > time.time() + 60
        assert await me(found, token) == 200
        # The next page load needs no provider.
        asked = len(issuer.asked)
        assert await me(found, (await _refreshed(found)).json()["token"]) == 200
        assert len(issuer.asked) == asked


async def test_access_token_that_serves(site: Any, issuer: Any) -> None:
    issuer.life = OVER
    async with site(issuer.settings(**REUSE, OPENID_AUDIENCE="api")) as found:
        await arrive(found, issuer)
        issuer.with_id_token, issuer.life, issuer.access_claims = False, 3600, {}
        token = (await _refreshed(found)).json()["token"]
        assert jwt.decode(token, issuer.key).claims["aud"] == "api"
        assert await me(found, token) == 200


async def test_expired_id_token_in_the_answer_counts_for_nothing(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE, **STALE)) as found:
        await arrive(found, issuer)
        issuer.refreshed = {"exp": 1}
        token = (await _refreshed(found)).json()["token"]
        assert expires(token) > time.time()
        assert await me(found, token) == 200


async def test_forged_id_token_in_the_answer_ends_the_session(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(**REUSE, **STALE)) as found:
        await arrive(found, issuer)
        issuer.refreshed = {"aud": "another"}
        assert (await found.browser.get("/refresh")).status_code == 403


async def test_token_of_ours_is_for_one_session_only(site: Any, issuer: Any) -> None:
    issuer.life = OVER
    async with site(issuer.settings(**REUSE)) as found, found.server.connect() as other:
        await arrive(found, issuer)
        issuer.with_id_token = False
        token = (await _refreshed(found)).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        assert (await other.get("/me", headers=headers)).status_code == 401
        cookies = dict(found.browser.cookies)
        issuer.with_id_token, issuer.life = True, 3600
        for subject in ("ada", "bob"):  # a new session of the same person is another one
            await arrive(found, issuer, subject)
            assert await me(found, token) == 401
        found.browser.cookies.clear()
        for name, value in cookies.items():
            found.browser.cookies.set(name, value)
        assert await me(found, token) == 200


async def test_what_is_signed_with_the_secret_itself_is_no_such_token(
    site: Any, issuer: Any
) -> None:
    async with site(issuer.settings(**REUSE)) as found:
        await arrive(found, issuer)
        cookie = found.browser.cookies["openid_user_id"]
        assert await me(found, cookie) == 401
        key = OctKey.import_key(SECRETS["JWT_REFRESH_SECRET"])
        claims = jwt.decode(cookie, key, algorithms=["HS256"]).claims
        assert await me(found, jwt.encode({"alg": "HS256"}, claims, key)) == 401


async def test_only_what_was_granted_is_asked_for(site: Any, issuer: Any, logged: Any) -> None:
    """A provider refuses scopes that it did not grant (RFC 6749 §6)."""
    issuer.token_members = {"scope": "openid email"}
    settings = issuer.settings(**REUSE, **STALE, OPENID_SCOPE="openid email groups_unknown")
    async with site(settings) as found:
        await arrive(found, issuer)
        for _ in range(2):
            await _refreshed(found)
            assert set(issuer.asked[-1].get("scope", "openid").split()) <= {"openid", "email"}
        issuer.token_answer = (400, '{"error": "invalid_scope", "error_description": "why"}')
        assert (await found.browser.get("/refresh")).status_code == 403
    assert "the provider refuses: invalid_scope (why), status 400" in logged.text()
