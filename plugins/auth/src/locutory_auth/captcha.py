"""The captcha of the sign-in pages: verifies its answer with Cloudflare."""

import httpx2
import structlog

from locutory import HTTPError, Request
from locutory_auth.config import AuthConfig
from locutory_http import Outgoing

FIELDS = ("cf-turnstile-response", "turnstileToken")
_SECONDS = 10.0
_LONGEST = 2048
_LARGEST = 64 * 1024


class Captcha:
    """Checks answers of the captcha, where ``TURNSTILE_SECRET_KEY`` is set."""

    def __init__(
        self, config: AuthConfig, outgoing: Outgoing, log: structlog.stdlib.BoundLogger
    ) -> None:
        key = config.turnstile_secret_key
        self._secret = key.get_secret_value() if key else ""
        self._url = config.turnstile_verify_url
        self._outgoing = outgoing
        self._log = log

    async def check(self, request: Request) -> None:
        """Raise a 400 for a missing or wrong answer, a 503 while it cannot be checked."""
        if not self._secret:
            return
        token = next((text for field in FIELDS if (text := request.text(field))), None)
        if token is None or len(token) > _LONGEST or not await self._is_good(token, request.ip):
            raise HTTPError(400, {"message": "The captcha was not solved. Please try again."})

    async def _is_good(self, token: str, ip: str) -> bool:
        sent = {"secret": self._secret, "response": token, "remoteip": ip}
        try:
            async with self._outgoing.client(_SECONDS, most=_LARGEST) as client:
                answer = await client.post(self._url, data=sent)
                found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            self._log.error("captcha.not_checked", reason=str(error) or type(error).__name__)
            text = "The captcha cannot be checked at the moment. Please try again later."
            raise HTTPError(503, {"message": text}) from None
        return isinstance(found, dict) and found.get("success") is True
