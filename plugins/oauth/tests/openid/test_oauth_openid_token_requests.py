"""What is asked of the authorization and token endpoints, and what their refusals say."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import pytest

from locutory import StartupError

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
SECRETS = ("q7+ZrAbcdefghijklmnopqrstuvwx", "ab+cd%20:e/f&g=h i", "grün%2B", "plain")
BOTH = ("client_secret_basic", "client_secret_post")

Query = Callable[[str], dict[str, str]]


async def arrive(found: Any, issuer: Any, subject: str = "ada") -> str:
    back = await found.come_back(issuer.agree(await found.start("openid"), subject))
    return str(back.headers["location"])


def by_basic(secret: str) -> Callable[[dict[str, str]], bool]:
    """A provider that reads the header as the standard has it."""

    def takes(form: dict[str, str]) -> bool:
        name, _, password = form.get("basic", "").partition(":")
        return (unquote_plus(name), unquote_plus(password)) == ("locutory", secret)

    return takes


def offers(*methods: str) -> dict[str, Any]:
    return {"token_endpoint_auth_methods_supported": list(methods)}


@pytest.mark.parametrize("secret", SECRETS)
async def test_secret_is_form_encoded_in_the_header(site: Any, issuer: Any, secret: str) -> None:
    issuer.metadata, issuer.takes = offers("client_secret_basic"), by_basic(secret)
    async with site(issuer.settings(OPENID_CLIENT_SECRET=secret)) as found:
        assert await arrive(found, issuer) == CLIENT
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("secret", SECRETS)
async def test_provider_that_reads_the_header_as_it_is(site: Any, issuer: Any, secret: str) -> None:
    issuer.metadata = offers("client_secret_basic")
    issuer.takes = lambda form: form.get("basic") == f"locutory:{secret}"
    async with site(issuer.settings(OPENID_CLIENT_SECRET=secret)) as found:
        assert await arrive(found, issuer) == CLIENT
        asked = len(issuer.asked)
        assert await arrive(found, issuer) == CLIENT
        assert len(issuer.asked) == asked + 1  # what it takes is known now


@pytest.mark.parametrize("offered", [BOTH, ()])
@pytest.mark.parametrize("taken", ["basic", "client_secret"])
async def test_method_that_is_registered_for_the_client(
    site: Any, issuer: Any, offered: tuple[str, ...], taken: str
) -> None:
    """A provider may announce both, and take but one."""
    if offered:
        issuer.metadata = offers(*offered)
    issuer.takes = lambda form: taken in form
    async with site(issuer.settings()) as found:
        for _ in range(2):
            assert await arrive(found, issuer) == CLIENT
        assert len(issuer.asked) in (2, 3)
        assert taken in issuer.asked[-1]
        assert not {"basic", "client_secret"} - {taken} & issuer.asked[-1].keys()


@pytest.mark.parametrize("method", BOTH)
async def test_method_by_setting(site: Any, issuer: Any, method: str) -> None:
    issuer.metadata = offers(*BOTH)
    yaml = {"plugins": {"oauth": {"openid_client_authentication": method}}}
    issuer.takes = lambda form: ("basic" in form) is (method == "client_secret_basic")
    async with site(issuer.settings(), yaml=yaml) as found:
        assert await arrive(found, issuer) == CLIENT
        assert len(issuer.asked) == 1
        issuer.takes = lambda _: False
        assert await arrive(found, issuer) == FAILED
        assert len(issuer.asked) == 2


async def test_other_refusals_are_not_tried_again(site: Any, issuer: Any) -> None:
    issuer.metadata = offers(*BOTH)
    issuer.token_answer = (401, '{"error": "invalid_grant"}')
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, "oops", "the token endpoint answers with status 500"),
        (503, '{"error": "down"}', "the token endpoint answers with status 503"),
        (404, "<html>", "the token endpoint answers with status 404, and not with JSON"),
        (200, "[]", "the token endpoint answers with status 200, and not with JSON"),
        (400, '{"error": "invalid_grant"}', "the provider refuses: invalid_grant, status 400"),
        (
            400,
            '{"error": "invalid_grant", "error_description": "code\\nis  old"}',
            "the provider refuses: invalid_grant (codeis  old), status 400",
        ),
        (400, '{"error": {"type": "E", "message": "M"}}', "the provider refuses: E (M), status"),
        (400, '{"error": 7}', "the provider refuses: int, status 400"),
        (200, '{"error": "slow_down"}', "the provider refuses: slow_down, status 200"),
        (200, "{}", "the provider gave no access token"),
    ],
)
async def test_what_the_token_endpoint_answered_is_in_the_log(
    site: Any, issuer: Any, logged: Any, status: int, body: str, told: str
) -> None:
    issuer.token_answer = (status, body)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED
    assert told in logged.text()
    assert "secret-of" not in logged.text()


async def test_description_that_repeats_a_secret_is_not_logged(
    site: Any, issuer: Any, logged: Any
) -> None:
    body = '{"error": "invalid_client", "error_description": "no secret-of-the-client here"}'
    issuer.token_answer = (400, body)
    async with site(issuer.settings()) as found:
        assert await arrive(found, issuer) == FAILED
    assert "the provider refuses: invalid_client, status 400" in logged.text()
    assert "secret-of" not in logged.text()


async def test_reason_of_who_did_not_agree_is_in_the_log(
    site: Any, issuer: Any, logged: Any, query: Query
) -> None:
    async with site(issuer.settings()) as found:
        state = query(await found.start("openid"))["state"]
        answer = f"error=consent_required&error_description=ask%0Athem&state={state}"
        await found.come_back(f"{CLIENT}/oauth/openid/callback?{answer}")
    assert "the provider did not agree: consent_required (askthem)" in logged.text()


# Offline access, and further parameters


async def test_offline_access_is_asked_for_with_consent(
    site: Any, issuer: Any, query: Query
) -> None:
    async with site(issuer.settings()) as found:
        assert query(await found.start("openid"))["prompt"] == "consent"
    async with site(issuer.settings(OPENID_SCOPE="openid email")) as found:
        assert "prompt" not in query(await found.start("openid"))


@pytest.mark.parametrize(
    "metadata",
    [
        {"msgraph_host": "graph.microsoft.com"},
        {"prompt_values_supported": ["none", "login"]},
    ],
)
async def test_consent_is_not_asked_for_where_it_would_do_harm(
    site: Any, issuer: Any, query: Query, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    async with site(issuer.settings()) as found:
        assert "prompt" not in query(await found.start("openid"))


async def test_further_parameters(site: Any, issuer: Any, query: Query) -> None:
    given = {"prompt": None, "acr_values": "mfa sms", "max_age": 0, "audience": "api://z"}
    given["uri"] = "https://x.example/?y"
    yaml = {"plugins": {"oauth": {"openid_authorization_parameters": given}}}
    async with site(issuer.settings(OPENID_AUDIENCE="api://a"), yaml=yaml) as found:
        sent = query(await found.start("openid"))
        assert "prompt" not in sent
        assert (sent["acr_values"], sent["max_age"]) == ("mfa sms", "0")
        assert (sent["audience"], sent["uri"]) == ("api://z", "https://x.example/?y")
    yaml["plugins"]["oauth"]["openid_authorization_parameters"] = {"prompt": "select_account"}
    async with site(issuer.settings(), yaml=yaml) as found:
        assert query(await found.start("openid"))["prompt"] == "select_account"


@pytest.mark.parametrize("name", ["state", "redirect_uri", "request", "scope"])
async def test_parameters_that_are_ours(site: Any, issuer: Any, name: str) -> None:
    yaml = {"plugins": {"oauth": {"openid_authorization_parameters": {name: "x"}}}}
    with pytest.raises(StartupError, match=name):
        async with site(issuer.settings(), yaml=yaml):
            pass


@pytest.mark.parametrize(
    ("scope", "granted", "advice"),
    [
        ("openid email", None, "add offline_access to OPENID_SCOPE"),
        ("openid offline_access", "openid", "did not grant offline_access"),
        ("openid offline_access", None, "openid_authorization_parameters"),
    ],
)
async def test_advice_where_there_is_no_refresh_token(
    site: Any, issuer: Any, logged: Any, scope: str, granted: str | None, advice: str
) -> None:
    issuer.with_refresh_token = False
    issuer.token_members = {"scope": granted} if granted else {}
    settings = issuer.settings(OPENID_REUSE_TOKENS="true", OPENID_SCOPE=scope)
    async with site(settings) as found:
        assert await arrive(found, issuer) == CLIENT
    assert advice in logged.text()
