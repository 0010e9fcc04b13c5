"""Looks at the deployment for settings that work against each other."""

import re

from locutory import Check, Context
from locutory_auth.config import AuthConfig
from locutory_auth.documents import User
from locutory_auth.mail.messages import Templates
from locutory_auth.mail.services import known_service, near_services
from locutory_contracts.sign_in import PASSWORD_CHECKS

_SECRET_BYTES = 32
_NO_ADDRESS = r"^[^@]*$|@.*@"
_MAX_NAMED = 10
_DOMAIN = re.compile(r"(?i)(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}")


def checks(ctx: Context[AuthConfig]) -> list[Check]:
    """The checks of this plugin."""
    config = ctx.config

    async def strong_secrets() -> str | None:
        secrets = {
            "JWT_SECRET": ctx.credentials.jwt_secret,
            "JWT_REFRESH_SECRET": ctx.credentials.jwt_refresh_secret,
        }
        weak = [name for name, value in secrets.items() if len(value.encode()) < _SECRET_BYTES]
        if weak:
            return f"{' and '.join(weak)} should have at least {_SECRET_BYTES} characters"
        if len(set(secrets.values())) == 1:
            return "JWT_SECRET and JWT_REFRESH_SECRET should differ"
        return None

    async def directory() -> str | None:
        if config.ldap_configured and not ctx.services.all(PASSWORD_CHECKS):
            return "LDAP_URL is set, but no plugin signs in with LDAP: nobody can sign in"
        return None

    async def reset() -> str | None:
        if not config.allow_password_reset or config.mail_configured:
            return None
        if config.reset_link_in_answer:
            return (
                "LOCUTORY_RESET_LINK_IN_ANSWER is on without mail: whoever knows an e-mail address "
                "gets the link that resets its password. Configure mail, or set "
                "LOCUTORY_RESET_LINK_IN_ANSWER=false, unless only trusted people reach this server"
            )
        return (
            "ALLOW_PASSWORD_RESET is on without mail: nobody gets a link. Configure mail, or "
            "hand links out: locutory user reset-password --link"
        )

    async def mail_service() -> str | None:
        service = config.email_service
        if not service or config.email_host or known_service(service) is not None:
            return None
        near = near_services(service)
        hint = f" (do you mean {' or '.join(near)}?)" if near else ""
        return f"EMAIL_SERVICE: '{service}' is not known{hint}; set EMAIL_HOST and EMAIL_PORT"

    async def encryption() -> str | None:
        wanted = config.email_encryption
        if not wanted or wanted in ("tls", "starttls"):
            return None
        return (
            f"EMAIL_ENCRYPTION: '{wanted}' is not known, so connections are encrypted only where "
            "the mail server offers it; set 'tls' (from the start) or 'starttls'"
        )

    async def templates() -> str | None:
        problems = Templates(config.mail_templates).problems()
        return f"LOCUTORY_MAIL_TEMPLATES: {'; '.join(problems)}" if problems else None

    async def domains() -> str | None:
        listed = (ctx.section("registration") or {}).get("allowedDomains") or ()
        odd = [entry for entry in listed if not _DOMAIN.fullmatch(entry.strip())]
        if not odd:
            return None
        return (
            f"registration.allowedDomains: {', '.join(map(repr, odd))} matches no address; an "
            "entry is one domain such as 'example.com', without '@' and wildcards"
        )

    async def captcha() -> str | None:
        shown = (ctx.section("turnstile") or {}).get("siteKey")
        if config.turnstile_secret_key and not shown:
            return "TURNSTILE_SECRET_KEY is set, but turnstile.siteKey is not: no page shows it"
        return None

    async def addresses() -> str | None:
        odd = {"email": {"$regex": _NO_ADDRESS}}
        found = ctx.database[User].find(odd, {"provider": 1}, limit=_MAX_NAMED + 1)
        named = [f"{each['_id']} ({each.get('provider')})" for each in await found.to_list()]
        if not named:
            return None
        more = " and more" if len(named) > _MAX_NAMED else ""
        return (
            f"accounts without a usable e-mail address: {', '.join(named[:_MAX_NAMED])}{more}. "
            "Let the provider tell it (OPENID_EMAIL_CLAIM, SAML_EMAIL_CLAIM, LDAP_EMAIL): it is "
            "stored at the next sign-in"
        )

    return [
        Check("token secrets", strong_secrets, offline=True),
        Check("LDAP", directory, offline=True),
        Check("password reset", reset, offline=True),
        Check("mail service", mail_service, offline=True),
        Check("mail encryption", encryption, offline=True),
        Check("mail templates", templates, offline=True),
        Check("allowed domains", domains, offline=True),
        Check("captcha", captcha, offline=True),
        Check("e-mail addresses", addresses),
    ]
