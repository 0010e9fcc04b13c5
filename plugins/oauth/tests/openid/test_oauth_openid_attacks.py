"""What an OpenID sign-in must refuse (contract security §4)."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"

Query = Callable[[str], dict[str, str]]


def refused(response: httpx2.Response) -> bool:
    """Is this the login page, without any cookie of a session?"""
    assert response.status_code == 302
    cookies = response.headers.get_list("set-cookie")
    return response.headers["location"] == FAILED and not cookies


# The browser


async def test_answer_is_good_once(site: Any, oidc: Any) -> None:
    async with site(oidc.settings()) as found:
        location = await oidc.agree(await found.start("openid"), "ada")
        assert (await found.come_back(location)).headers["location"] == CLIENT
        assert refused(await found.come_back(location))
        assert len(found.people.opened) == 1


async def test_code_is_good_once_even_with_a_new_state(site: Any, oidc: Any, query: Query) -> None:
    async with site(oidc.settings()) as found:
        first = await oidc.agree(await found.start("openid"), "ada")
        await found.come_back(first)
        state = query(await found.start("openid"))["state"]
        again = f"{CLIENT}/oauth/openid/callback?code={query(first)['code']}&state={state}"
        assert refused(await found.come_back(again))


async def test_sign_in_of_another_browser(site: Any, oidc: Any) -> None:
    """Who is sent the attacker's link must not end up in the attacker's account."""
    async with site(oidc.settings()) as found:
        async with found.server.connect() as attacker:
            location = await oidc.agree(await found.start("openid", attacker), "mallory")
        assert refused(await found.come_back(location))
        await found.start("openid")  # a victim with a sign-in and cookie of its own
        async with found.server.connect() as attacker:
            location = await oidc.agree(await found.start("openid", attacker), "mallory")
        assert refused(await found.come_back(location))
        assert found.people.opened == []


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: "",
        lambda value: value[:-3] + "AAA",
        lambda value: value.replace("s%3A", "s%3Aother"),
        lambda value: "s%3Aother." + value.partition(".")[2],
        lambda value: "j%3A%7B%7D",
    ],
)
async def test_forged_cookie(site: Any, oidc: Any, forge: Callable[[str], str]) -> None:
    async with site(oidc.settings()) as found:
        location = await oidc.agree(await found.start("openid"), "ada")
        value = forge(found.browser.cookies["connect.sid"])
        found.browser.cookies.clear()
        found.browser.cookies.set("connect.sid", value)
        assert refused(await found.come_back(location))


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=denied"])
async def test_answer_without_a_sign_in(site: Any, oidc: Any, query: str) -> None:
    async with site(oidc.settings()) as found:
        await found.start("openid")
        assert refused(await found.come_back(f"{CLIENT}/oauth/openid/callback{query}"))


async def test_parameters_that_come_twice(site: Any, oidc: Any) -> None:
    async with site(oidc.settings()) as found:
        location = await oidc.agree(await found.start("openid"), "ada")
        assert refused(await found.come_back(location + "&state=other"))


async def test_state_of_another_provider(site: Any, issuer: Any) -> None:
    settings = {**issuer.settings(), "GITHUB_CLIENT_ID": "a", "GITHUB_CLIENT_SECRET": "b"}
    async with site(settings) as found:
        location = issuer.agree(await found.start("openid"), "ada")
        assert refused(await found.come_back(location.replace("/openid/", "/github/")))
        assert issuer.asked == []


# The provider


async def test_mix_up(site: Any, issuer: Any) -> None:
    """A code of another issuer is not sent to this one's token endpoint (RFC 9207)."""
    async with site(issuer.settings()) as found:
        start = await found.start("openid")
        assert refused(await found.come_back(issuer.agree(start, "ada", add="&iss=https://evil")))
        assert issuer.asked == []
        start = await found.start("openid")
        back = await found.come_back(issuer.agree(start, "ada", add=f"&iss={issuer.address}"))
        assert back.headers["location"] == CLIENT


async def test_issuer_that_promised_to_name_itself(site: Any, issuer: Any) -> None:
    issuer.metadata["authorization_response_iss_parameter_supported"] = True
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))
        assert issuer.asked == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": ["https://evil.example"]},
    ],
)
async def test_discovery_document_that_is_not_the_issuers(
    site: Any, issuer: Any, metadata: dict[str, Any]
) -> None:
    issuer.metadata.update(metadata)
    async with site(issuer.settings()) as found:
        assert await found.start("openid") == FAILED


async def test_user_info_about_somebody_else(site: Any, issuer: Any) -> None:
    issuer.told = {"sub": "victim", "email": "victim@example.com", "email_verified": True}
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "mallory")))
        assert found.people.identities == []


# The id token


def _none(header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("x" * 32))
    return "eyJhbGciOiJub25lIn0." + signed.split(".")[1] + "."


def _other_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(header, claims, RSAKey.generate_key(2048))


def _embedded_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


def _cut(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(header, claims, RSAKey.generate_key(2048)).rpartition(".")[0] + "."


FORGERIES = {
    "none": _none,
    "another key": _other_key,
    "key in the header": _embedded_key,
    "no signature": _cut,
    "no token": lambda header, claims: "garbage",
    "too long": lambda header, claims: "a." * 40_000,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_forged_signature(site: Any, issuer: Any, forge: Any) -> None:
    issuer.forge = forge
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))
        assert found.people.identities == []


def _part(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


async def test_public_key_as_a_shared_secret(site: Any, issuer: Any) -> None:
    """RS256 taken for HS256."""
    public = issuer.key.as_pem(private=False)

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        text = f"{_part(json.dumps({**header, 'alg': 'HS256'}).encode())}."
        text += _part(json.dumps(claims).encode())
        return f"{text}.{_part(hmac.digest(public, text.encode(), 'sha256'))}"

    issuer.metadata["id_token_signing_alg_values_supported"] = ["RS256", "HS256"]
    issuer.forge = forge
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))


async def test_client_secret_as_the_key(site: Any, issuer: Any) -> None:
    secret = OctKey.import_key("secret-of-the-client")
    issuer.metadata["id_token_signing_alg_values_supported"] = ["HS256"]
    issuer.forge = lambda header, claims: jwt.encode({"alg": "HS256"}, claims, secret)
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))


# Far from any clock's error, and the same in every process that collects the tests.
PAST, FUTURE = 1_600_000_000, 4_000_000_000
WRONG_CLAIMS: list[dict[str, Any]] = [
    {"iss": "https://evil.example"},
    {"iss": None},
    {"aud": "another-client"},
    {"aud": ["another-client"]},
    {"aud": None},
    {"aud": ["locutory", "another"]},  # for two, and not said for which
    {"aud": ["locutory", "another"], "azp": "another"},
    {"azp": "another"},
    {"nonce": "of-another-sign-in"},
    {"nonce": ""},
    {"exp": PAST + 3600, "iat": PAST},
    {"exp": None},
    {"iat": FUTURE},
    {"nbf": FUTURE},
    {"sub": None},
    {"sub": ""},
    {"sub": "x" * 256},
    {"sub": {"$ne": None}},
    {"sub": 7},
    {"at_hash": "bm90IHRoZSBoYXNo"},
]


@pytest.mark.parametrize("changes", WRONG_CLAIMS, ids=map(str, WRONG_CLAIMS))
async def test_wrong_claims(site: Any, issuer: Any, changes: dict[str, Any]) -> None:
    issuer.changes = changes
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))
        assert found.people.identities == []


async def test_nonce_must_be_there(site: Any, issuer: Any) -> None:
    issuer.forge = lambda header, claims: issuer.token(
        {name: value for name, value in claims.items() if name != "nonce"}
    )
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))


async def test_id_token_must_be_there(site: Any, issuer: Any) -> None:
    issuer.with_id_token = False
    async with site(issuer.settings()) as found:
        assert refused(await found.come_back(issuer.agree(await found.start("openid"), "ada")))


async def test_token_of_a_moment_ago_is_tolerated(site: Any, issuer: Any) -> None:
    """Clocks differ by at most ``OPENID_CLOCK_TOLERANCE``."""
    moment = int(time.time())
    issuer.changes = {"exp": moment - 60, "iat": moment - 120}
    for tolerance, location in (("300", CLIENT), ("10", FAILED)):
        async with site(issuer.settings(OPENID_CLOCK_TOLERANCE=tolerance)) as found:
            back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
            assert back.headers["location"] == location


# Taking over accounts


async def test_unverified_address_takes_over_nothing(site: Any, issuer: Any) -> None:
    async with site(issuer.settings()) as found:
        await found.people.add(email="victim@example.com", provider="openid")
        for claims in (
            {"email": "victim@example.com"},
            {"email": "victim@example.com", "email_verified": False},
            {"email": "victim@example.com", "email_verified": "false"},
            {"preferred_username": "victim@example.com", "email": None, "email_verified": True},
            {
                "preferred_username": "victim@example.com",
                "email": "",
                "email_verified": True,
            },
        ):
            location = issuer.agree(await found.start("openid"), "mallory", **claims)
            assert refused(await found.come_back(location))
        assert found.people.opened == []


async def test_configured_claim_is_no_verified_address(site: Any, issuer: Any) -> None:
    async with site(issuer.settings(OPENID_EMAIL_CLAIM="alias")) as found:
        await found.people.add(email="victim@example.com", provider="openid")
        claims = {
            "alias": "victim@example.com",
            "email": "mallory@example.com",
            "email_verified": True,
        }
        location = issuer.agree(await found.start("openid"), "mallory", **claims)
        assert refused(await found.come_back(location))


async def test_local_account_with_the_same_address(site: Any, issuer: Any) -> None:
    """Accounts of different kinds are never merged (oauth trap 5)."""
    async with site(issuer.settings()) as found:
        await found.people.add(email="ada@example.com", provider="local")
        claims = {"email": "ada@example.com", "email_verified": True}
        location = issuer.agree(await found.start("openid"), "ada", **claims)
        assert refused(await found.come_back(location))


async def test_same_subject_of_another_issuer(site: Any, issuer: Any) -> None:
    async with site(issuer.settings()) as found:
        other = await found.people.add(
            email="ada@example.com",
            provider="openid",
            openidId="ada",
            openidIssuer="https://other.example",
        )
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.headers["location"] == CLIENT
        assert other not in found.people.opened


async def test_refusals_do_not_say_why(site: Any, issuer: Any, logged: Any) -> None:
    """The reason is for the log; the address of the browser is the same for all."""
    issuer.changes = {"aud": "another-client"}
    async with site(issuer.settings()) as found:
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.content == b""
        assert urlsplit(back.headers["location"]).query == "redirect=false&error=auth_failed"
    assert logged.codes() == ["token"]
