"""Tokens, keys and addresses that only look right (contract security §4)."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwe, jws, jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
REUSE = {"OPENID_REUSE_TOKENS": "true"}
EVIL = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "forwarded": "host=evil.example",
}

Forge = Callable[[dict[str, Any], dict[str, Any], RSAKey], str]


def _signed(
    header: dict[str, Any], claims: dict[str, Any], key: RSAKey, payload: bytes | None = None
) -> str:
    """Signed with the issuer's own key, whatever the header says."""
    parts = (json.dumps(header).encode(), payload or json.dumps(claims).encode())
    text = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    algorithm = jws.JWSRegistry.algorithms["RS256"]
    signature = algorithm.sign(text.encode(), key)
    return f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _json_form(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    protected, payload, signature = _signed(header, claims, key).split(".")
    return json.dumps({"protected": protected, "payload": payload, "signature": signature})


def _encrypted(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    """Anybody can encrypt for a public key."""
    inside = {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": "k1"}
    return jwe.encrypt_compact(inside, json.dumps(claims).encode(), key)


FORGERIES: dict[str, Forge] = {
    "critical member": lambda h, c, key: _signed({**h, "crit": ["x"], "x": 1}, c, key),
    "critical and empty": lambda h, c, key: _signed({**h, "crit": []}, c, key),
    "critical and absent": lambda h, c, key: _signed({**h, "crit": ["exp2"]}, c, key),
    "payload not encoded": lambda h, c, key: _signed({**h, "b64": False, "crit": ["b64"]}, c, key),
    "algorithm in small letters": lambda h, c, key: _signed({**h, "alg": "rs256"}, c, key),
    "None as the algorithm": lambda h, c, key: _signed({**h, "alg": "None"}, c, key),
    "no algorithm": lambda h, c, key: _signed({"kid": "k1"}, c, key),
    "list of claims": lambda h, c, key: _signed(h, c, key, b"[1]"),
    "claims that are no JSON": lambda h, c, key: _signed(h, c, key, b"sub=ada"),
    "JSON form": _json_form,
    "encrypted": _encrypted,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_tokens_that_only_look_signed(site: Any, issuer: Any, forge: Forge) -> None:
    """As id tokens, and as bearers of somebody who is signed in."""
    async with site(issuer.settings(**REUSE)) as found:
        issuer.forge = lambda header, claims: forge(header, claims, issuer.key)
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.headers["location"] == FAILED
        assert found.people.identities == []

        issuer.forge = None
        claims = {"email": "ada@x.org"}
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada", **claims))
        assert back.headers["location"] == CLIENT
        claims = issuer.claims("locutory", sub="ada")
        header = {"alg": "RS256", "kid": "k1"}
        for token, status in (
            (issuer.token(claims), 200),
            (forge(header, claims, issuer.key).replace("\n", ""), 401),
        ):
            answer = await found.browser.get("/me", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == status


async def test_keys_that_a_token_points_to(site: Any, issuer: Any, listen: Any) -> None:
    """Neither in it, nor anywhere else."""
    mallory = RSAKey.generate_key(2048, {"kid": "k1"})
    fetched: list[str] = []

    async def keys(request: Request) -> Response:
        fetched.append(str(request.url))
        return JSONResponse(KeySet([mallory]).as_dict(private=False))

    async with listen([Route("/keys", keys)]) as elsewhere, site(issuer.settings()) as found:
        for pointer in (
            {"jku": f"{elsewhere}/keys"},
            {"x5u": f"{elsewhere}/keys"},
            {"kid": f"{elsewhere}/keys"},
            {"jwk": mallory.as_dict(private=False)},
        ):
            header = {"alg": "RS256", "kid": "k1", **pointer}
            issuer.forge = lambda _, claims, header=header: _signed(header, claims, mallory)
            back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
            assert back.headers["location"] == FAILED
        assert fetched == []
        assert found.people.identities == []


@pytest.mark.parametrize("kind", ["shared", "for encryption"])
async def test_keys_that_may_not_sign(site: Any, issuer: Any, kind: str) -> None:
    """A key set may hold more than keys for signatures; the metadata may say anything."""
    shared = kind == "shared"
    secret = OctKey.import_key("k" * 32, {"kid": "k2", "use": "sig"})
    used = secret if shared else RSAKey.generate_key(2048, {"kid": "k2", "use": "enc"})
    algorithm = "HS256" if shared else "RS256"
    issuer.more_keys = [used.as_dict(private=shared)]
    issuer.metadata["id_token_signing_alg_values_supported"] = ["HS256", "RS256"]
    async with site(issuer.settings()) as found:
        issuer.forge = lambda header, claims: jwt.encode(
            {"alg": algorithm, "kid": "k2"}, claims, secret if shared else _signing(used)
        )
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.headers["location"] == FAILED
        issuer.forge = None  # the others of the set are good
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.headers["location"] == CLIENT


def _signing(key: Any) -> RSAKey:
    """The same key, without what it is for."""
    values = {name: value for name, value in key.as_dict(private=True).items() if name != "use"}
    return RSAKey.import_key(values)


NEARLY: list[Callable[[str], str]] = [
    lambda issuer: issuer + "/",
    lambda issuer: issuer + "/tenant",
    lambda issuer: issuer + ".evil.example",
    lambda issuer: issuer + "@evil.example",
    lambda issuer: issuer + "#",
    lambda issuer: issuer + " ",
    lambda issuer: issuer.replace("http", "https"),
    lambda issuer: issuer.upper(),
    lambda issuer: issuer.removeprefix("http://"),
]


@pytest.mark.parametrize("change", NEARLY)
async def test_issuer_is_compared_exactly(
    site: Any, issuer: Any, change: Callable[[str], str]
) -> None:
    issuer.changes = {"iss": change(issuer.address)}
    async with site(issuer.settings()) as found:
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada"))
        assert back.headers["location"] == FAILED
        assert found.people.identities == []


async def test_host_of_a_request_decides_nothing(site: Any, issuer: Any) -> None:
    """Neither where the provider sends people back to, nor where they go then."""
    async with site(issuer.settings()) as found:

        async def visit(path: str) -> httpx2.Response:
            response: httpx2.Response = await found.browser.get(path, headers=EVIL)
            assert "evil" not in response.headers["location"]
            assert "evil" not in str(response.headers.get_list("set-cookie"))
            return response

        location = (await visit("/oauth/openid")).headers["location"]
        sent = parse_qs(urlsplit(location).query)
        assert sent["redirect_uri"] == [f"{CLIENT}/oauth/openid/callback"]
        back = issuer.agree(location, "ada").removeprefix(CLIENT)
        assert (await visit(back)).headers["location"] == CLIENT
        assert (await visit("/oauth/openid/callback?error=x&state=y")).headers["location"] == FAILED
        assert (await visit("/oauth/error")).headers["location"] == FAILED


async def test_verifier_is_sent_and_belongs_to_the_sign_in(site: Any, issuer: Any) -> None:
    """PKCE: a code that was begun with another challenge gets no tokens, and the challenge
    is never the verifier itself."""
    async with site(issuer.settings(OPENID_USE_PKCE="true")) as found:
        first, second = await found.start("openid"), await found.start("openid")
        one, two = (parse_qs(urlsplit(each).query) for each in (first, second))
        assert one["code_challenge"] != two["code_challenge"]
        assert one["code_challenge_method"] == two["code_challenge_method"] == ["S256"]
        # Mallory's code, in an answer to the other sign-in.
        code = parse_qs(urlsplit(issuer.agree(first, "mallory")).query)["code"][0]
        back = f"{CLIENT}/oauth/openid/callback?code={code}&state={two['state'][0]}"
        assert (await found.come_back(back)).headers["location"] == FAILED
        assert issuer.asked[-1]["code_verifier"] not in str(one) + str(two)
        assert found.people.identities == []
