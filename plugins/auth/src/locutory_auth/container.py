"""The objects of one kernel, created once, for hooks and commands."""

from datetime import timedelta

from locutory import Context, Route
from locutory_auth.account_data import SignInData
from locutory_auth.accounts.one_time import OneTimeTokens
from locutory_auth.accounts.people import StoredPeople
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.bans.gate import BanGate
from locutory_auth.bans.sign_in_guard import SignInGuard
from locutory_auth.bans.store import Bans
from locutory_auth.bans.violations import CachedScores, StoredScores, Violations
from locutory_auth.captcha import Captcha
from locutory_auth.config import AuthConfig
from locutory_auth.hashing import Passwords
from locutory_auth.mail.mailer import Mailer
from locutory_auth.password_reset import PasswordReset
from locutory_auth.registration.creation import Creation
from locutory_auth.registration.domains import Domains
from locutory_auth.registration.invites import Invites
from locutory_auth.registration.policy import RegistrationPolicy
from locutory_auth.registration.registration import Registration
from locutory_auth.registration.verification import Verification
from locutory_auth.routes.limits import Limits
from locutory_auth.routes.own_sessions import OwnSessionsRoutes
from locutory_auth.routes.passwords import PasswordRoutes
from locutory_auth.routes.second_factor import SecondFactorRoutes
from locutory_auth.routes.session import SessionRoutes
from locutory_auth.second_factor.enrolment import Enrolment
from locutory_auth.second_factor.service import LONGEST_WAIT as LONGEST_CODE_WAIT
from locutory_auth.second_factor.service import StoredSecondFactor
from locutory_auth.sessions.account_cache import AccountCache
from locutory_auth.sessions.cookies import Cookies, same_site_only, secure
from locutory_auth.sessions.issuer import SessionIssuer
from locutory_auth.sessions.revocation import Revocations
from locutory_auth.sessions.rotation import Sessions
from locutory_auth.sessions.tokens import Tokens
from locutory_auth.sign_in.account_linking import AccountLinking
from locutory_auth.sign_in.authenticator import (
    AccountCheck,
    CookieAuthenticator,
    SessionAuthenticator,
)
from locutory_auth.sign_in.external import ExternalSessions
from locutory_auth.sign_in.identities import Identities
from locutory_auth.sign_in.password import LONGEST_WAIT, SignIn
from locutory_auth.sign_in.provisioning import Provisioning
from locutory_auth.startup import SignInStartup
from locutory_auth.throttle import Throttle

RELOADED = (
    "allow_email_login",
    "allow_email_login_override",
    "allow_registration",
    "allow_password_reset",
    "allow_unverified_email_login",
    "allow_account_deletion",
    "reset_link_in_answer",
    "hide_accounts",
)
"""Settings that are looked at when they are needed."""


class Container:
    """Everything that works for the routes, services and commands of the plugin."""

    def __init__(self, ctx: Context[AuthConfig]) -> None:
        config = ctx.config
        kernel, database, log = ctx.kernel, ctx.database, ctx.log
        self.config = config
        self.database = database
        self.tokens = Tokens(ctx.credentials, config.session_expiry / 1000)
        self.passwords = Passwords(argon2=config.password_rehash, threads=config.hash_threads)
        self.cache = AccountCache(
            config.account_cache_seconds,
            config.account_cache_size,
            ctx.broadcast,
        )
        self.revocations = Revocations(
            database,
            ctx.services,
            self.cache,
            config.session_expiry / 1000,
            config.refresh_token_expiry / 1000,
            log,
        )
        life = timedelta(milliseconds=config.refresh_token_expiry)
        self.sessions = Sessions(database, self.tokens, life, self.revocations, log)
        self.bans = Bans(database)
        self.accounts = StoredAccounts(
            database, ctx.events, self.cache, self.revocations, self.bans, log
        )
        self.account_data = SignInData(database, self.sessions, self.bans, self.cache)
        self.people = StoredPeople(database)
        gate = BanGate(self.bans, addresses=config.ban_violations)
        external = ExternalSessions(ctx.services, self.accounts, self.revocations, log)
        account_check = AccountCheck(self.accounts, gate)
        self.authenticator = SessionAuthenticator(self.tokens, account_check, external)
        self.by_cookie = CookieAuthenticator(self.tokens, self.sessions, external, account_check)
        self.cookies = Cookies(is_secure=secure(kernel, config.session_cookie_secure))
        session_issuer = SessionIssuer(
            self.tokens, self.sessions, self.revocations, self.cookies, ctx.events
        )

        section = ctx.section("registration") or {}
        self.domains = domains = Domains(section.get("allowedDomains") or ())
        self.creation = Creation(database, ctx.events, log)
        account_linking = AccountLinking(
            database, self.accounts, self.creation, domains, self.bans, gate, log
        )
        provisioning = Provisioning(database, self.creation, domains)
        self.identities = Identities(
            self.accounts, self.sessions, session_issuer, account_linking, provisioning
        )
        self.mailer = Mailer(config, ctx.cache, kernel.outgoing, log)
        tokens = OneTimeTokens(database, self.passwords)
        self.verification = Verification(
            database, self.accounts, tokens, self.mailer, kernel.domain_client, log
        )
        self.invites = Invites(database, kernel.domain_client)
        self.reset = PasswordReset(
            database,
            self.accounts,
            self.sessions,
            tokens,
            self.passwords,
            self.mailer,
            domains,
            config,
            kernel.domain_client,
            log,
        )
        window = config.two_factor_window or config.login_window
        guesses = config.two_factor_max or config.login_max
        self.factor = StoredSecondFactor(
            database,
            self.accounts,
            ctx.credentials,
            Throttle(ctx.cache, "second_factor", guesses, LONGEST_CODE_WAIT),
            window,
        )
        self.enrolment = Enrolment(
            self.factor, self.accounts, self.passwords, ctx.credentials, config
        )
        scores = StoredScores(database) if config.violation_store == "database" else None
        self.violations = Violations(
            config,
            scores or CachedScores(ctx.cache),
            self.bans,
            self.sessions,
            self.cache,
            log,
        )
        self.registration_policy = RegistrationPolicy(
            database,
            ctx.services,
            config.allow_registration,
            directory=config.ldap_configured,
        )
        turnstile = ctx.section("turnstile") or {}
        self.startup = SignInStartup(config, kernel, turnstile, self.registration_policy)
        limits = Limits(config, self.tokens)
        self.captcha = Captcha(config, kernel.outgoing, log)
        guard = SignInGuard(database, gate, self.bans, self.captcha)
        own_cookies_only = same_site_only((kernel.domain_client, kernel.domain_server))
        throttle = Throttle(ctx.cache, "login", config.account_failures, LONGEST_WAIT)
        sign_in = SignIn(
            database, ctx.services, self.accounts, self.passwords, throttle, config, log
        )
        registration = Registration(
            database,
            self.passwords,
            self.creation,
            self.invites,
            self.verification,
            domains,
            config,
            self.registration_policy,
        )
        self._route_groups = (
            SessionRoutes(
                self.accounts,
                self.tokens,
                self.sessions,
                session_issuer,
                sign_in,
                registration,
                guard,
                limits,
                self.cookies,
                external,
                own_cookies_only,
            ),
            PasswordRoutes(self.reset, self.verification, guard, limits),
            SecondFactorRoutes(
                self.accounts,
                self.tokens,
                session_issuer,
                self.factor,
                self.enrolment,
                guard,
                limits,
                ctx.cache,
            ),
            OwnSessionsRoutes(self.sessions, self.authenticator),
        )

    def reload(self, ctx: Context) -> None:
        """Take who may register and sign in; the rest of the settings stays."""
        for name in RELOADED:
            setattr(self.config, name, getattr(ctx.config, name))
        self.domains.configure((ctx.section("registration") or {}).get("allowedDomains") or ())
        self.registration_policy.configure(self.config.allow_registration)
        self.startup.configure(self.config, ctx.kernel, ctx.section("turnstile") or {})

    def routes(self) -> list[Route]:
        """Every route of the plugin."""
        return [route for group in self._route_groups for route in group.all()]
