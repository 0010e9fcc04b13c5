"""GitHub, and GitHub Enterprise."""

from collections.abc import Mapping
from typing import Any

from locutory_oauth.config import SocialSettings
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import text
from locutory_oauth.social.code_flow import CodeFlow, Profile, bearer
from locutory_oauth.values import first_address

SITE = "https://github.com"
API = "https://api.github.com"


class GitHub(CodeFlow):
    """Sign-in with GitHub. Its profile does not have a member for a verified address, so the list
    of addresses is requested: the main one if it is verified, else another verified one."""

    provider = "github"
    scope = "user:email read:user"

    def locate(self, settings: SocialSettings, address: str | None) -> tuple[str, str]:
        """The addresses of GitHub, or of a GitHub Enterprise server, for authorization and for
        tokens."""
        enterprise = address or settings.github_enterprise_base_url
        site = (enterprise or SITE).rstrip("/")
        self._api = f"{site}/api/v3" if enterprise else API
        agent = settings.github_enterprise_user_agent if enterprise else None
        self._headers = {"user-agent": agent} if agent else {}
        return f"{site}/login/oauth/authorize", f"{site}/login/oauth/access_token"

    async def profile(self, access_token: str) -> Profile:
        """The profile of the GitHub user of a token."""
        headers = bearer(access_token, **self._headers)
        user = await self.http.object(f"{self._api}/user", headers=headers)
        email, verified = _choose(await self._emails(headers))
        return Profile(
            id=text(user.get("id")),
            email=email,
            email_verified=verified,
            username=text(user.get("login")),
            name=text(user.get("name")),
            picture=text(user.get("avatar_url")) or None,
        )

    async def _emails(self, headers: Mapping[str, str]) -> Any:
        try:
            return await self.http.json(f"{self._api}/user/emails", headers=headers)
        except Unreachable as failure:
            if failure.status not in (403, 404):
                raise
            return None  # a GitHub App without the permission for addresses


def _choose(emails: Any) -> tuple[str, bool]:
    """The best address, and ``True`` when it is verified; ("", False) without one."""
    found: list[Mapping[str, Any]] = (
        [item for item in emails if isinstance(item, dict) and first_address(item.get("email"))]
        if isinstance(emails, list)
        else []
    )
    ranked = sorted(
        found, key=lambda item: (item.get("verified") is not True, item.get("primary") is not True)
    )
    if not ranked:
        return "", False
    return first_address(ranked[0]["email"]), ranked[0].get("verified") is True
