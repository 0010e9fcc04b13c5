"""Cookies of the session, and the guard against other sites using them (contract auth §5)."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC
from email.utils import format_datetime
from urllib.parse import urlsplit

import structlog
from starlette.responses import Response

from locutory import JSON, KernelConfig, Request
from locutory_auth.sessions.rotation import Refresh

REFRESH = "refreshToken"
PROVIDER = "token_provider"
_CLEARED = (
    REFRESH,
    "openid_access_token",
    "openid_id_token",
    "openid_user_id",
    PROVIDER,
)

_LONGEST_NAME = 100

log = structlog.get_logger("locutory.auth")

Gate = Callable[[Request], Awaitable[Response | None]]


def secure(kernel: KernelConfig, override: str) -> bool:
    """``True`` when cookies get the attribute Secure. ``override`` decides when it is true or
    false; else they get it when the public address is https, since browsers do not store a Secure
    cookie of another address."""
    decided = override.strip().lower()
    return decided == "true" if decided in ("true", "false") else kernel.is_https


def _host(address: str) -> str:
    """The host name of an address with or without scheme; "" when there is none."""
    try:
        return (urlsplit(address if "://" in address else f"//{address}").hostname or "").lower()
    except ValueError:
        return ""


def read(request: Request, name: str) -> str | None:
    """A cookie's value; ``None`` for an empty one. Of several with one name the first counts:
    some clients send an old one after it (contract clients §6)."""
    return request.cookies.get(name) or None


class Cookies:
    """Writes the session's cookies."""

    def __init__(self, *, is_secure: bool) -> None:
        self._flags = f"HttpOnly; {'Secure; ' if is_secure else ''}SameSite=Strict"

    def values(self, refresh: Refresh, provider: str = "librechat") -> tuple[str, ...]:
        """``Set-Cookie`` values that hand out a refresh token; they end with the session."""
        expires = format_datetime(refresh.expires.astimezone(UTC), usegmt=True)
        pairs = ((REFRESH, refresh.token), (PROVIDER, provider))
        return tuple(
            f"{name}={value}; Path=/; Expires={expires}; {self._flags}" for name, value in pairs
        )

    def set(self, response: Response, refresh: Refresh) -> None:
        """Hand out a refresh token."""
        add(response, self.values(refresh))

    @staticmethod
    def clear(response: Response) -> None:
        """Take back every cookie of a session, those of OpenID too."""
        for name in _CLEARED:
            response.headers.append(
                "set-cookie", f"{name}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
            )


def add(response: Response, values: Iterable[str]) -> None:
    """Add ``Set-Cookie`` values to a response."""
    for value in values:
        response.headers.append("set-cookie", value)


def same_site_only(trusted: Iterable[str]) -> Gate:
    """A gate that refuses requests which another site made a browser send with our cookie.

    Browsers say so themselves (Sec-Fetch-Site). Older ones send only Origin, which has to
    be the host asked for or one of the ``trusted`` addresses. Programs send neither.
    """
    ours = {_host(address) for address in trusted} - {""}

    async def gate(request: Request) -> Response | None:
        if read(request, REFRESH) is None or not _crosses(request, ours):
            return None
        page = _host(request.headers.get("origin", ""))[:_LONGEST_NAME] or "another site"
        asked = " and ".join(sorted(_asked(request)))[:_LONGEST_NAME]
        text = (
            f"Cross-site request refused: a page of {page} asked {asked}. If that page is yours, "
            "set DOMAIN_CLIENT to its address, or let the reverse proxy pass Host on"
        )
        log.warning(
            "auth.cross_site_refused", plugin="auth", page=page, asked=asked, fix="DOMAIN_CLIENT"
        )
        return JSON({"message": text}, 403)

    return gate


def _asked(request: Request) -> set[str]:
    """The host names that the request was sent to, as the server and as a proxy saw it; of
    several proxies the first."""
    first = request.headers.get("x-forwarded-host", "").partition(",")[0].strip()
    return {_host(request.headers.get("host", "")), _host(first)} - {""}


def _crosses(request: Request, ours: set[str]) -> bool:
    origin = request.headers.get("origin", "")
    if origin.startswith(("http://", "https://")) and _host(origin) in ours:
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site.strip().lower() == "cross-site"
    if origin == "null":
        return True
    if not origin.startswith(("http://", "https://")):
        return False
    return _host(origin) not in _asked(request)
