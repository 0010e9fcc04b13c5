"""The client's start-up configuration, put together from every plugin (contract user §2)."""

import copy
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from locutory import Context, Principal, encode
from locutory_contracts.offers import served_permissions
from locutory_contracts.startup import STARTUP_CONFIG, StartupConfig
from locutory_webclient.config import WebClientConfig
from locutory_webclient.interface import (
    full_interface,
    mapping,
    public_interface,
    without_unserved,
)
from locutory_webclient.telemetry import TelemetryRefused, telemetry

if TYPE_CHECKING:
    import structlog.stdlib

Members = dict[str, Any]

# What strangers see while nobody else says so, in LibreChat's order; `None` is left out.
# The login form reads several of these directly, so they are there without a plugin too.
_EVERYONE: Members = {
    "appTitle": None,
    "discordLoginEnabled": False,
    "facebookLoginEnabled": False,
    "githubLoginEnabled": False,
    "googleLoginEnabled": False,
    "appleLoginEnabled": False,
    "openidLoginEnabled": False,
    "openidLabel": "Continue with OpenID",
    "openidImageUrl": None,
    "openidAutoRedirect": False,
    "samlLoginEnabled": False,
    "samlLabel": None,
    "samlImageUrl": None,
    "serverDomain": None,
    "emailLoginEnabled": False,
    "registrationEnabled": False,
    "socialLoginEnabled": False,
    "emailEnabled": False,
    "passwordResetEnabled": False,
    "minPasswordLength": None,
    "ldap": {"enabled": False},
}
_PUBLIC_END: Members = {
    "socialLogins": [],
    "turnstile": {},
    "rum": None,
    "interface": None,
    "buildInfo": None,
}
_AFTER_LOGIN: Members = {
    "analyticsGtmId": None,
    "customFooter": None,
    "showBirthdayIcon": False,
    "helpAndFaqURL": None,
    "sharedLinksEnabled": False,
    "publicSharedLinksEnabled": False,
    "openidReuseTokens": False,
    "allowAccountDeletion": None,
    "sharedLinksSnapshotFilesEnabled": False,
    "socialLogins": [],
    "interface": None,
    "titleGenerationTiming": None,
    "turnstile": {},
    "modelSpecs": None,
    "balance": {"enabled": False},
    "bundlerURL": None,
    "staticBundlerURL": None,
    "sharePointFilePickerEnabled": None,
    "sharePointBaseUrl": None,
    "sharePointPickerGraphScope": None,
    "sharePointPickerSharePointScope": None,
    "conversationImportMaxFileSize": None,
    "langfuseFanoutEnabled": False,
    "langfuseConnectionAccess": False,
    "insightsEnabled": None,
    "cloudFront": None,
    "rum": None,
    "fileUploadSseEnabled": None,
    "webSearch": None,
    "buildInfo": None,
    "adminPanelURL": None,
}


def _without_none(members: Mapping[str, Any]) -> Members:
    return {name: value for name, value in members.items() if value is not None}


def _is_birthday() -> bool:
    today = time.localtime()
    return (today.tm_mon, today.tm_mday) == (2, 11)


def build_info(config: WebClientConfig) -> Members | None:
    """``buildInfo`` from ``BUILD_*``; ``None`` when nothing is known."""
    commit = config.build_commit
    known = {
        "commit": commit,
        "commitShort": commit[:7] if commit else None,
        "branch": config.build_branch,
        "buildDate": config.build_date,
    }
    return known if any(known.values()) else None


def title_timing(endpoints: Any) -> str:
    """``endpoints.all.titleTiming``, else that of ``agents``, else immediate."""
    for name in ("all", "agents"):
        timing = mapping(mapping(endpoints).get(name)).get("titleTiming")
        if timing in ("immediate", "final"):
            return str(timing)
    return "immediate"


class Startup:
    """Responses of ``GET /api/config``, encoded. Members of this plugin are constant between
    reloads; those of other plugins are read on every request. The response for callers who are not
    signed in is encoded again only when a member has changed."""

    def __init__(self, ctx: Context) -> None:
        self._services = ctx.services
        self._groups = ctx.permission_groups
        self._policy = ctx.policy
        self._log = ctx.log
        self.configure(ctx)

    def configure(self, ctx: Context[WebClientConfig]) -> None:
        """Take over the configuration, at start and at every reload."""
        config = ctx.config
        interface = full_interface(ctx.yaml)
        own: Members = {
            "appTitle": config.app_title,
            "serverDomain": ctx.kernel.domain_server,
        }
        if interface.get("buildInfo") is not False:
            own["buildInfo"] = build_info(config)
        rum = self._telemetry(config, ctx.log)
        self._everyone = {
            **_EVERYONE,
            **_PUBLIC_END,
            **own,
            "rum": rum,
            "interface": public_interface(interface),
        }
        self._after_login = {
            **_EVERYONE,
            **_AFTER_LOGIN,
            **own,
            **_own_after_login(ctx, config),
            "rum": rum,
            "interface": interface,
        }
        self._every_day_is_birthday = (
            config.show_birthday_icon or ctx.environment.get("SHOW_BIRTHDAY_ICON") == ""
        )
        self._admin_panel = config.admin_panel_url
        self._asked: list[Mapping[str, Any]] | None = None
        self._encoded = b""

    @staticmethod
    def _telemetry(config: WebClientConfig, log: "structlog.stdlib.BoundLogger") -> Members | None:
        try:
            member = telemetry(config)
        except TelemetryRefused as refusal:
            log.warning("webclient.telemetry_off", reason=str(refusal))
            return None
        if member is not None and (config.rum_console_capture or config.rum_network_capture):
            log.warning("webclient.telemetry_collects_content")
        return member

    def _ask(self, call: Callable[[StartupConfig], Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The members of every other plugin; one that fails contributes nothing."""
        found = []
        for name, entry in self._services.all(STARTUP_CONFIG).items():
            try:
                found.append(call(entry))
            except Exception:
                self._log.exception("webclient.startup_entry_failed", entry=name)
        return found

    def for_strangers(self) -> bytes:
        """The answer without login."""
        asked = self._ask(lambda entry: entry.everyone())
        if asked != self._asked:
            members = dict(self._everyone)
            for part in asked:
                members.update(part)
            self._encoded = encode(_without_none(members))
            self._asked = copy.deepcopy(asked)
        return self._encoded

    async def for_account(self, principal: Principal, off: Collection[str] = ()) -> bytes:
        """The response for a signed-in caller. ``off`` are switches of ``interface`` whose feature
        no plugin serves, whatever the file sets."""
        members = dict(self._after_login)
        served = served_permissions(self._groups, self._services)
        interface = without_unserved(members["interface"], served)
        members["interface"] = {**interface, **dict.fromkeys(off, False)}
        members["showBirthdayIcon"] = self._every_day_is_birthday or _is_birthday()
        for part in self._ask(lambda entry: entry.everyone()):
            members.update(part)
        for part in self._ask(lambda entry: entry.signed_in(principal)):
            members.update(part)
        if (self._admin_panel or not members["allowAccountDeletion"]) and await self._is_admin(
            principal
        ):
            members["adminPanelURL"] = self._admin_panel
            members["allowAccountDeletion"] = True
        return encode(_without_none(members))

    async def _is_admin(self, principal: Principal) -> bool:
        try:
            return bool(await self._policy.holds(principal, "access:admin"))
        except Exception:
            self._log.exception("webclient.capability_unknown")
            return False


def _own_after_login(ctx: Context, config: WebClientConfig) -> Members:
    footer = config.custom_footer
    if footer is None and "CUSTOM_FOOTER" in ctx.environment:
        footer = ""  # set but empty differs from absent: it hides the default footer
    search = mapping(ctx.section("webSearch"))
    chosen = {
        name: search[name]
        for name in ("searchProvider", "scraperProvider", "rerankerType")
        if search.get(name)
    }
    return {
        "analyticsGtmId": config.analytics_gtm_id,
        "customFooter": footer,
        "helpAndFaqURL": config.help_and_faq_url,
        "allowAccountDeletion": config.allow_account_deletion,
        "titleGenerationTiming": title_timing(ctx.section("endpoints")),
        "bundlerURL": config.bundler_url,
        "staticBundlerURL": config.static_bundler_url,
        "sharePointFilePickerEnabled": config.sharepoint,
        "sharePointBaseUrl": config.sharepoint_base_url,
        "sharePointPickerGraphScope": config.sharepoint_graph_scope,
        "sharePointPickerSharePointScope": config.sharepoint_scope,
        "conversationImportMaxFileSize": config.import_max_bytes,
        "insightsEnabled": config.insights,
        "fileUploadSseEnabled": config.file_upload_sse,
        "webSearch": chosen or None,
    }
