"""The state of a login: the cookie of the browser that it belongs to, and what is kept for it.

Every sign-in is bound to the browser that began it: the state that travels through the
provider is only good once, for ten minutes, and together with the signed cookie of that
browser. So nobody can finish a sign-in that somebody else began (contract security §4).
"""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from locutory import Cache, KernelConfig, Request, now

COOKIE = "connect.sid"
STATE_SECONDS = 600
POSTED_SECONDS = 120
LARGEST_POST = 256 * 1024
_FLOWS = "oauth:flow"
_POSTED = "oauth:posted"
_SESSIONS = "oauth:session"


@dataclass(frozen=True, slots=True)
class LoginState:
    """A sign-in under way."""

    provider: str
    browser: str
    memory: Mapping[str, str]


def secure(kernel: KernelConfig, override: str) -> bool:
    """``True`` when cookies get the attribute Secure (contract auth §5). ``override`` decides
    when it is true or false; else they do when the public address is https."""
    decided = override.strip().lower()
    return decided == "true" if decided in ("true", "false") else kernel.is_https


def set_cookie(name: str, value: str, seconds: float, *, is_secure: bool, site: str) -> str:
    """A ``Set-Cookie`` value; percent-encoded, since tokens hold anything."""
    expires = format_datetime((now() + timedelta(seconds=seconds)).astimezone(UTC), usegmt=True)
    flag = "Secure; " if is_secure else ""
    return (
        f"{name}={quote(value, safe='')}; Path=/; Expires={expires}; "
        f"HttpOnly; {flag}SameSite={site}"
    )


class LoginStateStore:
    """Cookies of browsers, logins in progress, and login sessions.

    Args:
        secret: signs the cookie.
        seconds: life of the cookie and of the data stored for it.
    """

    def __init__(self, cache: Cache, secret: str, seconds: float, *, is_secure: bool) -> None:
        self._cache = cache
        self._key = hashlib.sha256(b"locutory oauth browser\0" + secret.encode()).digest()
        self._seconds = seconds
        self._secure = is_secure

    def identify(self, request: Request) -> str | None:
        """The id in the browser's cookie; ``None`` without one that this server signed."""
        value = request.cookies.get(COOKIE, "")
        browser, dot, signature = value.removeprefix("s:").partition(".")
        if not dot or not value.startswith("s:"):
            return None
        fits = hmac.compare_digest(signature.encode(), self._sign(browser).encode())
        return browser if fits else None

    def cookie(self, browser: str) -> str:
        """The ``Set-Cookie`` value of a browser."""
        # Lax, not Strict: the way back from the provider is a navigation from another site.
        return set_cookie(
            COOKIE,
            f"s:{browser}.{self._sign(browser)}",
            self._seconds,
            is_secure=self._secure,
            site="Lax",
        )

    def _sign(self, browser: str) -> str:
        digest = hmac.digest(self._key, browser.encode(), "sha256")
        return b64encode(digest).decode().rstrip("=")

    async def remember(
        self, state: str, provider: str, browser: str, memory: Mapping[str, str]
    ) -> None:
        """Remember a sign-in until its answer comes with ``state``."""
        value = {"provider": provider, "browser": browser, "memory": dict(memory)}
        await self._cache.set(_FLOWS, state, value, STATE_SECONDS)

    async def expects(self, provider: str, state: str) -> str | None:
        """The browser of a sign-in under way, which stays under way."""
        found = await self._cache.get(_FLOWS, state) if state else None
        return found["browser"] if found is not None and found["provider"] == provider else None

    async def take(self, provider: str, state: str, request: Request) -> LoginState | None:
        """The sign-in of a state, which is used up by this; ``None`` when there is none, or
        when another provider or another browser answers."""
        found = await self._cache.pop(_FLOWS, state) if state else None
        if found is None or found["provider"] != provider:
            return None
        browser = self.identify(request)
        if browser is None or not hmac.compare_digest(browser, found["browser"]):
            return None
        return LoginState(provider, browser, found["memory"])

    async def put_aside(self, provider: str, state: str, fields: Mapping[str, str]) -> None:
        """Keep a posted answer until the browser comes back with its cookie; one a state."""
        await self._cache.set(_POSTED, state, {"provider": provider, **fields}, POSTED_SECONDS)

    async def take_up(self, provider: str, state: str) -> dict[str, str] | None:
        """A posted answer, once."""
        found = await self._cache.pop(_POSTED, state)
        return found if found is not None and found.pop("provider") == provider else None

    async def store(self, browser: str, value: Mapping[str, Any]) -> None:
        """Keep something in the login session of a browser."""
        await self._cache.set(_SESSIONS, browser, dict(value), self._seconds)

    async def stored(self, request: Request) -> dict[str, Any]:
        """The value that the login session holds; empty without one."""
        browser = self.identify(request)
        found = None if browser is None else await self._cache.get(_SESSIONS, browser)
        return found if isinstance(found, dict) else {}

    async def forget(self, request: Request) -> None:
        """End the login session of a browser."""
        browser = self.identify(request)
        if browser is not None:
            await self._cache.delete(_SESSIONS, browser)


def new_id() -> str:
    """A state, or the id of a browser: nobody can guess it."""
    return secrets.token_urlsafe(32)
