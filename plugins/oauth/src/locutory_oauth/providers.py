"""Building the configured providers. The libraries of a provider are loaded only here, and only
when it is configured."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from locutory import Context
from locutory_contracts.sign_in import MEMBERSHIPS
from locutory_oauth.config import OAuthConfig
from locutory_oauth.http_client import HttpClient, Unreachable
from locutory_oauth.identity import Provider, SignInResult
from locutory_oauth.login_state import LoginStateStore, secure
from locutory_oauth.service import OnSignIn

if TYPE_CHECKING:
    from locutory_oauth.openid.client import OpenIdClient, Registration
    from locutory_oauth.openid.directory import EntraDirectory
    from locutory_oauth.openid.reuse import OpenIdSessions

DEFAULT_SCOPE = "openid profile email"
START_SECONDS = 5.0


@dataclass(slots=True)
class Providers:
    """The configured ways to sign in, by name, and their common objects. ``on_sign_in``: called
    after each sign-in; ``openid``: the generic provider's client."""

    by_name: dict[str, Provider] = field(default_factory=dict)
    on_sign_in: list[OnSignIn] = field(default_factory=list)
    openid: "OpenIdClient | None" = None
    sessions: "OpenIdSessions | None" = None
    directory: "EntraDirectory | None" = None


class ProviderFactory:
    """Builds the providers of a deployment.

    Args:
        addresses: other addresses for providers that have fixed ones, by name (``graph``:
            Microsoft Graph).
    """

    def __init__(
        self, ctx: Context, login_states: LoginStateStore, addresses: Mapping[str, str]
    ) -> None:
        self._ctx = ctx
        self._config: OAuthConfig = ctx.config
        self._login_states = login_states
        self._addresses = addresses
        self._domain = ctx.kernel.domain_server.rstrip("/")
        self._http = HttpClient(ctx.kernel.outgoing, self._config.debug_openid_requests, ctx.log)

    def build(self) -> Providers:
        """Everything that is configured; nothing while ``ALLOW_SOCIAL_LOGIN`` is off."""
        config = self._config
        providers = Providers()
        if not config.allow_social_login:
            return providers
        if config.google_configured:
            providers.by_name["google"] = self._google()
        if config.github_configured or config.discord_configured or config.facebook_configured:
            providers.by_name.update(self._code_flows())
        if config.apple_configured:
            providers.by_name["apple"] = self._apple()
        if config.openid_configured:
            self._openid(providers)
        if config.saml_configured:
            providers.by_name["saml"] = self._saml()
        return providers

    def _client(self, issuer: str, registration: "Registration", leeway: int) -> "OpenIdClient":
        from locutory_oauth.openid.client import OpenIdClient
        from locutory_oauth.openid.discovery import Discovery
        from locutory_oauth.openid.verification import Verification

        config = self._config
        cached = config.openid_jwks_url_cache_enabled
        key_seconds = config.openid_jwks_url_cache_time / 1000 if cached else 0.0
        discovery = Discovery(issuer, self._http, key_seconds, self._ctx.log)
        verification = Verification(discovery, leeway)
        return OpenIdClient(registration, discovery, verification, self._http)

    def _google(self) -> Provider:
        from locutory_oauth.openid.client import Registration
        from locutory_oauth.social.google import ISSUER, Google

        config = self._config
        secret = config.google_client_secret
        registration = Registration(
            client_id=config.google_client_id or "",
            redirect_uri=self._domain + config.google_callback_url,
            scope=DEFAULT_SCOPE,
            secret=secret.get_secret_value if secret else None,
            pkce=True,
        )
        client = self._client(self._addresses.get("google", ISSUER), registration, 300)
        return Google(client, may_register=config.allow_social_registration)

    def _apple(self) -> Provider:
        from locutory_oauth.openid.client import Registration
        from locutory_oauth.social.apple import ISSUER, Apple, ClientSecret

        config = self._config
        registration = Registration(
            client_id=config.apple_client_id or "",
            redirect_uri=self._domain + config.apple_callback_url,
            scope="name email",
            secret=ClientSecret(config),
            auth_method="client_secret_post",
            extra={"response_mode": "form_post"},
            userinfo=False,
        )
        client = self._client(self._addresses.get("apple", ISSUER), registration, 300)
        return Apple(client, may_register=config.allow_social_registration)

    def _code_flows(self) -> dict[str, Provider]:
        from locutory_oauth.social.discord import Discord
        from locutory_oauth.social.facebook import Facebook
        from locutory_oauth.social.github import GitHub

        config = self._config
        chosen = (
            ("github", GitHub, config.github_configured),
            ("discord", Discord, config.discord_configured),
            ("facebook", Facebook, config.facebook_configured),
        )
        return {
            name: kind(
                config,
                self._domain,
                self._http,
                may_register=config.allow_social_registration,
                address=self._addresses.get(name),
            )
            for name, kind, configured in chosen
            if configured
        }

    def _openid(self, providers: Providers) -> None:
        from locutory_oauth.openid.client import Registration
        from locutory_oauth.openid.directory import EntraDirectory
        from locutory_oauth.openid.entra import GRAPH, Graph
        from locutory_oauth.openid.provider import OpenIdProvider
        from locutory_oauth.openid.reuse import OpenIdSessions
        from locutory_oauth.openid.roles import Roles

        ctx, config = self._ctx, self._config
        configured = config.openid_client_secret
        secret = configured.get_secret_value().strip() if configured else ""
        parameters = {
            name: "" if value is None else str(value)
            for name, value in config.openid_authorization_parameters.items()
        }
        audience = config.openid_audience[:1]
        in_body = "client_secret_post" if config.openid_generate_nonce else None
        registration = Registration(
            client_id=config.openid_client_id or "",
            redirect_uri=self._domain + config.openid_callback_url,
            scope=config.openid_scope or DEFAULT_SCOPE,
            secret=(lambda: secret) if secret else None,
            pkce=config.openid_use_pkce,
            auth_method=config.openid_client_authentication or in_body,
            extra={**({"audience": audience[0]} if audience else {}), **parameters},
        )
        leeway = config.openid_clock_tolerance
        client = self._client(config.openid_issuer or "", registration, leeway)
        graph = Graph(
            client,
            self._http,
            ctx.cache,
            config.openid_graph_scopes,
            config.entra_id_include_owners_as_members,
            ctx.log,
            self._addresses.get("graph", GRAPH),
        )

        providers.openid = client
        roles = Roles(config)
        providers.by_name["openid"] = OpenIdProvider(config, client, roles, graph, ctx.log)
        providers.sessions = sessions = OpenIdSessions(
            config,
            client,
            self._login_states,
            ctx.cache,
            ctx.services,
            ctx.credentials.jwt_refresh_secret,
            f"{ctx.kernel.domain_client.rstrip('/')}/login",
            ctx.log,
            is_secure=secure(ctx.kernel, config.session_cookie_secure),
        )

        async def sync_groups(user_id: str, result: SignInResult) -> None:
            memberships = ctx.services.find(MEMBERSHIPS)
            if memberships is not None and result.tokens is not None:
                groups = await graph.memberships(result.tokens.access)
                if groups is not None:
                    await memberships.sync(user_id, "entra", groups)

        if config.openid_reuse_tokens and config.use_entra_id_for_people_search:
            providers.on_sign_in.append(sync_groups)
            providers.directory = EntraDirectory(
                graph,
                sessions,
                client.discovery,
                ctx.services,
                ctx.cache,
                config.directory_seconds,
                ctx.log,
            )

    def _saml(self) -> Provider:
        from locutory_oauth.saml.certificate import read_certificates
        from locutory_oauth.saml.provider import SamlProvider
        from locutory_oauth.saml.response import Party, SamlExchange

        config = self._config
        callback = config.saml_callback_url
        party = Party(
            entry_point=config.saml_entry_point or "",
            entity=config.saml_idp_entity_id,
            certificates=tuple(read_certificates(config.saml_cert or "")),
            own_entity=config.saml_issuer or "",
            callback=self._domain + callback if callback.startswith("/") else callback,
            sign_response=config.saml_use_authn_response_signed == "true",
        )
        return SamlProvider(config, SamlExchange(party), self._ctx.cache)


async def discover(client: "OpenIdClient", log: Any) -> None:
    """Ask the provider about itself once, so that a wrong address shows in the log. A failure
    stops nothing: the next sign-in asks again."""
    try:
        async with asyncio.timeout(START_SECONDS):
            metadata = await client.discovery.metadata()
    except Unreachable:
        return  # logged already
    except TimeoutError:
        log.warning("openid.discovery_slow", issuer=client.discovery.issuer)
        return
    log.info("openid.ready", issuer=metadata.issuer)
