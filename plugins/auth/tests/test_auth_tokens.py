"""What an access token must be (contract kernel §6; security §4)."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SECRET = "test-jwt-secret-test-jwt-secret-test"
REFRESH_SECRET = "test-refresh-secret-test-refresh-secret"


@pytest.fixture
async def claims(someone: Any) -> dict[str, Any]:
    """The claims of a good token."""
    await someone.add("ann@example.com")
    user = await someone.account("ann@example.com")
    moment = int(time.time())
    return {"id": str(user["_id"]), "iat": moment, "exp": moment + 900}


async def refused(someone: Any, token: str, message: str) -> None:
    answer = await someone.me(token)
    assert (answer.status_code, answer.json()) == (401, {"message": message})


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_a_token_as_librechat_signs_it(someone: Any, claims: dict[str, Any]) -> None:
    answer = await someone.me(jwt.encode(claims, SECRET))
    body = answer.json()
    assert answer.status_code == 200
    assert body["role"] == "USER"
    assert body["account"]["email"] == "ann@example.com"
    assert {"password", "__v", "backupCodes"}.isdisjoint(body["account"])


async def test_a_clock_that_is_ahead_does_no_harm(someone: Any, claims: dict[str, Any]) -> None:
    token = jwt.encode({**claims, "iat": claims["iat"] + 120}, SECRET)
    assert (await someone.me(token)).status_code == 200


async def test_no_token(someone: Any) -> None:
    for header in (None, "", "Bearer", "Basic abc", "abc"):
        headers = {} if header is None else {"authorization": header}
        answer = await someone.server.client.get("/api/me", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"message": "No auth token"})


async def test_the_scheme_in_any_case(someone: Any, claims: dict[str, Any]) -> None:
    headers = {"authorization": f"bearer {jwt.encode(claims, SECRET)}"}
    assert (await someone.server.client.get("/api/me", headers=headers)).status_code == 200


NO_TOKENS = [
    ("abc", "jwt malformed"),
    ("a.b", "jwt malformed"),
    ("a.b.c.d", "jwt malformed"),
    ("not.a.jwt", "invalid token"),
    ("..", "jwt signature is required"),
    ("eyJhbGciOiJIUzI1NiJ9.e30.", "jwt signature is required"),
    ("eyJhbGciOiJIUzI1NiJ9.e30.xxxx", "invalid signature"),
    ("é.é.é", "invalid token"),
]


async def test_what_is_no_token(someone: Any) -> None:
    for token, message in NO_TOKENS:
        headers = {"authorization": f"Bearer {token}".encode("latin-1")}
        answer = await someone.server.client.get("/api/me", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"message": message}), token


async def test_alg_none(someone: Any, claims: dict[str, Any]) -> None:
    await refused(someone, jwt.encode(claims, "", algorithm="none"), "jwt signature is required")
    for name in ("none", "None", "NONE", "nOnE"):
        forged = f"{encoded({'alg': name, 'typ': 'JWT'})}.{encoded(claims)}.xxxx"
        await refused(someone, forged, "invalid algorithm")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_other_algorithms(someone: Any, claims: dict[str, Any], algorithm: str) -> None:
    # Longer than the algorithm wants is not what is tested here.
    long = SECRET * 2
    await refused(someone, jwt.encode(claims, long, algorithm=algorithm), "invalid algorithm")


async def test_a_key_of_another_kind(someone: Any, claims: dict[str, Any]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    await refused(someone, jwt.encode(claims, key, algorithm="RS256"), "invalid algorithm")
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        signed.encode(), pem
    )
    forged = f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    await refused(someone, forged, "invalid signature")


async def test_a_key_in_the_token(someone: Any, claims: dict[str, Any]) -> None:
    own = "attacker-key-attacker-key-attacker-key"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(own.encode()).decode().rstrip("=")}
    for header in ({"jwk": jwk}, {"kid": "../../dev/null"}, {"jku": "http://127.0.0.1/k"}):
        await refused(someone, jwt.encode(claims, own, headers=header), "invalid signature")


async def test_an_extension_nobody_understands(someone: Any, claims: dict[str, Any]) -> None:
    token = jwt.encode(claims, SECRET, headers={"crit": ["exp2"], "exp2": 1})
    await refused(someone, token, "invalid token")


async def test_time(someone: Any, claims: dict[str, Any]) -> None:
    moment = int(time.time())
    await refused(someone, jwt.encode({**claims, "exp": moment - 1}, SECRET), "jwt expired")
    await refused(someone, jwt.encode({**claims, "nbf": moment + 60}, SECRET), "jwt not active")
    endless = {key: value for key, value in claims.items() if key != "exp"}
    await refused(someone, jwt.encode(endless, SECRET), "invalid token")


async def test_signed_by_somebody_else(someone: Any, claims: dict[str, Any]) -> None:
    for secret in (REFRESH_SECRET, SECRET + "x", "x" * 40):
        await refused(someone, jwt.encode(claims, secret), "invalid signature")


OTHER_PURPOSES: list[dict[str, Any]] = [
    {"id": None},
    {"id": ""},
    {"id": 7},
    {"id": ["a"]},
    {"id": {"$gt": ""}},
    {"id": "x" * 24},
    {"id": "0" * 24},
    {"id": "a" * 12},
    {"twoFAPending": True},
    {"twoFAPending": False},
    {"sessionId": "0" * 24},
    {"scope": "agent_trigger"},
]


async def test_made_for_another_purpose(someone: Any, claims: dict[str, Any]) -> None:
    for changes in OTHER_PURPOSES:
        await refused(someone, jwt.encode({**claims, **changes}, SECRET), "Unauthorized")


async def test_for_another_audience(someone: Any, claims: dict[str, Any]) -> None:
    await refused(someone, jwt.encode({**claims, "aud": "code"}, SECRET), "invalid token")


async def test_without_id(someone: Any, claims: dict[str, Any]) -> None:
    await refused(someone, jwt.encode({"exp": claims["exp"]}, SECRET), "Unauthorized")


async def test_a_refresh_token_opens_nothing_even_with_one_secret(people: Any) -> None:
    async with people({"JWT_REFRESH_SECRET": SECRET}) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
        refresh = answer.headers.get_list("set-cookie")[0].partition("=")[2].partition(";")[0]
        await refused(someone, refresh, "Unauthorized")
        headers = {"cookie": f"refreshToken={answer.json()['token']}"}
        someone.server.client.cookies.clear()
        refreshed = await someone.server.client.post("/api/auth/refresh", headers=headers)
        assert refreshed.status_code == 403


async def test_the_tenant_that_is_the_system(someone: Any, claims: dict[str, Any]) -> None:
    users = someone.server.kernel.database.collection("users")
    await users.update_one({}, {"$set": {"tenantId": "__SYSTEM__"}})
    answer = await someone.me(jwt.encode(claims, SECRET))
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "System tenant is not allowed for request-scoped routes"},
    )


async def test_strict_tenants(people: Any) -> None:
    async with people({"TENANT_ISOLATION_STRICT": "true"}) as someone:
        await someone.add("ann@example.com")
        token = (await someone.login("ann@example.com")).json()["token"]
        answer = await someone.me(token)
        assert (answer.status_code, answer.json()) == (
            403,
            {"error": "Tenant context required in strict isolation mode"},
        )


async def test_an_account_without_a_role_gets_one(someone: Any, claims: dict[str, Any]) -> None:
    users = someone.server.kernel.database.collection("users")
    await users.update_one({}, {"$unset": {"role": ""}})
    assert (await someone.me(jwt.encode(claims, SECRET))).json()["role"] == "USER"
    assert (await someone.account("ann@example.com"))["role"] == "USER"
