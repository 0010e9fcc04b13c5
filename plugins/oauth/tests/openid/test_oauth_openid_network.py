"""Providers behind a proxy or with a certificate of a private authority."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from locutory_oauth.http_client import reason_of
from locutory_testing.network import Authority, ForwardProxy

CLIENT = "http://localhost:3080"


async def signed_in(found: Any, oidc: Any) -> bool:
    """Discovery, token, keys and user info, all with the provider."""
    await oidc.add("ada", email="ada@example.com", email_verified=True)
    back = await found.come_back(await oidc.agree(await found.start("openid"), "ada"))
    return bool(back.headers["location"] == CLIENT)


@pytest.mark.parametrize(
    ("environment", "through"),
    [
        ({"PROXY": "{place}"}, True),
        ({"http_proxy": "http://{place}"}, True),
        ({"PROXY": "http://{place}", "NO_PROXY": "localhost,127.0.0.1"}, False),
        ({"HTTP_PROXY": "http://{place}", "no_proxy": "127.0.0.0/8"}, False),
    ],
)
async def test_a_proxy_is_used_unless_the_provider_is_excepted(
    site: Any, oidc: Any, environment: dict[str, str], through: bool
) -> None:
    async with ForwardProxy().running() as proxy:
        given = {name: value.format(place=proxy.place) for name, value in environment.items()}
        async with site(oidc.settings(**given)) as found:
            assert await signed_in(found, oidc)
        asked = {line.partition(oidc.issuer)[2].partition("?")[0] for line in proxy.seen}
        discovery = "/.well-known/openid-configuration"
        assert asked == ({discovery, "/oauth2/token", "/jwks", "/userinfo"} if through else set())


async def test_a_private_authority(
    site: Any, serve_tls: Callable[..., Any], tmp_path: Path, capfd: Any
) -> None:
    """Without key identifiers, which Python 3.13 wants and Node does not."""
    authority = Authority(tmp_path, key_identifiers=False)
    async with serve_tls(authority) as settings:
        async with site({**settings, "NODE_EXTRA_CA_CERTS": str(authority.file)}) as found:
            assert (await found.start("openid")).startswith(settings["OPENID_ISSUER"])
        async with site(settings) as found:
            answer = await found.browser.get("/oauth/openid")
            assert answer.status_code == 302
            assert answer.headers["location"].startswith(f"{CLIENT}/login")
    assert "certificate is not trusted" in capfd.readouterr().out


def test_reasons_have_the_status() -> None:
    """An answer of 500 at the token endpoint is told as that."""
    request = httpx2.Request("POST", "https://provider.example/token?code=secret")
    failed = httpx2.HTTPStatusError("x", request=request, response=httpx2.Response(500))
    assert reason_of(failed) == "HTTPStatusError 500"
    assert reason_of(httpx2.ConnectError("refused")) == "ConnectError: refused"
    assert reason_of(TimeoutError()) == "TimeoutError"


@pytest.fixture
def serve_tls() -> Callable[..., Any]:
    """The discovery document of an issuer that speaks TLS."""

    @asynccontextmanager
    async def run(authority: Authority) -> Any:
        issuer = ""

        async def document(request: Request) -> JSONResponse:
            paths = ("authorization", "token", "userinfo")
            found = {f"{name}_endpoint": f"{issuer}/{name}" for name in paths}
            return JSONResponse({"issuer": issuer, "jwks_uri": f"{issuer}/keys", **found})

        certificate = str(authority.certificate("localhost"))
        app = Starlette(routes=[Route("/.well-known/openid-configuration", document)])
        config = uvicorn.Config(
            app, port=0, log_config=None, lifespan="off", ssl_certfile=certificate
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
            await asyncio.sleep(0.01)
        issuer = f"https://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
        yield {
            "OPENID_CLIENT_ID": "locutory",
            "OPENID_CLIENT_SECRET": "secret",
            "OPENID_ISSUER": issuer,
            "OPENID_SCOPE": "openid",
            "OPENID_SESSION_SECRET": "secret",
        }
        server.should_exit = True
        await task

    return run
