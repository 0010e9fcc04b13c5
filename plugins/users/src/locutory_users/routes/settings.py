"""Favourites, starred tools and skill switches (contract user §9–§11)."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, NoBody, Request, Route, SignedIn
from locutory_users.favorites import LONGEST, MOST, read_favorites
from locutory_users.service import OwnAccount
from locutory_users.skill_states import MOST_SENT, check_states
from locutory_users.tool_favorites import ToolFavorites, checked

_PREFIX = "/api/user/settings"
_STAR = f"{_PREFIX}/favorites/tools/{{item_type}}/{{item_id}}"


class Favorite(BaseModel):
    """An agent, or a model of an endpoint, or a model spec."""

    agentId: str | None = Field(default=None, max_length=LONGEST)  # noqa: N815
    model: str | None = Field(default=None, max_length=LONGEST)
    endpoint: str | None = Field(default=None, max_length=LONGEST)
    spec: str | None = Field(default=None, min_length=1, max_length=LONGEST)


class Favorites(BaseModel):
    """The whole list; it replaces the stored one."""

    favorites: list[Favorite] = Field(max_length=MOST)


class SkillStates(BaseModel):
    """Skill id → switched on; replaces the stored map."""

    skillStates: dict[str, bool] = Field(max_length=MOST_SENT)  # noqa: N815


class SettingsRoutes:
    """``/api/user/settings``."""

    def __init__(self, own: OwnAccount, stars: ToolFavorites) -> None:
        self._own = own
        self._stars = stars

    def all(self) -> list[Route]:
        """The routes."""
        failure = {"message": "Internal server error"}
        return [
            Route(
                path=f"{_PREFIX}/favorites",
                endpoint=self.favorites,
                access=SignedIn(),
                summary="The caller's favourite agents, models and specs",
                responses={200: [{"model": "gpt-5", "endpoint": "openAI"}]},
                failure=failure,
                contract="user §9",
            ),
            Route(
                path=f"{_PREFIX}/favorites",
                methods=("POST",),
                endpoint=self.set_favorites,
                access=SignedIn(),
                body_schema=Favorites,
                summary="Replace the caller's favourites",
                responses={
                    200: [{"model": "gpt-5", "endpoint": "openAI"}],
                    400: "Not a list of favourites",
                    404: "The account is gone",
                },
                failure=failure,
                contract="user §9",
            ),
            Route(
                path=f"{_PREFIX}/favorites/tools",
                endpoint=self.stars,
                access=SignedIn(),
                summary="The caller's starred tools, oldest first",
                responses={200: [{"itemType": "tool", "itemId": "calculator"}]},
                failure={"message": "Failed to retrieve favorites"},
                contract="user §10",
            ),
            Route(
                path=_STAR,
                methods=("PUT",),
                endpoint=self.star,
                access=SignedIn(),
                summary="Star a tool",
                body=NoBody,
                responses={
                    200: {"itemType": "tool", "itemId": "calculator"},
                    400: "Not a tool, or too many stars",
                },
                failure={"message": "Failed to add favorite"},
                contract="user §10",
            ),
            Route(
                path=_STAR,
                methods=("DELETE",),
                endpoint=self.unstar,
                access=SignedIn(),
                summary="Take the star of a tool away",
                responses={200: {"ok": True}, 400: "Not a tool"},
                failure={"message": "Failed to remove favorite"},
                contract="user §10",
            ),
            Route(
                path=f"{_PREFIX}/skills/active",
                endpoint=self.skills,
                access=SignedIn(),
                summary="The caller's skill switches",
                responses={200: {}},
                failure=failure,
                contract="user §11",
            ),
            Route(
                path=f"{_PREFIX}/skills/active",
                methods=("POST",),
                endpoint=self.set_skills,
                access=SignedIn(),
                body_schema=SkillStates,
                summary="Replace the caller's skill switches",
                responses={200: {}, 400: "Not a map of switches"},
                failure=failure,
                contract="user §11",
            ),
        ]

    async def favorites(self, request: Request) -> Response:
        """The list, in its order."""
        stored = request.caller.account.get("favorites")
        return JSON(stored if isinstance(stored, list) else [])

    async def set_favorites(self, request: Request) -> Response:
        """The list as stored."""
        given = read_favorites(request.fields.get("favorites"))
        account = await self._own.set(request.caller, {"favorites": given})
        return JSON(account["favorites"])

    async def stars(self, request: Request) -> Response:
        """``[{itemType, itemId}]``."""
        return JSON(await self._stars.all(request.caller))

    async def star(self, request: Request) -> Response:
        """``{itemType, itemId}``, also when it was starred."""
        star = checked(request.path_params["item_type"], request.path_params["item_id"])
        await self._stars.add(request.caller, star)
        return JSON(star)

    async def unstar(self, request: Request) -> Response:
        """``{ok}``, also when it was not starred."""
        star = checked(request.path_params["item_type"], request.path_params["item_id"])
        await self._stars.remove(request.caller, star)
        return JSON({"ok": True})

    async def skills(self, request: Request) -> Response:
        """Switches of skills that exist. No plugin offers skills, so none does; what the
        account has stored stays for when one is on."""
        return JSON({})

    async def set_skills(self, request: Request) -> Response:
        """As `skills`: switches of unknown skills are dropped."""
        check_states(request.fields.get("skillStates"))
        return JSON({})
