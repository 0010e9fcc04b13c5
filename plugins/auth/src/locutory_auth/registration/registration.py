"""Registration with e-mail and password (contract auth §6)."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from locutory import Database, HTTPError
from locutory_auth.config import AuthConfig
from locutory_auth.documents import User, by_address
from locutory_auth.hashing import Passwords
from locutory_auth.registration.creation import Creation, NotTheFirst, new_account
from locutory_auth.registration.domains import Domains
from locutory_auth.registration.invites import Invites
from locutory_auth.registration.policy import RegistrationPolicy
from locutory_auth.registration.validation import RegistrationInput, read_registration
from locutory_auth.registration.verification import Verification
from locutory_auth.timing import on_the_beat

DONE = "Please check your email to verify your email address."
CLOSED = "Registration is not allowed."
UNVERIFIED_LIFE = timedelta(days=7)


def refusal(status: int, message: str) -> HTTPError:
    """A refusal as the client knows it."""
    return HTTPError(status, {"message": message})


class Registration:
    """Lets people register."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        creation: Creation,
        invites: Invites,
        verification: Verification,
        domains: Domains,
        config: AuthConfig,
        policy: RegistrationPolicy,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._creation = creation
        self._invites = invites
        self._verification = verification
        self._domains = domains
        self._config = config
        self._policy = policy

    async def register(self, body: Mapping[str, Any], tenant: str | None = None) -> None:
        """Create the account that ``body`` asks for, in a tenant if there is one. Raises
        `HTTPError` with the contract's refusal; an address that has an account already is not
        refused, and takes as long."""
        started = time.monotonic()
        invited = await self._invites.use_up(body)
        if not invited and not await self._policy.refresh():
            raise refusal(403, CLOSED)
        # Others may have been let in at the same time: one of them makes it.
        only_first = not invited and self._policy.first_only
        form = read_registration(body, self._config.shortest_password)
        if isinstance(form, str):
            raise refusal(404, form)
        if not self._domains.allow(form.email):
            raise refusal(
                403,
                "The email address provided cannot be used. Please use a different email address.",
            )
        chosen = by_address(form.email, tenant)
        taken = await self._database[User].find_one(chosen, {"_id": 1})
        password = await self._passwords.hash(form.password)
        created = None
        if taken is None:
            document = self._document(form, password, tenant)
            try:
                created = await self._creation.create(
                    document, may_administer=True, only_first=only_first
                )
            except NotTheFirst:
                raise refusal(403, CLOSED) from None
        await self._policy.refresh()
        if created is None:
            await self._verification.pretend()
        elif not created["emailVerified"]:
            await self._verification.send(created)
        await on_the_beat(started)

    def _document(
        self, form: RegistrationInput, password: str, tenant: str | None
    ) -> dict[str, Any]:
        verified = not self._config.mail_configured
        document = new_account(
            form.email,
            name=form.name,
            username=form.username,
            password=password,
            emailVerified=verified,
            **({} if tenant is None else {"tenantId": tenant}),
        )
        if not verified and not self._config.allow_unverified_email_login:
            document["expiresAt"] = document["createdAt"] + UNVERIFIED_LIFE
        return document
