"""``GET /api/config`` (contract user §2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from locutory import (
    JSON,
    POLICY,
    Action,
    Decision,
    PermissionGroup,
    Plugin,
    Principal,
    Provide,
    Request,
    Route,
    SignedIn,
    StartupError,
    hook,
)
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_testing import PluginSuite, Serve, SignIn
from locutory_webclient.startup import title_timing

ADMIN = {"Authorization": f"Bearer {'b' * 24}:ADMIN"}
USER = {"Authorization": f"Bearer {'a' * 24}"}
SOCIAL = ["google", "facebook", "openid", "github", "discord", "saml"]

# What LibreChat v0.8.8-rc1 sent with the settings below, members in its order.
EVERYONE: dict[str, Any] = {
    "appTitle": "LibreChat",
    "discordLoginEnabled": False,
    "facebookLoginEnabled": False,
    "githubLoginEnabled": False,
    "googleLoginEnabled": False,
    "appleLoginEnabled": False,
    "openidLoginEnabled": False,
    "openidLabel": "Continue with OpenID",
    "openidAutoRedirect": False,
    "samlLoginEnabled": False,
    "serverDomain": "http://127.0.0.1:3080",
    "emailLoginEnabled": True,
    "registrationEnabled": True,
    "socialLoginEnabled": False,
    "emailEnabled": False,
    "passwordResetEnabled": False,
    "ldap": {"enabled": False},
}
ANONYMOUS = {**EVERYONE, "socialLogins": SOCIAL, "turnstile": {}}
AFTER_LOGIN = {
    **EVERYONE,
    "showBirthdayIcon": False,
    "helpAndFaqURL": "https://librechat.ai",
    "sharedLinksEnabled": True,
    "publicSharedLinksEnabled": True,
    "openidReuseTokens": False,
    "allowAccountDeletion": True,
    "sharedLinksSnapshotFilesEnabled": True,
    "socialLogins": SOCIAL,
    "interface": {
        "modelSelect": True,
        "parameters": True,
        "presets": True,
        "mcpServers": {"use": True, "create": True, "share": False, "public": False},
        "autoSubmitFromUrl": True,
        "buildInfo": True,
        "contextUsage": True,
        "contextCost": True,
        "multiConvo": True,
        "peoplePicker": {"users": True, "groups": True, "roles": True},
    },
    "titleGenerationTiming": "immediate",
    "turnstile": {},
    "balance": {"enabled": False},
    "sharePointFilePickerEnabled": False,
    "conversationImportMaxFileSize": 0,
    "langfuseFanoutEnabled": False,
    "langfuseConnectionAccess": False,
    "insightsEnabled": False,
    "fileUploadSseEnabled": False,
}
LINKS = dict.fromkeys(
    ("sharedLinksEnabled", "publicSharedLinksEnabled", "sharedLinksSnapshotFilesEnabled"), True
)
RECORDED = {"DOMAIN_SERVER": "http://127.0.0.1:3080"}
RECORDED_YAML = {
    "interface": {
        "contextCost": True,
        "multiConvo": True,
        "peoplePicker": {"users": True, "groups": True, "roles": True},
    }
}


class Members(Plugin):
    """Contributes members, as the plugin that signs people in does."""

    name = "members"
    summary = "Members for the start-up configuration"
    provides = (STARTUP_CONFIG,)

    def __init__(self, public: Mapping[str, Any], private: Mapping[str, Any] | None = None) -> None:
        self.public, self.private = dict(public), dict(private or {})

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STARTUP_CONFIG, self, "members")]

    def everyone(self) -> Mapping[str, Any]:
        return self.public

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        named = {"caller": principal.id} if "caller" in self.private else {}
        return {**self.private, **named}


class Presets(Plugin):
    """Serves presets."""

    name = "templates"
    summary = "Presets"

    @hook
    def routes(self) -> list[Route]:
        async def none(_request: Request) -> JSON:
            return JSON([])

        return [Route(path="/api/presets", endpoint=none, access=SignedIn(), summary="Presets")]


class Features(Plugin):
    """Declares permissions and offers capabilities, as plugins do that serve them."""

    name = "features"
    summary = "Permissions and capabilities"
    provides = (AGENT_CAPABILITIES,)

    def __init__(self, *groups: str, capabilities: tuple[str, ...] = ()) -> None:
        self.groups = groups
        self.capabilities = capabilities

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup(name, {"USE": Action(True)}, name) for name in self.groups]

    @hook
    def services(self) -> list[Provide]:
        offer = AgentCapability("For tests only")
        return [Provide(AGENT_CAPABILITIES, offer, name) for name in self.capabilities]


class Broken(Plugin):
    """Fails at everything."""

    name = "broken"
    summary = "Fails"
    provides = (STARTUP_CONFIG,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STARTUP_CONFIG, self, "broken")]

    def everyone(self) -> Mapping[str, Any]:
        raise RuntimeError("everyone")

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        raise RuntimeError("signed in")


class Nobody(Plugin):
    """A policy under which nobody may anything."""

    name = "nobody"
    summary = "Refuses everything"
    provides = (POLICY,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(POLICY, self)]

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        return Decision(False, "nobody may")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        raise RuntimeError("the policy is broken")


def login() -> Members:
    return Members(
        {"emailLoginEnabled": True, "registrationEnabled": True, "socialLogins": SOCIAL}, LINKS
    )


class TestWebClientPlugin(PluginSuite):
    plugin = "webclient"
    readme = Path(__file__).parent.parent / "README.md"


async def test_the_recorded_answers_byte_for_byte(serve: Serve) -> None:
    everything = Features("MCP_SERVERS", "MULTI_CONVO", "PEOPLE_PICKER")
    async with serve(
        *("webclient", SignIn(), login(), Presets(), everything),
        environment=RECORDED,
        yaml=RECORDED_YAML,
    ) as server:
        answer = await server.client.get("/api/config?anything=1")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.content == orjson.dumps(ANONYMOUS)
        stale = {"Authorization": "Bearer expired"}
        assert (await server.client.get("/api/config", headers=stale)).content == answer.content
        answer = await server.client.get("/api/config", headers=USER)
        assert answer.content == orjson.dumps(AFTER_LOGIN)


async def test_what_nobody_serves_is_off(serve: Serve) -> None:
    """Whatever the file says; and on as soon as a plugin offers it."""
    given = {
        **dict.fromkeys(("webSearch", "runCode", "fileSearch", "bookmarks", "memories"), True),
        "skills": {"use": True, "create": True, "defaultActiveOnShare": True},
        "mcpServers": {"use": True, "create": True, "placeholder": "Tools"},
        "customWelcome": "Hi",
    }
    yaml = {"interface": given}

    async def interface(*plugins: Plugin) -> dict[str, Any]:
        async with serve("webclient", SignIn(), *plugins, yaml=yaml) as server:
            answer = await server.client.get("/api/config", headers=USER)
            found: dict[str, Any] = answer.json()["interface"]
            return found

    shown = await interface()
    for name in ("webSearch", "runCode", "fileSearch", "bookmarks", "memories"):
        assert shown[name] is False, name
    assert shown["skills"] == {"use": False, "create": False, "defaultActiveOnShare": False}
    assert shown["mcpServers"] == {"use": False, "create": False, "placeholder": "Tools"}
    assert (shown["customWelcome"], shown["modelSelect"]) == ("Hi", True)
    shown = await interface(Features("BOOKMARKS", capabilities=("web_search", "skills")))
    assert (shown["bookmarks"], shown["webSearch"], shown["runCode"]) == (True, True, False)
    assert shown["skills"] == given["skills"]


async def test_without_any_other_plugin_the_login_page_still_works(serve: Serve) -> None:
    async with serve("webclient") as server:
        answer = (await server.client.get("/api/config")).json()
        assert answer == {
            **ANONYMOUS,
            "serverDomain": "http://localhost:3080",
            "emailLoginEnabled": False,
            "registrationEnabled": False,
            "socialLogins": [],
        }


async def test_environment(serve: Serve) -> None:
    environment = {
        "APP_TITLE": "Chat & Co",
        "CUSTOM_FOOTER": "",
        "HELP_AND_FAQ_URL": "/",
        "SHOW_BIRTHDAY_ICON": "",
        "ANALYTICS_GTM_ID": "GTM-1",
        "SANDPACK_BUNDLER_URL": "https://bundler.example",
        "SANDPACK_STATIC_BUNDLER_URL": "https://static.example",
        "FILE_UPLOAD_SSE_ENABLED": "true",
        "ENABLE_SHAREPOINT_FILEPICKER": "true",
        "SHAREPOINT_BASE_URL": "https://sp.example",
        "SHAREPOINT_PICKER_GRAPH_SCOPE": "graph",
        "SHAREPOINT_PICKER_SHAREPOINT_SCOPE": "sp",
        "CONVERSATION_IMPORT_MAX_FILE_SIZE_BYTES": "1024 * 1024",
        "ENABLE_INSIGHTS": "true",
        "BUILD_COMMIT": "0123456789abcdef",
        "BUILD_DATE": "2026-11-01",
    }
    yaml = {"webSearch": {"searchProvider": "serper", "rerankerType": "", "safeSearch": 1}}
    async with serve("webclient", SignIn(), environment=environment, yaml=yaml) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        expected = {
            "appTitle": "Chat & Co",
            "customFooter": "",
            "helpAndFaqURL": "/",
            "showBirthdayIcon": True,
            "analyticsGtmId": "GTM-1",
            "bundlerURL": "https://bundler.example",
            "staticBundlerURL": "https://static.example",
            "fileUploadSseEnabled": True,
            "sharePointFilePickerEnabled": True,
            "sharePointBaseUrl": "https://sp.example",
            "sharePointPickerGraphScope": "graph",
            "sharePointPickerSharePointScope": "sp",
            "conversationImportMaxFileSize": 1048576,
            "insightsEnabled": True,
            "webSearch": {"searchProvider": "serper"},
            "buildInfo": {
                "commit": "0123456789abcdef",
                "commitShort": "0123456",
                "branch": None,
                "buildDate": "2026-11-01",
            },
        }
        assert {name: config.get(name) for name in expected} == expected
        strangers = (await server.client.get("/api/config")).json()
        assert strangers["buildInfo"] == expected["buildInfo"]
        private = set(AFTER_LOGIN) - set(ANONYMOUS) | {
            "customFooter",
            "analyticsGtmId",
            "webSearch",
            "sharePointBaseUrl",
        }
        assert not private & set(strangers), "strangers see what the login page needs, no more"


async def test_the_footer_is_absent_empty_or_text(serve: Serve) -> None:
    for environment, expected in (
        ({}, None),
        ({"CUSTOM_FOOTER": ""}, ""),
        ({"CUSTOM_FOOTER": "by us"}, "by us"),
    ):
        async with serve("webclient", SignIn(), environment=environment) as server:
            config = (await server.client.get("/api/config", headers=USER)).json()
            assert config.get("customFooter") == expected
            assert ("customFooter" in config) is (expected is not None)


async def test_shared_links_are_offered_by_the_plugin_that_has_them(serve: Serve) -> None:
    environment = {"ALLOW_SHARED_LINKS": "true", "ALLOW_SHARED_LINKS_PUBLIC": "true"}
    async with serve("webclient", SignIn(), environment=environment) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert {name: config[name] for name in LINKS} == dict.fromkeys(LINKS, False)
    async with serve("webclient", SignIn(), Members({}, LINKS)) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert {name: config[name] for name in LINKS} == LINKS


@pytest.mark.parametrize("interface", [{}, {"presets": True}, {"presets": False}])
async def test_presets_are_offered_when_somebody_serves_them(
    serve: Serve, interface: dict[str, bool]
) -> None:
    yaml = {"interface": interface}
    async with serve("webclient", SignIn(), yaml=yaml) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert config["interface"]["presets"] is False
        assert config["interface"]["parameters"] is True
    async with serve("webclient", SignIn(), Presets(), yaml=yaml) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert config["interface"]["presets"] is interface.get("presets", True)


async def test_what_strangers_see_of_the_interface(serve: Serve) -> None:
    interface = {
        "privacyPolicy": {"externalUrl": "https://example.com/privacy", "openNewTab": True},
        "termsOfService": {"externalUrl": "https://example.com/tos", "modalAcceptance": True},
        "customWelcome": "Hello",
        "buildInfo": False,
    }
    environment = {"BUILD_COMMIT": "abc"}
    async with serve(
        "webclient", SignIn(), environment=environment, yaml={"interface": interface}
    ) as server:
        strangers = (await server.client.get("/api/config")).json()
        assert strangers["interface"] == {
            "privacyPolicy": interface["privacyPolicy"],
            "termsOfService": interface["termsOfService"],
            "buildInfo": False,
        }
        assert "buildInfo" not in strangers
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert config["interface"]["customWelcome"] == "Hello"
        assert "buildInfo" not in config


async def test_account_deletion_and_admin_panel(serve: Serve) -> None:
    environment = {"ALLOW_ACCOUNT_DELETION": "false", "ADMIN_PANEL_URL": "https://admin.example"}
    async with serve("webclient", SignIn(), environment=environment) as server:
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert config["allowAccountDeletion"] is False
        assert "adminPanelURL" not in config
        config = (await server.client.get("/api/config", headers=ADMIN)).json()
        assert config["allowAccountDeletion"] is True
        assert config["adminPanelURL"] == "https://admin.example"
    async with serve("webclient", SignIn(), Nobody(), environment=environment) as server:
        answer = await server.client.get("/api/config", headers=ADMIN)
        assert answer.status_code == 200, "a broken policy costs a member, not the page"
        assert "adminPanelURL" not in answer.json()


async def test_a_stored_capability_decides_with_the_roles_plugin(serve: Serve) -> None:
    environment = {"ADMIN_PANEL_URL": "https://admin.example"}
    async with serve("webclient", "roles", SignIn(), environment=environment) as server:
        config = (await server.client.get("/api/config", headers=ADMIN)).json()
        assert config["adminPanelURL"] == "https://admin.example"
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert "adminPanelURL" not in config


async def test_members_of_other_plugins(serve: Serve) -> None:
    specs = {"enforce": False, "prioritize": True, "list": [{"name": "a"}]}
    members = Members(
        {"minPasswordLength": 12, "openidLabel": None, "unknown": [1]},
        {"modelSpecs": specs, "balance": {"enabled": True}, "caller": ""},
    )
    async with serve("webclient", SignIn(), members) as server:
        strangers = (await server.client.get("/api/config")).json()
        assert strangers["minPasswordLength"] == 12
        assert strangers["unknown"] == [1]
        assert "openidLabel" not in strangers
        assert "modelSpecs" not in strangers
        config = (await server.client.get("/api/config", headers=USER)).json()
        assert config["modelSpecs"] == specs
        assert config["balance"] == {"enabled": True}
        assert config["caller"] == "a" * 24
        members.public["unknown"].append(2)
        again = (await server.client.get("/api/config")).json()
        assert again["unknown"] == [1, 2], "an answer that changed is encoded anew"


async def test_a_broken_plugin_costs_its_own_members_only(serve: Serve) -> None:
    async with serve("webclient", SignIn(), Broken(), login()) as server:
        for headers in ({}, USER):
            answer = await server.client.get("/api/config", headers=headers)
            assert answer.status_code == 200
            assert answer.json()["emailLoginEnabled"] is True


@pytest.mark.parametrize(
    ("endpoints", "timing"),
    [
        (None, "immediate"),
        ({"agents": {"titleTiming": "final"}}, "final"),
        ({"all": {"titleTiming": "immediate"}, "agents": {"titleTiming": "final"}}, "immediate"),
        ({"all": {"titleTiming": "soon"}, "agents": {"titleTiming": "final"}}, "final"),
        ({"all": None}, "immediate"),
        ([], "immediate"),
    ],
)
def test_when_titles_are_made(endpoints: Any, timing: str) -> None:
    assert title_timing(endpoints) == timing


@pytest.mark.parametrize(
    ("interface", "path"),
    [
        ({"modelSelect": "yes"}, "interface.modelSelect"),
        ({"currency": {"code": "EUR", "rate": 0}}, "interface.currency.rate"),
        ({"privacyPolicy": {"openNewTab": "true"}}, "interface.privacyPolicy.openNewTab"),
        ({"retentionMode": "never"}, "interface.retentionMode"),
    ],
)
async def test_a_wrong_file_does_not_start(
    serve: Serve, interface: dict[str, Any], path: str
) -> None:
    with pytest.raises(StartupError) as caught:
        async with serve("webclient", yaml={"interface": interface}):
            pass
    assert f"{path} [webclient]" in str(caught.value)
