"""The plugin: accounts, signing in and out, mail to account holders, bans."""

from collections.abc import Iterable

import click
from beanie import Document

from locutory import (
    AUTHENTICATORS,
    NEXT_STEPS,
    Check,
    Context,
    Job,
    LimitExceeded,
    On,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_auth.cli import commands
from locutory_auth.config import AuthConfig, RegistrationSection, TurnstileSection
from locutory_auth.container import RELOADED, Container
from locutory_auth.deployment import checks
from locutory_auth.documents import (
    Claim,
    LogEntry,
    Revocation,
    Rotation,
    Session,
    Token,
    UsedCode,
    User,
    ViolationScore,
)
from locutory_auth.sessions.revocation import WATCH_SECONDS
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import (
    ACCOUNT_STANDING,
    ACCOUNTS,
    SECOND_FACTOR,
)
from locutory_contracts.chat import GENERATIONS
from locutory_contracts.people import PEOPLE
from locutory_contracts.sign_in import OUTSIDE_SESSIONS, PASSWORD_CHECKS, SIGN_INS
from locutory_contracts.startup import STARTUP_CONFIG

FINISH_DELETIONS_SECONDS = 15 * 60


class AuthPlugin(Plugin):
    """Owns the accounts; signs people in and out."""

    name = "auth"
    summary = "Accounts, sign-in with e-mail and password, second factor, sessions, mail, bans"
    Config = AuthConfig
    sections = {"registration": RegistrationSection, "turnstile": TurnstileSection}  # noqa: RUF012
    reloads = ("registration", "turnstile.siteKey", "turnstile.options", *RELOADED)
    provides = (
        AUTHENTICATORS,
        ACCOUNTS,
        ACCOUNT_STANDING,
        PEOPLE,
        SECOND_FACTOR,
        SIGN_INS,
        STARTUP_CONFIG,
        NEXT_STEPS,
        ACCOUNT_DATA,
    )
    wants = (GENERATIONS, PASSWORD_CHECKS, OUTSIDE_SESSIONS, AUTHENTICATORS)

    container: Container

    @hook
    def setup(self, ctx: Context[AuthConfig]) -> None:
        self.container = Container(ctx)

    @hook
    def documents(self) -> list[type[Document]]:
        shared: list[type[Document]] = [User, Session, Token, LogEntry]
        return [*shared, Rotation, Claim, Revocation, UsedCode, ViolationScore]

    @hook
    def services(self) -> list[Provide]:
        container = self.container
        return [
            Provide(AUTHENTICATORS, container.authenticator, "session"),
            Provide(AUTHENTICATORS, container.by_cookie, "cookie"),
            Provide(ACCOUNTS, container.accounts),
            Provide(ACCOUNT_STANDING, container.accounts),
            Provide(PEOPLE, container.people),
            Provide(SECOND_FACTOR, container.factor),
            Provide(SIGN_INS, container.identities),
            Provide(STARTUP_CONFIG, container.startup, "auth"),
            Provide(NEXT_STEPS, container.registration_policy.next_step, "auth"),
            Provide(ACCOUNT_DATA, container.account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [
            *account_events(self.container.account_data),
            On(LimitExceeded, self.container.violations.count),
        ]

    @hook
    def routes(self) -> list[Route]:
        return self.container.routes()

    @hook
    def phases(self) -> list[PhaseTask]:
        container = self.container

        async def stop_hashing() -> None:
            container.passwords.close()

        async def refresh_policy() -> None:
            await container.registration_policy.refresh()

        return [
            PhaseTask("authentication", "password hashing", undo=stop_hashing),
            PhaseTask("authentication", "registration", refresh_policy),
            PhaseTask(
                "authentication", "mail", undo=container.mailer.close, drain=container.mailer.drain
            ),
        ]

    @hook
    def jobs(self) -> list[Job]:
        deletions, container = FINISH_DELETIONS_SECONDS, self.container
        return [
            Job("revocations", WATCH_SECONDS, container.revocations.watch),
            Job(
                "unfinished deletions",
                deletions,
                container.accounts.finish_deletions,
                exclusive=True,
            ),
        ]

    @hook
    def checks(self, ctx: Context) -> list[Check]:
        return [*checks(ctx), Check("mail server", self.container.mailer.check_connection)]

    @hook
    def reload(self, ctx: Context) -> None:
        self.container.reload(ctx)

    @hook
    def commands(self) -> Iterable[click.Command]:
        return [commands.user]
