"""Access tokens of an OpenID issuer as bearers (contract agents-api §1)."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from locutory import StartupError
from locutory_agentsapi import access_tokens, issuer_keys
from locutory_testing import Serve
from locutory_testing.network import ForwardProxy

NOT_ACCEPTED = {
    "error": {
        "message": "Invalid API key",
        "type": "invalid_request_error",
        "code": "invalid_api_key",
    }
}
UNAUTHORIZED = {"error": "Unauthorized"}


class Issuer:
    """An OpenID issuer: a discovery document, and keys."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[RSAKey | ECKey] = [RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})]
        self.asked: list[str] = []
        self.down = False
        self.discovery: dict[str, Any] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        found: Any = {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path.startswith("/.well-known"):
            found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}
        body = json.dumps(found).encode()
        status = b"503 Down" if self.down else b"200 OK"
        head = b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    def sign(self, key: Any = None, alg: str = "RS256", header: Any = None, **claims: Any) -> str:
        """A good token, but for what is said otherwise; ``None`` leaves a claim out."""
        moment = int(time.time())
        says = {
            "iss": self.url,
            "aud": "agents",
            "sub": "ann",
            "iat": moment,
            "exp": moment + 300,
            "scope": "openid agents.use",
            **claims,
        }
        chosen = key or self.keys[0]
        parts = {"alg": alg, "kid": chosen.kid, **(header or {})}
        parts = {name: value for name, value in parts.items() if value is not None}
        says = {name: value for name, value in says.items() if value is not None}
        return jwt.encode(parts, says, chosen, algorithms=[alg])

    def yaml(self, *, keys: bool = True, **oidc: Any) -> dict[str, Any]:
        auth = {
            "apiKey": {"enabled": keys},
            "oidc": {"enabled": True, "issuer": self.url, "audience": "agents", **oidc},
        }
        return {"endpoints": {"agents": {"remoteApi": {"auth": auth}}}}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    async with server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield found


async def test_a_token_stands_for_its_subject(world: Any, issuer: Issuer) -> None:
    async with world(yaml=issuer.yaml()) as it:
        it.registry.subjects["ann"] = it.ann.id
        token = issuer.sign(email="ann@example.com", email_verified=True, oid="source")
        for _ in range(3):
            assert (await it.use(token)).status_code == 200
        body = {"model": "agent_x"}
        chat = await it.use(token, "POST", "/api/agents/v1/chat/completions", body)
        assert chat.json()["error"]["code"] == "model_not_found"
        (identity,) = it.registry.identities
        assert (identity.provider, identity.key, identity.subject) == ("openid", "openidId", "ann")
        assert identity.issuer == issuer.url
        assert (identity.email, identity.email_verified) == ("ann@example.com", True)
        assert identity.fields == {"idOnTheSource": "source"}
        assert not identity.issuer_configured
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
        # Keys are as good as before.
        assert (await it.use((await it.ann.make())["key"])).status_code == 200


async def test_the_issuer_is_asked_through_the_proxy(world: Any, issuer: Issuer) -> None:
    async with ForwardProxy().running() as proxy:
        for exceptions, lines in (("127.0.0.1", 0), ("", 2)):
            environment = {"PROXY": proxy.place, "NO_PROXY": exceptions}
            async with world(yaml=issuer.yaml(), environment=environment) as it:
                it.registry.subjects["ann"] = it.ann.id
                assert (await it.use(issuer.sign())).status_code == 200
            assert len(proxy.seen) == lines
    assert proxy.seen[1] == f"GET {issuer.url}/keys"


async def test_the_scheme_is_read_in_any_case(world: Any, issuer: Issuer) -> None:
    async with world(yaml=issuer.yaml(keys=False)) as it:
        it.registry.subjects["ann"] = it.ann.id
        headers = {"authorization": f"bearer  {issuer.sign()}"}
        answer = await it.server.client.get("/api/agents/v1/models", headers=headers)
        assert answer.status_code == 200


async def test_the_owner_must_be_there_and_may(world: Any, issuer: Issuer) -> None:
    async with world(yaml=issuer.yaml(keys=False)) as it:
        stranger = await it.use(issuer.sign(sub="nobody"))
        assert (stranger.status_code, stranger.json()) == (401, UNAUTHORIZED)
        it.registry.subjects["ann"] = it.ann.id
        token = issuer.sign()
        assert (await it.use(token)).status_code == 200
        it.registry.barred.add(it.ann.id)
        assert (await it.use(token)).json() == UNAUTHORIZED
        it.registry.barred.clear()
        it.registry.accounts[it.ann.id]["role"] = "USER"
        answer = await it.use(token)
        assert answer.status_code == 403
        assert answer.json() == {"message": "Forbidden: Insufficient permissions"}


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unsigned(issuer: Issuer, alg: str) -> str:
    return f"{_part({'alg': alg, 'kid': 'one'})}.{issuer.sign().split('.')[1]}."


def _by_public_key(issuer: Issuer) -> str:
    """HS256 with the PEM of the public key for its secret."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{issuer.sign().split('.')[1]}"
    pem = issuer.keys[0].as_pem(private=False)
    return f"{signed}.{_part(hmac.digest(pem, signed.encode(), 'sha256'))}"


def _critical(issuer: Issuer) -> str:
    """Well signed, with an extension that nobody understands."""
    header = _part({"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1})
    signed = f"{header}.{issuer.sign().split('.')[1]}"
    key: Any = issuer.keys[0].private_key
    return f"{signed}.{_part(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


OTHER_RSA = RSAKey.generate_key(2048, {"kid": "one"})
MOMENT = int(time.time())

FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "alg none": lambda issuer: _unsigned(issuer, "none"),
    "alg None": lambda issuer: _unsigned(issuer, "None"),
    "public key as a secret": _by_public_key,
    "another key": lambda issuer: issuer.sign(OTHER_RSA),
    "another kind of key": lambda issuer: issuer.sign(
        ECKey.generate_key("P-256", {"kid": "one"}), "ES256"
    ),
    "unknown key id": lambda issuer: issuer.sign(header={"kid": "two"}),
    "key in the header": lambda issuer: issuer.sign(
        OTHER_RSA, header={"jwk": OTHER_RSA.as_dict(private=False)}
    ),
    "crit": _critical,
    "changed afterwards": lambda issuer: ".".join(
        (issuer.sign().split(".")[0], issuer.sign(sub="bob").split(".")[1], "x")
    ),
    "another issuer": lambda issuer: issuer.sign(iss="http://127.0.0.1:1"),
    "issuer that begins like ours": lambda issuer: issuer.sign(iss=issuer.url + "0"),
    "no issuer": lambda issuer: issuer.sign(iss=None),
    "another audience": lambda issuer: issuer.sign(aud="others"),
    "other audiences": lambda issuer: issuer.sign(aud=["others", "agents2"]),
    "no audience": lambda issuer: issuer.sign(aud=None),
    "expired": lambda issuer: issuer.sign(exp=MOMENT - 1),
    "for ever": lambda issuer: issuer.sign(exp=None),
    "expires some day": lambda issuer: issuer.sign(exp="soon"),
    "not yet": lambda issuer: issuer.sign(nbf=MOMENT + 3600),
    "no subject": lambda issuer: issuer.sign(sub=None),
    "empty subject": lambda issuer: issuer.sign(sub=""),
    "an object for a subject": lambda issuer: issuer.sign(sub={"$ne": ""}),
    "no scope": lambda issuer: issuer.sign(scope=None),
    "another scope": lambda issuer: issuer.sign(scope="agents.use2 agents"),
    "too long": lambda issuer: issuer.sign(extra="x" * 20_000),
    "text": lambda _: "a.b.c",
    "dots": lambda _: "..",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_forgeries(world: Any, issuer: Issuer, name: str) -> None:
    async with world(yaml=issuer.yaml(scope="agents.use")) as it:
        it.registry.subjects.update({"ann": it.ann.id, "": it.ann.id})
        answer = await it.use(FORGERIES[name](issuer))
        assert (answer.status_code, answer.json()) == (401, NOT_ACCEPTED)
        assert it.registry.identities == []
        assert (await it.use(issuer.sign())).status_code == 200


async def test_shapes_that_are_good(world: Any, issuer: Issuer) -> None:
    curve = ECKey.generate_key("P-256", {"kid": "curve"})
    issuer.keys.append(curve)
    async with world(yaml=issuer.yaml(scope="a b")) as it:
        it.registry.subjects["ann"] = it.ann.id
        for token in (
            issuer.sign(scope="b c a"),
            issuer.sign(scp=["a", "b"], scope="x"),
            issuer.sign(scp="a b"),
            issuer.sign(scope="a b", aud=["x", "agents"]),
            issuer.sign(scope="a b", iss=issuer.url + "/"),
            issuer.sign(curve, "ES256", scope="a b"),
            issuer.sign(alg="PS256", scope="a b"),
        ):
            assert (await it.use(token)).status_code == 200


async def test_answers_without_keys(world: Any, issuer: Issuer) -> None:
    async with world(yaml=issuer.yaml(keys=False)) as it:
        made = await it.ann.make()
        for bearer, body in (
            (made["key"], UNAUTHORIZED),
            ("a.b.c", UNAUTHORIZED),
        ):
            answer = await it.use(bearer)
            assert (answer.status_code, answer.json()) == (401, body)
        for headers in ({}, {"authorization": "Basic abc"}):
            answer = await it.server.client.get("/api/agents/v1/models", headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": "Bearer token required"}


async def test_keys_that_change(
    world: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "BELIEVED_SECONDS", 0.0)
    async with world(yaml=issuer.yaml()) as it:
        it.registry.subjects["ann"] = it.ann.id
        assert (await it.use(issuer.sign())).status_code == 200
        issuer.keys = [RSAKey.generate_key(2048, {"kid": "two"})]
        asked = len(issuer.asked)
        for _ in range(5):  # unknown ids do not make us ask again and again
            assert (await it.use(issuer.sign())).status_code == 401
        assert len(issuer.asked) == asked
        monkeypatch.setattr(issuer_keys, "_UNKNOWN_KEY_SECONDS", 0.0)
        assert (await it.use(issuer.sign())).status_code == 200


async def test_an_issuer_that_is_down(
    world: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "BELIEVED_SECONDS", 0.0)
    environment = {"OPENID_JWKS_URL_CACHE_ENABLED": "false", "OPENID_ISSUER": f"{issuer.url}/"}
    async with world(yaml=issuer.yaml(), environment=environment) as it:
        it.registry.subjects["ann"] = it.ann.id
        issuer.down = True
        assert (await it.use(issuer.sign())).status_code == 401
        assert (await it.use((await it.ann.make())["key"])).status_code == 200
        issuer.down = False
        monkeypatch.setattr(issuer_keys, "_UNKNOWN_KEY_SECONDS", 0.0)
        assert (await it.use(issuer.sign())).status_code == 200
        assert it.registry.identities[0].issuer_configured
        issuer.down = True
        assert (await it.use(issuer.sign())).status_code == 200


@pytest.mark.parametrize(
    "discovery", [{"issuer": "http://127.0.0.1:1"}, {"jwks_uri": "http://example.com/keys"}]
)
async def test_discovery_that_leads_elsewhere(
    world: Any, issuer: Issuer, discovery: dict[str, str]
) -> None:
    issuer.discovery = discovery
    async with world(yaml=issuer.yaml()) as it:
        it.registry.subjects["ann"] = it.ann.id
        assert (await it.use(issuer.sign())).status_code == 401
    async with world(yaml=issuer.yaml(jwksUri=f"{issuer.url}/keys")) as it:
        it.registry.subjects["ann"] = it.ann.id
        assert (await it.use(issuer.sign())).status_code == 200


@pytest.mark.parametrize(
    "oidc",
    [
        {"enabled": True},
        {"enabled": True, "issuer": "https://id.example"},
        {"enabled": True, "audience": "agents"},
        {"enabled": True, "audience": "agents", "issuer": "http://id.example"},
        {
            "enabled": True,
            "audience": "agents",
            "issuer": "https://id.example",
            "jwksUri": "http://x",
        },
    ],
)
async def test_settings_that_cannot_work_stop_the_start(serve: Serve, oidc: Any) -> None:
    yaml = {"endpoints": {"agents": {"remoteApi": {"auth": {"oidc": oidc}}}}}
    with pytest.raises(StartupError, match="remoteApi"):
        async with serve("agentsapi", yaml=yaml):
            pass
