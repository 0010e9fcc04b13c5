"""Every forgery of a token at every place that takes one (security §4): the access token of a
route, the refresh cookie, and the temporary token of the second factor."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SECRET = "test-jwt-secret-test-jwt-secret-test"
REFRESH_SECRET = "test-refresh-secret-test-refresh-secret"
TOTP = "JBSWY3DPEHPK3PXP"

Claims = dict[str, Any]


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _hmac(claims: Claims, key: bytes, header: dict[str, Any] | None = None) -> str:
    """Signed with any bytes, also those that a library refuses for a key."""
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', **(header or {})})}.{_part(claims)}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{signed}.{_part(algorithm.sign(signed.encode(), key))}"


def _rsa_and_back(claims: Claims, secret: str) -> str:
    """HS256 with the PEM of a public key for its secret."""
    pem = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return _hmac(claims, pem)


def _flipped(claims: Claims, secret: str) -> str:
    """A good token with one claim changed afterwards."""
    head, _, signature = jwt.encode(claims, secret).split(".")
    return f"{head}.{_part({**claims, 'role': 'ADMIN'})}.{signature}"


FORGERIES: dict[str, Callable[[Claims, str], str]] = {
    "alg none": lambda claims, _: jwt.encode(claims, "", "none"),
    "alg None, and a signature": lambda claims, _: (
        f"{_part({'alg': 'None', 'typ': 'JWT'})}.{_part(claims)}.xxxx"
    ),
    "no alg": lambda claims, secret: _hmac(claims, secret.encode(), {"alg": None}),
    "alg as a list": lambda claims, secret: _hmac(claims, secret.encode(), {"alg": ["HS256"]}),
    "HS384": lambda claims, secret: jwt.encode(claims, secret * 2, "HS384"),
    "HS512": lambda claims, secret: jwt.encode(claims, secret * 2, "HS512"),
    "RS256": lambda claims, _: jwt.encode(
        claims, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"
    ),
    "ES256": lambda claims, _: jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "public key as the secret": _rsa_and_back,
    "empty secret": lambda claims, _: _hmac(claims, b""),
    "another secret": lambda claims, secret: _hmac(claims, secret.encode() + b"x"),
    "key in the header": lambda claims, _: _hmac(
        claims, b"attacker", {"jwk": {"kty": "oct", "k": _part(b"attacker")}}
    ),
    "kid of an empty file": lambda claims, _: _hmac(claims, b"", {"kid": "/dev/null"}),
    "crit": lambda claims, secret: _hmac(claims, secret.encode(), {"crit": ["x"], "x": 1}),
    "changed afterwards": _flipped,
    "expired": lambda claims, secret: _hmac({**claims, "exp": 1}, secret.encode()),
    "expired a second ago": lambda claims, secret: _hmac(
        {**claims, "exp": int(time.time()) - 1}, secret.encode()
    ),
    "expires never": lambda claims, secret: _hmac(
        {key: value for key, value in claims.items() if key != "exp"}, secret.encode()
    ),
    "expires some day": lambda claims, secret: _hmac({**claims, "exp": "soon"}, secret.encode()),
    "not yet": lambda claims, secret: _hmac(
        {**claims, "nbf": int(time.time()) + 60}, secret.encode()
    ),
    "no claims": lambda _, secret: _hmac([], secret.encode()),  # type: ignore[arg-type]
    "of another kind": lambda claims, secret: _hmac(
        {"exp": claims["exp"], "sub": "x"}, secret.encode()
    ),
    "cut off": lambda claims, secret: _hmac(claims, secret.encode())[:-2],
    "text": lambda *_: "a.b.c",
}


@pytest.fixture
async def ann(someone: Any, code_of: Any) -> Any:
    """Somebody with all three kinds of token."""
    await someone.add("ann@example.com")
    answer = await someone.login("ann@example.com")
    someone.access = answer.json()["token"]
    cookies = answer.headers.get_list("set-cookie")
    someone.refresh = cookies[0].partition("=")[2].partition(";")[0]
    await someone.protect(TOTP)
    someone.temporary = await someone.pending()
    someone.server.client.cookies.clear()
    return someone


async def at_the_route(ann: Any, token: str) -> tuple[int, bool]:
    answer = await ann.me(token)
    return answer.status_code, "account" in answer.json()


async def at_refresh(ann: Any, token: str) -> tuple[int, bool]:
    headers = {"cookie": f"refreshToken={token}"}
    answer = await ann.server.client.post("/api/auth/refresh", headers=headers)
    return answer.status_code, "token" in answer.text and answer.status_code == 200


async def at_the_second_factor(ann: Any, token: str, code: str) -> tuple[int, bool]:
    answer = await ann.post("/api/auth/2fa/verify-temp", {"tempToken": token, "token": code})
    return answer.status_code, "set-cookie" in answer.headers


@pytest.mark.parametrize("name", FORGERIES)
async def test_forgeries_open_nothing(ann: Any, code_of: Any, name: str) -> None:
    forge, code = FORGERIES[name], code_of(TOTP)
    access, refresh, temporary = (
        jwt.decode(token, options={"verify_signature": False})
        for token in (ann.access, ann.refresh, ann.temporary)
    )
    assert await at_the_route(ann, forge(access, SECRET)) == (401, False)
    assert await at_refresh(ann, forge(refresh, REFRESH_SECRET)) == (403, False)
    assert await at_the_second_factor(ann, forge(temporary, SECRET), code) == (401, False)
    assert len(await ann.rows("sessions")) == 1
    # None of it has done any harm to the real ones.
    assert (await at_the_route(ann, ann.access))[0] == 200
    assert await at_refresh(ann, ann.refresh) == (200, True)
    assert await at_the_second_factor(ann, ann.temporary, code) == (200, True)


async def test_a_token_opens_only_its_own_door(ann: Any, code_of: Any) -> None:
    code = code_of(TOTP)
    openid_cookie = jwt.encode(
        {"id": jwt.decode(ann.refresh, options={"verify_signature": False})["id"], "exp": 2**32},
        REFRESH_SECRET,
    )
    for token in (ann.refresh, ann.temporary, openid_cookie):
        assert await at_the_route(ann, token) == (401, False)
    for token in (ann.access, ann.temporary, openid_cookie):
        assert await at_refresh(ann, token) == (403, False)
    for token in (ann.access, ann.refresh, openid_cookie):
        assert await at_the_second_factor(ann, token, code) == (401, False)
