"""Discord."""

from locutory_oauth.config import SocialSettings
from locutory_oauth.identity import text
from locutory_oauth.social.code_flow import CodeFlow, Profile, bearer

SITE = "https://discord.com"
_PICTURES = "https://cdn.discordapp.com"


class Discord(CodeFlow):
    """Sign-in with Discord. Its profile has a member for a verified address, since people may sign
    up with addresses that are not theirs."""

    provider = "discord"
    scope = "identify email"

    def locate(self, settings: SocialSettings, address: str | None) -> tuple[str, str]:
        """The addresses of Discord for authorization and for tokens."""
        self._api = f"{address or SITE}/api"
        return f"{self._api}/oauth2/authorize?prompt=none", f"{self._api}/oauth2/token"

    async def profile(self, access_token: str) -> Profile:
        """The profile of the Discord user of a token."""
        user = await self.http.object(f"{self._api}/users/@me", headers=bearer(access_token))
        user_id, avatar = text(user.get("id")), text(user.get("avatar"))
        if avatar:
            kind = "gif" if avatar.startswith("a_") else "png"
            picture = f"{_PICTURES}/avatars/{user_id}/{avatar}.{kind}"
        else:
            number = text(user.get("discriminator"))
            picture = (
                f"{_PICTURES}/embed/avatars/{int(number) % 5 if number.isdecimal() else 0}.png"
            )
        return Profile(
            id=user_id,
            email=text(user.get("email")),
            email_verified=user.get("verified") is True,
            username=text(user.get("username")),
            name=text(user.get("global_name")),
            picture=picture,
        )
