"""OpenID providers for the tests: a real one, and one that can be made to lie."""

import hashlib
import secrets
import socket
import subprocess
import sys
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locutory_testing.waiting import free_port, wait_until_it_listens


@dataclass(slots=True)
class OidcProvider:
    """oidc-provider-mock, a real OpenID provider, at ``issuer``. ``added``: the people whom this
    test gave their claims; everybody else has an address of their name and nothing more,
    whatever an earlier test said of them."""

    issuer: str
    added: set[str] = field(default_factory=set)

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "OPENID_CLIENT_ID": "locutory",
            "OPENID_CLIENT_SECRET": "secret-of-the-client",
            "OPENID_ISSUER": self.issuer,
            "OPENID_SCOPE": "openid profile email",
            "OPENID_SESSION_SECRET": "secret-of-the-session",
            **more,
        }

    async def add(self, subject: str, **claims: Any) -> None:
        self.added.add(subject)
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.put(f"{self.issuer}/users/{subject}", json=claims)

    async def revoke(self, subject: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.post(f"{self.issuer}/users/{subject}/revoke-tokens")

    async def agree(self, location: str, subject: str) -> str:
        """Sign in there; where the browser is sent then."""
        if subject not in self.added:
            await self.add(subject, email=f"{subject}@example.com")
        return await self._post(location, {"sub": subject})

    async def deny(self, location: str) -> str:
        return await self._post(location, {"action": "deny"})

    @staticmethod
    async def _post(location: str, form: dict[str, str]) -> str:
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.post(location, data=form)
        assert response.status_code in (302, 303), response.text
        return str(response.headers["location"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def oidc(oidc_issuer: str) -> OidcProvider:
    return OidcProvider(oidc_issuer)


@pytest.fixture(scope="session")
def oidc_issuer() -> Iterator[str]:
    """A process of its own: its libraries warn, and our tests make warnings errors."""
    pytest.importorskip("werkzeug", reason="oidc-provider-mock is not installed")
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    program = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock"]
    process = subprocess.Popen(
        [*program, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(process, port, "oidc-provider-mock")
        yield issuer
    finally:
        process.terminate()
        process.wait()


Forge = Callable[[dict[str, Any], dict[str, Any]], str]


@dataclass
class Issuer:
    """An OpenID provider that does as the test says. ``forge`` makes the id token from its
    header and claims; ``told`` is what the user info says besides ``sub``; ``asked`` are the
    requests for tokens, as forms with the client's credentials. ``takes``: does it take the
    client's credentials of such a form? ``token_answer``: what the token endpoint answers
    instead of tokens; ``token_members``: what its answers hold besides; ``signed_info`` makes
    the body of the user info and its media type from the claims."""

    address: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    metadata: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] | None = None
    takes: Callable[[dict[str, str]], bool] = lambda _: True
    token_answer: tuple[int, str] | None = None
    token_members: dict[str, Any] = field(default_factory=dict)
    signed_info: Callable[[dict[str, Any]], tuple[str, str]] | None = None
    forge: Forge | None = None
    refreshed: dict[str, Any] = field(default_factory=dict)
    access_claims: dict[str, Any] | None = None
    with_id_token: bool = True
    with_refresh_token: bool = True
    life: int = 3600
    asked: list[dict[str, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    revocation_status: int = 200
    graph: dict[str, list[Any]] = field(default_factory=dict)
    keys_fetched: int = 0
    keys_down: bool = False
    more_keys: list[dict[str, Any]] = field(default_factory=list)
    next_page: str = ""
    exchange_error: str = ""
    exchange_life: int = 3600
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    refresh_tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "OPENID_CLIENT_ID": "locutory",
            "OPENID_CLIENT_SECRET": "secret-of-the-client",
            "OPENID_ISSUER": self.address,
            "OPENID_SCOPE": "openid profile email offline_access",
            "OPENID_SESSION_SECRET": "secret-of-the-session",
            **more,
        }

    def agree(self, location: str, subject: str, *, add: str = "", **claims: Any) -> str:
        """Sign in there; where the browser is sent then. ``add`` goes into that address. A
        claim that is ``None`` is left out."""
        sent = dict(parse_qsl(urlsplit(location).query))
        code = secrets.token_urlsafe(16)
        usual = {"sub": subject, "email": f"{subject}@example.org"}
        self.grants[code] = {"sent": sent, "claims": {**usual, **claims}}
        answer = urlencode({"code": code, "state": sent["state"]})
        return f"{sent['redirect_uri']}?{answer}{add}"

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        """A token with this issuer's signature."""
        return jwt.encode({"alg": "RS256", "kid": "k1", **header}, claims, self.key)

    def claims(self, client_id: str, **claims: Any) -> dict[str, Any]:
        moment = int(time.time())
        usual = {"iss": self.address, "aud": client_id, "iat": moment, "exp": moment + self.life}
        merged = {**usual, **claims, **self.changes}
        return {name: value for name, value in merged.items() if value is not None}

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/token", self._token, methods=["POST"]),
            Route("/revoke", self._revoke, methods=["POST"]),
            Route("/userinfo", self._userinfo),
            Route("/v1.0/me/{what:path}", self._graph, methods=["GET", "POST"]),
        ]

    async def _discovery(self, request: Request) -> Response:
        found = {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "userinfo_endpoint": f"{self.address}/userinfo",
            "end_session_endpoint": f"{self.address}/logout?tenant=1",
            "revocation_endpoint": f"{self.address}/revoke",
            **self.metadata,
        }
        return JSONResponse(found)

    async def _keys(self, request: Request) -> Response:
        self.keys_fetched += 1
        if self.keys_down:
            return JSONResponse({"error": "down"}, 503)
        own = KeySet([self.key]).as_dict(private=False)
        return JSONResponse({"keys": [*self.more_keys, *own["keys"]]})

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        basic = request.headers.get("authorization", "")
        if basic.startswith("Basic "):
            form["basic"] = b64decode(basic[6:]).decode()
        self.asked.append(form)
        if self.token_answer is not None:
            return Response(self.token_answer[1], self.token_answer[0])
        if not self.takes(form):
            return JSONResponse({"error": "invalid_client"}, 401)
        kind = form["grant_type"]
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            if self.exchange_error:
                return JSONResponse({"error": self.exchange_error}, 400)
            exchanged = f"{form['assertion']}~{form['scope']}"
            return JSONResponse({"access_token": exchanged, "expires_in": self.exchange_life})
        if kind == "refresh_token":
            grant = self.refresh_tokens.pop(form["refresh_token"], None)
        else:
            grant = self.grants.pop(form["code"], None)
        if grant is None or not self._knows_verifier(grant["sent"], form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self._tokens(grant, renewed=kind == "refresh_token"))

    @staticmethod
    def _knows_verifier(sent: dict[str, str], form: dict[str, str]) -> bool:
        if form["grant_type"] == "refresh_token" or "code_challenge" not in sent:
            return True
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode() == sent["code_challenge"]

    def _tokens(self, grant: dict[str, Any], *, renewed: bool) -> dict[str, Any]:
        sent = grant["sent"]
        access = secrets.token_urlsafe(16)
        if self.access_claims is not None:
            access = self.token(
                self.claims(**{"client_id": "api", **grant["claims"], **self.access_claims})
            )
        found: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        claims = self.claims(sent["client_id"], **grant["claims"])
        if not renewed:
            claims.setdefault("nonce", sent["nonce"])
        else:
            claims.update(self.refreshed)
        found |= self.token_members
        if self.with_id_token:
            header = {"alg": "RS256", "kid": "k1"}
            forge = self.forge or (lambda header, claims: jwt.encode(header, claims, self.key))
            found["id_token"] = forge(header, claims)
        if self.with_refresh_token:
            found["refresh_token"] = secrets.token_urlsafe(16)
            self.refresh_tokens[found["refresh_token"]] = grant
        self.grants[f"access:{access}"] = grant
        return found

    async def _revoke(self, request: Request) -> Response:
        token = str((await request.form())["token"])
        self.revoked.append(token)
        self.refresh_tokens.pop(token, None)
        return Response(status_code=self.revocation_status)

    async def _userinfo(self, request: Request) -> Response:
        access = request.headers["authorization"].removeprefix("Bearer ").partition("~")[0]
        grant = self.grants[f"access:{access}"]
        told = {"sub": grant["claims"]["sub"], **(self.told or {})}
        if self.signed_info is not None:
            body, kind = self.signed_info(told)
            return Response(body, media_type=kind)
        return JSONResponse(told)

    async def _graph(self, request: Request) -> Response:
        """Groups in pages of two; only with a token that was exchanged."""
        if "~" not in request.headers["authorization"]:
            return JSONResponse({"error": "InvalidAudience"}, 401)
        what = request.path_params["what"]
        values = self.graph.get(what)
        if values is None:
            return JSONResponse({"error": "forbidden"}, 403)
        start = int(request.query_params.get("$skip", "0"))
        page: dict[str, Any] = {"value": values[start : start + 2]}
        if len(values) > start + 2:
            more = f"{self.address}/v1.0/me/{what}?$skip={start + 2}"
            page["@odata.nextLink"] = self.next_page or more
        return JSONResponse(page)


@pytest.fixture
async def issuer(listen: Any) -> AsyncIterator[Issuer]:
    """A provider on this machine that can be made to lie."""
    made = Issuer()
    async with listen(made.routes()) as address:
        made.address = address
        yield made
