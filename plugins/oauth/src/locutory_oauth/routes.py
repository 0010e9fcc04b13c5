"""Routes of ``/oauth`` (contract oauth §1, §3)."""

import re
from collections.abc import Mapping

import structlog
from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import Empty, HTTPError, Limit, Public, Request, Route, RouteGroup
from locutory_oauth.config import OAuthConfig
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import Denied, Provider, Refused
from locutory_oauth.login_state import LARGEST_POST, LoginStateStore, new_id
from locutory_oauth.service import SignIn

TITLES = {
    "google": "Google",
    "github": "GitHub",
    "discord": "Discord",
    "facebook": "Facebook",
    "apple": "Apple",
    "openid": "OpenID Connect",
    "saml": "SAML",
}
_FORM = "application/x-www-form-urlencoded"


class AppleForm(BaseModel):
    """The form that Apple lets the browser post."""

    state: str
    code: str | None = None
    error: str | None = None
    user: str | None = Field(default=None, description="Name of the person, JSON, the first time")


class SamlForm(BaseModel):
    """The form that a SAML identity provider lets the browser post."""

    SAMLResponse: str = Field(description="The signed response, base64")
    RelayState: str


FORMS: dict[str, type[BaseModel]] = {"apple": AppleForm, "saml": SamlForm}
"""Providers that answer with a form which the browser posts here from their site."""

_STATE = re.compile(r"[\w-]{43}")


class OAuthRoutes:
    """The endpoints. Each failure ends at the login page, never in a loop (trap 1).

    Args:
        client: where the web client is, as configured.
        providers: those that are configured and switched on, by name.
    """

    def __init__(
        self,
        config: OAuthConfig,
        client: str,
        providers: Mapping[str, Provider],
        login_states: LoginStateStore,
        sign_in: SignIn,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._config = config
        self._client = client
        self._base = client.rstrip("/")
        self._providers = providers
        self._login_states = login_states
        self._sign_in = sign_in
        self._log = log

    def all(self) -> list[Route]:
        """The routes; of providers that are not configured too."""
        oauth = RouteGroup(
            "/oauth",
            access=Public("people who sign in have no session yet"),
            limits=(self._limit(),),
        )
        routes = [
            oauth.get(
                "/error",
                self.error,
                "To the login page, which says that signing in failed",
                responses={302: "To the login page"},
                contract="oauth §1",
            )
        ]
        for name, title in TITLES.items():
            routes += self._routes_of(oauth, name, title)
        return routes

    def _routes_of(self, oauth: RouteGroup, name: str, title: str) -> list[Route]:
        endpoints = ProviderEndpoints(self, name)
        back, path = f"The way back from {title}", f"/{name}/callback"
        returning = oauth.but(
            responses={
                302: "To the web client with the cookies of a session, or to the login page",
                403: "The account is banned",
                429: "Too many sign-in requests",
            },
            contract="oauth §3",
        )
        start = oauth.get(
            f"/{name}",
            endpoints.start,
            f"Sign in with {title}",
            responses={302: "To the provider, or to the login page"},
            contract="oauth §1",
        )
        if name not in FORMS:
            return [start, returning.get(path, endpoints.returned, back)]
        # The form is described only: whatever is wrong with it ends at the login page.
        posted = returning.post(
            path, endpoints.posted, back, body_schema=FORMS[name], body_type=_FORM
        )
        resumed = returning.get(
            path,
            endpoints.resumed,
            f"{back}, once the browser sends its cookie",
            # Not limited: only a posted answer, which was counted, leads here.
            limits=(),
            contract="oauth §3, trap 4",
        )
        return [start, posted, resumed]

    def _limit(self) -> Limit:
        """Shared with every other way to sign in (contract kernel §11)."""
        minutes = self._config.login_window
        text = f"Too many login attempts, please try again after {minutes:g} minutes."
        return Limit(
            name="login_limiter",
            amount=self._config.login_max,
            seconds=max(1, round(minutes * 60)),
            body={"message": text},
            violation="logins",
            score=self._config.login_violation_score,
        )

    async def error(self, request: Request) -> Response:
        """The login page with a message."""
        return self._failed()

    def _failed(self) -> Response:
        # Without redirect=false the page would go to the provider again by itself.
        return Empty(302, {"location": f"{self._base}/login?redirect=false&error=auth_failed"})

    async def start(self, name: str, request: Request) -> Response:
        """Send the browser to a provider."""
        provider = self._providers.get(name)
        if provider is None:
            self._log.warning("oauth.not_configured", provider=name)
            return self._failed()
        browser = self._login_states.identify(request) or new_id()
        state = new_id()
        try:
            start = await provider.start(state)
        except (Refused, Unreachable) as failure:
            self._log.warning("oauth.start_failed", provider=name, reason=str(failure))
            return self._failed()
        except Exception:
            self._log.exception("oauth.start_failed", provider=name)
            return self._failed()
        await self._login_states.remember(state, name, browser, start.memory)
        response = Empty(302, {"location": start.url, "cache-control": "no-store"})
        response.headers.append("set-cookie", self._login_states.cookie(browser))
        return response

    async def posted(self, name: str, request: Request) -> Response:
        """An answer that the provider's page made the browser post. Such a request carries
        no cookie of ours (they are SameSite=Lax), so the browser is asked to come again."""
        fields = _texts(request.payload if isinstance(request.payload, dict) else {})
        state = _state(fields)
        if sum(map(len, fields.values())) > LARGEST_POST:
            return self._failed()
        if name == "saml" and not _STATE.fullmatch(state) and name in self._providers:
            # Begun at the provider: begun again here, so that it belongs to this browser.
            return Empty(303, {"location": f"/oauth/{name}"})
        browser = await self._login_states.expects(name, state)
        if browser is None:
            self._log.warning("oauth.unexpected", provider=name)
            return self._failed()
        if self._login_states.identify(request) == browser:
            return await self.finish(name, fields, request)
        await self._login_states.put_aside(name, state, fields)
        location = f"/oauth/{name}/callback?resume={state}"
        return Empty(303, {"location": location, "cache-control": "no-store"})

    async def resumed(self, name: str, request: Request) -> Response:
        """The rest of `posted`."""
        fields = await self._login_states.take_up(name, request.query_text("resume") or "")
        return self._failed() if fields is None else await self.finish(name, fields, request)

    async def finish(self, name: str, fields: Mapping[str, str], request: Request) -> Response:
        """Sign in whom a provider's answer names, and go to the web client."""
        provider = self._providers.get(name)
        if provider is None:
            return self._failed()
        try:
            login = await self._login_states.take(name, _state(fields), request)
            if login is None:
                raise Refused("state", "no sign-in of this browser is under way")
            result = await provider.finish(fields, login.memory)
            cookies = await self._sign_in.open(result, request.named_tenant, request)
        except Denied as refusal:
            self._log.info("oauth.denied", provider=name, reason=str(refusal))
            return Empty(302, {"location": f"{self._base}/oauth/error"})
        except Refused as refusal:
            self._log.warning(
                "oauth.refused", provider=name, code=refusal.code, reason=str(refusal)
            )
            return self._failed()
        except Unreachable as failure:
            self._log.warning("oauth.unreachable", provider=name, reason=str(failure))
            return self._failed()
        except HTTPError:
            raise
        except Exception:
            self._log.exception("oauth.failed", provider=name)
            return self._failed()
        response = Empty(302, {"location": self._client, "cache-control": "no-store"})
        for cookie in cookies:
            response.headers.append("set-cookie", cookie)
        return response


class ProviderEndpoints:
    """The endpoints of one provider."""

    def __init__(self, routes: OAuthRoutes, name: str) -> None:
        self._routes = routes
        self._name = name

    async def start(self, request: Request) -> Response:
        """302 to the provider."""
        return await self._routes.start(self._name, request)

    async def returned(self, request: Request) -> Response:
        """302 to the web client, from a query."""
        return await self._routes.finish(self._name, _texts(request.query), request)

    async def posted(self, request: Request) -> Response:
        """302 to the web client, from a form; or 303 to itself."""
        return await self._routes.posted(self._name, request)

    async def resumed(self, request: Request) -> Response:
        """302 to the web client, from a form that was posted before."""
        return await self._routes.resumed(self._name, request)


def _texts(fields: Mapping[str, object]) -> dict[str, str]:
    """The members that are text. A repeated parameter is left out, since it is ambiguous."""
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _state(fields: Mapping[str, str]) -> str:
    return fields.get("state") or fields.get("RelayState") or ""
