"""The rules for every plugin, and the promises of this one about start-up and routes."""

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from locutory import HTTPError
from locutory.settings import KernelConfig
from locutory_contracts.sign_in import OpenedSession
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_oauth.login_state import secure
from locutory_oauth.plugin import OAuthPlugin
from locutory_testing import Serve
from locutory_testing.suite import PluginSuite

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
PROVIDERS = ("google", "github", "discord", "facebook", "apple", "openid", "saml")


class TestOAuth(PluginSuite):
    plugin: ClassVar[str] = "oauth"
    readme: ClassVar[Path] = Path(__file__).parents[1] / "README.md"


# Routes


async def test_routes_of_the_contract(serve: Serve) -> None:
    async with serve("oauth") as server:
        routes = {
            (method, route.path)
            for owner, route in server.kernel.routes.all()
            for method in route.methods
            if owner == "oauth"
        }
        for name in PROVIDERS:
            back = "POST" if name in ("apple", "saml") else "GET"
            assert ("GET", f"/oauth/{name}") in routes
            assert (back, f"/oauth/{name}/callback") in routes
        assert ("GET", "/oauth/error") in routes
        assert len(routes) == 15 + 2  # the second half of the two posted answers


async def test_nothing_configured(site: Any) -> None:
    async with site({}) as found:
        for name in PROVIDERS:
            assert await found.start(name) == FAILED
            method = "POST" if name in ("apple", "saml") else "GET"
            back = await found.browser.request(method, f"/oauth/{name}/callback", data={})
            assert back.headers["location"] == FAILED
            assert "set-cookie" not in back.headers


async def test_switched_off(site: Any, issuer_settings: dict[str, str], logged: Any) -> None:
    async with site({**issuer_settings, "ALLOW_SOCIAL_LOGIN": "false"}) as found:
        assert await found.start("google") == FAILED
        assert await found.start("openid") == FAILED
    assert "set ALLOW_SOCIAL_LOGIN=true" in logged.text()


@pytest.fixture
def issuer_settings() -> dict[str, str]:
    return {
        "GOOGLE_CLIENT_ID": "id",
        "GOOGLE_CLIENT_SECRET": "secret",
        "OPENID_CLIENT_ID": "id",
        "OPENID_CLIENT_SECRET": "secret",
        "OPENID_ISSUER": "http://127.0.0.1:9",
        "OPENID_SESSION_SECRET": "secret",
    }


async def test_limit_is_shared(site: Any) -> None:
    """All routes count, also those that fail (oauth trap 9)."""
    settings = {"LOGIN_MAX": "4", "LOGIN_WINDOW": "5", "LOGIN_VIOLATION_SCORE": "3"}
    async with site(settings) as found:
        for path in ("/oauth/error", "/oauth/google", "/oauth/openid/callback"):
            answer = await found.browser.get(path)
            assert answer.status_code == 302
            assert answer.headers["x-ratelimit-limit"] == "4"
        assert (await found.browser.post("/oauth/saml/callback")).status_code == 302
        answer = await found.browser.get("/oauth/github")
        assert answer.status_code == 429
        assert answer.json() == {
            "message": "Too many login attempts, please try again after 5 minutes."
        }
        assert answer.headers["retry-after"]
        routes = [route for owner, route in found.server.kernel.routes.all() if owner == "oauth"]
        limits = {limit.name for route in routes for limit in route.limits}
        assert limits == {"login_limiter"}


# Accounts


GITHUB = {"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret"}


@pytest.fixture
def arrive(listen: Any) -> Any:
    """Sign in through a GitHub that says who it is."""
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def tell(request: Request) -> Response:
        if request.method == "POST":
            return JSONResponse({"access_token": "t"})
        if request.url.path.endswith("/emails"):
            return JSONResponse([{"email": "a@x.org", "verified": True, "primary": True}])
        return JSONResponse({"id": 1, "login": "a"})

    async def run(found: Any, headers: dict[str, str] | None = None) -> Any:
        sent = dict(parse_qsl(urlsplit(await found.start("github")).query))
        path = f"/oauth/github/callback?code=x&state={sent['state']}"
        return await found.browser.get(path, headers=headers)

    run.routes = [Route("/{path:path}", tell, methods=["GET", "POST"])]  # type: ignore[attr-defined]
    return run


async def test_answers_of_the_accounts_pass_through(site: Any, listen: Any, arrive: Any) -> None:
    """A banned account hears so (contract oauth §3 step 4)."""
    ban = {"message": "Your account has been temporarily banned due to violations of our service."}

    async def banned(*_: Any, **__: Any) -> OpenedSession:
        raise HTTPError(403, ban)

    async with (
        listen(arrive.routes) as address,
        site(GITHUB, addresses={"github": address}) as found,
    ):
        found.people.open = banned
        answer = await arrive(found)
        assert answer.status_code == 403
        assert answer.json() == ban


async def test_faults_of_others_end_at_the_login_page(site: Any, listen: Any, arrive: Any) -> None:
    async def owes(*_: Any, **__: Any) -> OpenedSession:
        return OpenedSession(None, {}, second_factor="temporary")

    async def broken(*_: Any, **__: Any) -> OpenedSession:
        raise RuntimeError("broken")

    async with (
        listen(arrive.routes) as address,
        site(GITHUB, addresses={"github": address}) as found,
    ):
        for opening in (owes, broken):
            found.people.open = opening
            answer = await arrive(found)
            assert answer.headers["location"] == FAILED
            assert "set-cookie" not in answer.headers


async def test_without_accounts(serve: Serve, listen: Any, arrive: Any) -> None:
    async with listen(arrive.routes) as address:
        environment = {**GITHUB, "ALLOW_SOCIAL_LOGIN": "true"}
        plugin = OAuthPlugin({"github": address})
        async with serve(plugin, environment=environment) as server:
            start = await server.client.get("/oauth/github")
            sent = dict(parse_qsl(urlsplit(start.headers["location"]).query))
            path = f"/oauth/github/callback?code=x&state={sent['state']}"
            answer = await server.client.get(path)
            assert answer.status_code == 503
            assert answer.json()["code"] == "FEATURE_OFF"


async def test_tenant_of_the_proxy(site: Any, listen: Any, arrive: Any) -> None:
    for trusted, tenant in (("true", "acme"), ("false", None)):
        environment = {**GITHUB, "TRUST_TENANT_HEADER": trusted}
        async with (
            listen(arrive.routes) as address,
            site(environment, addresses={"github": address}) as found,
        ):
            await arrive(found, {"x-tenant-id": "acme"})
            assert found.people.identities[0].fields.get("tenantId") == tenant


# Start-up configuration


async def _members(serve: Serve, environment: dict[str, str], **options: Any) -> dict[str, Any]:
    async with serve("oauth", environment=environment, **options) as server:
        entry = server.kernel.services.named(STARTUP_CONFIG, "oauth")
        assert entry is not None
        return dict(entry.everyone())


async def test_startup_members(serve: Serve) -> None:
    members = await _members(serve, {})
    assert members == {
        "discordLoginEnabled": False,
        "facebookLoginEnabled": False,
        "githubLoginEnabled": False,
        "googleLoginEnabled": False,
        "appleLoginEnabled": False,
        "openidLoginEnabled": False,
        "openidLabel": "Continue with OpenID",
        "openidAutoRedirect": False,
        "samlLoginEnabled": False,
        "socialLoginEnabled": False,
        "socialLogins": ["google", "facebook", "openid", "github", "discord", "saml"],
    }


async def test_startup_members_of_what_is_configured(
    serve: Serve, issuer_settings: dict[str, str]
) -> None:
    saml = {
        "SAML_ENTRY_POINT": "https://idp.example.com",
        "SAML_ISSUER": "us",
        "SAML_CERT": "later",
        "SAML_SESSION_SECRET": "secret",
        "SAML_BUTTON_LABEL": "Company",
    }
    apple = {
        f"APPLE_{name}": "x" for name in ("CLIENT_ID", "TEAM_ID", "KEY_ID", "PRIVATE_KEY_PATH")
    }
    given = {**issuer_settings, **saml, **apple, "OPENID_IMAGE_URL": "/i.png"}
    yaml = {"registration": {"socialLogins": ["apple", "openid"]}}
    members = await _members(serve, given, yaml=yaml)
    assert members["googleLoginEnabled"] is True
    assert members["appleLoginEnabled"] is True
    assert members["openidLoginEnabled"] is True
    assert members["openidImageUrl"] == "/i.png"
    assert members["samlLoginEnabled"] is False  # hidden beside OpenID
    assert members["samlLabel"] == "Company"
    assert members["socialLogins"] == ["apple", "openid"]
    del given["OPENID_SESSION_SECRET"]
    members = await _members(serve, given)
    assert members["openidLoginEnabled"] is False
    assert members["samlLoginEnabled"] is True


# Memory


PROGRAM = """
import sys
from pathlib import Path
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_testing.server import SECRETS
before = set(sys.modules)
from locutory_oauth.plugin import OAuthPlugin
Kernel(Sources(SECRETS, {}), [OAuthPlugin()], data_dir=Path(sys.argv[1]))
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""


def test_nothing_heavy_is_loaded_until_it_is_needed(tmp_path: Path) -> None:
    """The memory of an idle server has a budget."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "locutory_oauth" in loaded
    assert not loaded & {"authlib", "joserfc", "onelogin", "lxml", "xmlsec", "httpx2"}


# Cookies


@pytest.mark.parametrize(
    ("node_env", "domain", "override", "expected"),
    [
        ("production", "https://chat.example.com", "", True),
        ("production", "http://localhost:3080", "", False),
        ("production", "http://a.localhost", "", False),
        ("production", "http://[::1]:3080", "", False),
        ("production", "chat.example.com", "", True),
        ("production", "http://[", "", False),
        ("production", "http://nas.example", "", False),
        ("development", "https://chat.example.com", "", True),
        ("", "http://localhost", "TRUE", True),
        ("production", "https://chat.example.com", "false", False),
    ],
)
def test_secure(node_env: str, domain: str, override: str, expected: bool) -> None:
    kernel = KernelConfig(node_env=node_env, domain_server=domain)
    assert secure(kernel, override) is expected
