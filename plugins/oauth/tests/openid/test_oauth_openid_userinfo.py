"""User info that the provider signs (OpenID Connect Core §5.3.2)."""

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwe, jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
JWT = "application/jwt"


async def arrive(found: Any, issuer: Any) -> str:
    back = await found.come_back(issuer.agree(await found.start("openid"), "ada", email=None))
    return str(back.headers["location"])


def signed(issuer: Any, **changes: Any) -> Any:
    def make(told: dict[str, Any]) -> tuple[str, str]:
        claims = {**told, "iss": issuer.address, "aud": "locutory", **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return issuer.token(kept), f"{JWT}; charset=utf-8"

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["locutory", "other"]},
        {"iss": None, "aud": None},
        {"exp": 2**40, "nbf": 1},
    ],
)
async def test_signed_user_info_is_used(site: Any, issuer: Any, changes: dict[str, Any]) -> None:
    issuer.told = {"email": "ada@x.org", "email_verified": True, "name": "Ada L."}
    issuer.signed_info = signed(issuer, **changes)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == CLIENT
        account = await found.people.only()
        assert (account["email"], account["name"]) == ("ada@x.org", "Ada L.")
        assert account["emailVerified"] is True


async def test_media_type_may_be_missing(site: Any, issuer: Any) -> None:
    issuer.told = {"email": "ada@x.org"}
    make = signed(issuer)
    issuer.signed_info = lambda told: (make(told)[0], "text/plain")
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == CLIENT


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "other"},
        {"aud": []},
        {"exp": 1},
        {"exp": "soon"},
        {"nbf": 2**40},
        {"sub": "mallory"},
        {"sub": None},
    ],
)
async def test_signed_user_info_of_somebody_else(
    site: Any, issuer: Any, logged: Any, changes: dict[str, Any]
) -> None:
    issuer.told = {"email": "ada@x.org"}
    issuer.signed_info = signed(issuer, **changes)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED
        assert await found.people.count() == 0
    assert set(logged.codes()) <= {"userinfo", "subject"}


FORGERIES: dict[str, Callable[[Any, Any], str]] = {
    "none": lambda issuer, claims: jwt.encode(
        {"alg": "none"}, claims, issuer.key, algorithms=["none"]
    ),
    "secret": lambda issuer, claims: jwt.encode(
        {"alg": "HS256"}, claims, OctKey.import_key("secret-of-the-client-secret-of-x")
    ),
    "another key": lambda issuer, claims: jwt.encode(
        {"alg": "RS256", "kid": "k1"}, claims, RSAKey.generate_key(2048)
    ),
    "garbage": lambda issuer, claims: "a.b.c",
}


@pytest.mark.parametrize("how", FORGERIES)
async def test_forged_user_info(site: Any, issuer: Any, how: str) -> None:
    issuer.told = {"email": "ada@x.org", "iss": issuer.address, "aud": "locutory"}
    issuer.signed_info = lambda told: (FORGERIES[how](issuer, told), JWT)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED


async def test_encrypted_user_info_is_refused_with_a_reason(
    site: Any, issuer: Any, logged: Any
) -> None:
    key = RSAKey.generate_key(2048)
    header = {"alg": "RSA-OAEP", "enc": "A128GCM"}
    issuer.signed_info = lambda told: (jwe.encrypt_compact(header, str(told).encode(), key), JWT)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED
    assert "the user info is encrypted" in logged.text()


async def test_user_info_that_is_nothing_of_the_kind(site: Any, issuer: Any, logged: Any) -> None:
    """The id token may say enough."""
    issuer.signed_info = lambda told: ("<html>oops</html>", "text/html")
    async with site(issuer.settings()) as found:
        location = issuer.agree(await found.start("openid"), "ada", email="ada@x.org")
        assert (await found.come_back(location)).headers["location"] == CLIENT
    assert "openid.userinfo_missing" in logged.text()


async def test_announced_algorithms(site: Any, issuer: Any) -> None:
    issuer.told = {"email": "ada@x.org"}
    issuer.signed_info = signed(issuer)
    for announced, location in ((["RS256"], CLIENT), (["ES256"], FAILED)):
        issuer.metadata = {"userinfo_signing_alg_values_supported": announced}
        async with site(issuer.settings()) as found:
            assert await arrive(found, issuer) == location
