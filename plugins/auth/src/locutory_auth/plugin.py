"""The plugin: accounts, signing in and out, mail to account holders, bans."""

from collections.abc import Iterable

import click
from beanie import Document

from locutory import (
    AUTHENTICATORS,
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
from locutory.pages import NEXT_STEPS
from locutory_auth.cli import commands
from locutory_auth.config import Config, RegistrationSection, TurnstileSection
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
from locutory_auth.parts import RELOADED, Parts
from locutory_auth.sessions.revocation import WATCH_SECONDS
from locutory_contracts.accounts import (
    ACCOUNT_STANDING,
    ACCOUNTS,
    SECOND_FACTOR,
    AccountDeleted,
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
    Config = Config
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
    )
    wants = (GENERATIONS, PASSWORD_CHECKS, OUTSIDE_SESSIONS, AUTHENTICATORS)

    parts: Parts

    @hook
    def documents(self) -> list[type[Document]]:
        shared: list[type[Document]] = [User, Session, Token, LogEntry]
        return [*shared, Rotation, Claim, Revocation, UsedCode, ViolationScore]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self.parts = parts = Parts(ctx)
        return [
            Provide(AUTHENTICATORS, parts.authenticator, "session"),
            Provide(AUTHENTICATORS, parts.by_cookie, "cookie"),
            Provide(ACCOUNTS, parts.accounts),
            Provide(ACCOUNT_STANDING, parts.accounts),
            Provide(PEOPLE, parts.people),
            Provide(SECOND_FACTOR, parts.factor),
            Provide(SIGN_INS, parts.identities),
            Provide(STARTUP_CONFIG, parts.startup, "auth"),
            Provide(NEXT_STEPS, parts.door.next_step, "auth"),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [
            On(AccountDeleted, self.parts.accounts.erase),
            On(LimitExceeded, self.parts.violations.count),
        ]

    @hook
    def routes(self) -> list[Route]:
        return self.parts.routes()

    @hook
    def phases(self) -> list[PhaseTask]:
        parts = self.parts

        async def stop_hashing() -> None:
            parts.passwords.close()

        async def look() -> None:
            await parts.door.look()

        return [
            PhaseTask("authentication", "password hashing", undo=stop_hashing),
            PhaseTask("authentication", "registration", look),
            PhaseTask("authentication", "account changes", parts.cache.listen, parts.cache.close),
            PhaseTask(
                "authentication", "mail", undo=parts.postbox.close, drain=parts.postbox.drain
            ),
        ]

    @hook
    def jobs(self) -> list[Job]:
        deletions, parts = FINISH_DELETIONS_SECONDS, self.parts
        return [
            Job("revocations", WATCH_SECONDS, parts.revocations.watch),
            Job("unfinished deletions", deletions, parts.accounts.finish_deletions, exclusive=True),
        ]

    @hook
    def checks(self, ctx: Context) -> list[Check]:
        return [*checks(ctx), Check("mail server", self.parts.postbox.reach)]

    @hook
    def reload(self, ctx: Context) -> None:
        self.parts.reload(ctx)

    @hook
    def commands(self) -> Iterable[click.Command]:
        return [commands.user]
