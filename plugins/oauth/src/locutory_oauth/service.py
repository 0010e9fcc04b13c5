"""From a provider's answer to a session: account, role, picture, cookies (contract oauth §3)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from locutory import ADMIN_ROLE, Events, Request, Services
from locutory_contracts.accounts import ACCOUNTS, Account
from locutory_contracts.avatars import AVATARS
from locutory_contracts.sign_in import ROLE_NAMES, SIGN_INS, AccountSignedIn, IdentityRefused
from locutory_oauth.identity import Picture, Refused, SignInResult, TokenSet

if TYPE_CHECKING:
    from locutory_oauth.openid.reuse import OpenIdSessions

SYSTEM_ROLES = (ADMIN_ROLE, "USER")
CHOSEN = "manual=true"
"""In the address of a picture that somebody chose (contract oauth trap 10)."""

_NO_ADDRESS = {
    "openid": "set OPENID_EMAIL_CLAIM to the claim that holds it, or add a scope to OPENID_SCOPE",
    "saml": "set SAML_EMAIL_CLAIM to the attribute that holds it",
    "github": "the app needs the permission to read e-mail addresses",
}
_OTHER_NO_ADDRESS = "the person's account there needs one, and has to let this server see it"
_MOST_NAMES = 50
_LONGEST_URL = 2048
_ORDINARY_ROLE = "USER"

OnSignIn = Callable[[str, SignInResult], Awaitable[None]]


class SignIn:
    """Opens sessions for the identities that providers return.

    Args:
        reuse: opens sessions of the provider's tokens, where that is configured.
        offline: ``offline_access`` is among the requested scopes.
        on_sign_in: called once a user is signed in; its faults are only logged.
    """

    def __init__(
        self,
        services: Services,
        events: Events,
        log: structlog.stdlib.BoundLogger,
        *,
        reuse: "OpenIdSessions | None" = None,
        offline: bool = False,
        on_sign_in: Sequence[OnSignIn] = (),
    ) -> None:
        self._services = services
        self._events = events
        self._log = log
        self._reuse = reuse
        self._offline = offline
        self._on_sign_in = on_sign_in

    async def open(
        self, result: SignInResult, tenant: str | None, request: Request
    ) -> Sequence[str]:
        """The ``Set-Cookie`` values of a session for the sender of ``request``.

        Raises `Refused` when the deployment does not want this person; answers that others
        raise (a ban, a missing service) pass through.
        """
        if tenant is not None:
            identity = result.identity
            fields = {**identity.fields, "tenantId": tenant}
            result = replace(result, identity=replace(identity, fields=fields))
        user_id = await self._adopt(result, tenant, request.ip)
        await self._picture(user_id, result.picture)
        cookies = await self._session(user_id, result, request)
        for step in self._on_sign_in:
            try:
                await step(user_id, result)
            except Exception:
                self._log.exception("oauth.step_failed", user=user_id)
        self._log.info("oauth.signed_in", provider=result.identity.provider, user=user_id)
        return cookies

    async def _adopt(self, result: SignInResult, tenant: str | None, address: str) -> str:
        identity, rules = result.identity, result.rules
        if rules.role is not None:
            rules = replace(rules, role=await self._stored_role(rules.role, tenant))
        if rules.admin:
            identity = replace(identity, fields={**identity.fields, "role": ADMIN_ROLE})
        sign_ins = self._services.get(SIGN_INS)
        try:
            user_id = await sign_ins.adopt(
                identity, may_register=result.may_register, address=address
            )
            if rules.admin is False or rules.role is not None:
                account = await self._account(user_id)
                role = _role(account.get("role") or _ORDINARY_ROLE, rules.admin, rules.role)
                if role is not None:
                    changed = replace(identity, fields={**identity.fields, "role": role})
                    await sign_ins.adopt(changed, may_register=False)
                    self._log.info("oauth.role_changed", user=user_id, role=role)
        except IdentityRefused as refusal:
            reason = _reason(refusal, result)
            raise Refused(refusal.code, reason) from refusal
        return user_id

    async def _stored_role(self, role: str, tenant: str | None) -> str:
        """The stored role of this name, whatever its case; `Refused` when there is none, and
        never the administrator's. The name is believed where nobody knows the roles."""
        known = self._services.find(ROLE_NAMES)
        if known is None:
            return role
        for name in (*await known.names(tenant), *SYSTEM_ROLES):
            if name.lower() == role.lower() and name != ADMIN_ROLE:
                return name
        raise Refused("role", f"the role {role} of OPENID_ROLE_SYNC_* does not exist")

    async def _account(self, user_id: str) -> Account:
        account = await self._services.get(ACCOUNTS).find(user_id)
        if account is None:
            raise Refused("account", "the account is gone")
        return account

    async def _session(self, user_id: str, result: SignInResult, request: Request) -> Sequence[str]:
        tokens = result.tokens
        if self._reuse is not None and tokens is not None:
            if tokens.refresh is not None:
                cookies = await self._reuse.begin(user_id, tokens)
                await self._events.publish(AccountSignedIn(user_id, result.identity.provider))
                return cookies
            self._log.warning(
                "openid.no_refresh_token",
                user=user_id,
                granted=tokens.scope or "as asked for",
                advice=_refresh_token_advice(tokens, self._offline),
            )
        # Social logins do not ask for a second factor: the provider does (contract oauth §3).
        opened = await self._services.get(SIGN_INS).open(
            user_id,
            skip_second_factor=True,
            address=request.ip,
            agent=request.headers.get("user-agent", ""),
        )
        if opened.second_factor is not None:
            raise Refused("second_factor", "the account asks for a second factor")
        return opened.cookies

    async def _picture(self, user_id: str, picture: Picture | None) -> None:
        """Take over the picture, unless the person chose another one. Never fails a sign-in."""
        accounts = self._services.find(ACCOUNTS)
        if picture is None or accounts is None:
            return
        if not picture.url.startswith(("https://", "http://")) or len(picture.url) > _LONGEST_URL:
            return
        try:
            account: Mapping[str, Any] = await accounts.find(user_id) or {}
            current = account.get("avatar")
            if isinstance(current, str) and CHOSEN in current:
                return
            url: str | None = picture.url
            avatars = self._services.find(AVATARS) if picture.stored else None
            if avatars is not None:
                url = await avatars.fetch(user_id, picture.name, picture.url, picture.headers)
            if url and url != current:
                await accounts.update(user_id, {"avatar": url})
        except Exception:
            self._log.exception("oauth.picture_failed", user=user_id)


def _reason(refusal: IdentityRefused, result: SignInResult) -> str:
    """The text of a refusal, with advice where a setting may help."""
    if refusal.code != "no_address":
        return str(refusal)
    advice = _NO_ADDRESS.get(result.identity.provider, _OTHER_NO_ADDRESS)
    names = ", ".join(sorted(result.claim_names)[:_MOST_NAMES])
    return f"{refusal}; {advice}" + (f" (it told: {names})" if names else "")


def _refresh_token_advice(tokens: TokenSet, offline: bool) -> str:
    if not offline:
        return "add offline_access to OPENID_SCOPE"
    if tokens.scope is not None and "offline_access" not in tokens.scope.split():
        return "the provider did not grant offline_access: allow it there for this client"
    return (
        "offline_access was asked for: let the provider give this client refresh tokens, or see "
        "what it needs for that, and set plugins.oauth.openid_authorization_parameters"
    )


def _role(current: str, admin: bool | None, granted: str | None) -> str | None:
    """The role to write, or ``None``. A former administrator becomes an ordinary user, or gets the
    role that the claims grant; an administrator by other means is not changed."""
    role = current
    if admin is False and current == ADMIN_ROLE:
        role = _ORDINARY_ROLE
    if granted is not None and role != ADMIN_ROLE:
        role = granted
    return None if role == current else role
