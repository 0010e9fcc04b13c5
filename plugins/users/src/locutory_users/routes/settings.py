"""Favourites, starred tools and skill switches (contract user §9–§11)."""

from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator
from starlette.responses import Response

from locutory import JSON, NoBody, Request, Route, RouteGroup, SignedIn, refusal
from locutory_users.favorites import LONGEST, MOST, read_favorites
from locutory_users.service import OwnAccount
from locutory_users.skill_states import MOST_SENT, checked_states
from locutory_users.tool_favorites import ToolFavorites, checked

_TEXTS = {
    "favorites": "Favorites data is required",
    "skillStates": "skillStates must be a plain object",
}
_FAVORITES = [{"model": "gpt-5", "endpoint": "openAI"}]
_STAR = {"itemType": "tool", "itemId": "calculator"}


class Favorite(BaseModel):
    """An agent, or a model of an endpoint, or a model spec."""

    agentId: str | None = Field(default=None, max_length=LONGEST)  # noqa: N815
    model: str | None = Field(default=None, max_length=LONGEST)
    endpoint: str | None = Field(default=None, max_length=LONGEST)
    spec: str | None = Field(default=None, min_length=1, max_length=LONGEST)


class Favorites(BaseModel):
    """The whole list; it replaces the stored one."""

    favorites: Annotated[
        list[dict[str, str]],
        PlainValidator(
            read_favorites,
            json_schema_input_type=Annotated[list[Favorite], Field(max_length=MOST)],
        ),
    ]


class SkillStates(BaseModel):
    """Skill id → switched on; replaces the stored map."""

    skillStates: Annotated[  # noqa: N815
        dict[str, bool],
        PlainValidator(
            checked_states,
            json_schema_input_type=Annotated[dict[str, bool], Field(max_length=MOST_SENT)],
        ),
    ]


class SettingsRoutes:
    """``/api/user/settings``."""

    def __init__(self, own: OwnAccount, stars: ToolFavorites) -> None:
        self._own = own
        self._stars = stars

    def all(self) -> list[Route]:
        """The routes."""
        settings = RouteGroup(
            "/api/user/settings",
            access=SignedIn(),
            failure={"message": "Internal server error"},
            invalid=refusal("message", _TEXTS),
        )
        star = "/favorites/tools/{item_type}/{item_id}"
        return [
            settings.get(
                "/favorites",
                self.favorites,
                "The caller's favourite agents, models and specs",
                responses={200: _FAVORITES},
                contract="user §9",
            ),
            settings.post(
                "/favorites",
                self.set_favorites,
                "Replace the caller's favourites",
                body=Favorites,
                responses={200: _FAVORITES, 404: "The account is gone"},
                contract="user §9",
            ),
            settings.get(
                "/favorites/tools",
                self.stars,
                "The caller's starred tools, oldest first",
                responses={200: [_STAR]},
                failure={"message": "Failed to retrieve favorites"},
                contract="user §10",
            ),
            settings.put(
                star,
                self.star,
                "Star a tool",
                body=NoBody,
                responses={200: _STAR, 400: "Not a tool, or too many stars"},
                failure={"message": "Failed to add favorite"},
                contract="user §10",
            ),
            settings.delete(
                star,
                self.unstar,
                "Take the star of a tool away",
                responses={200: {"ok": True}, 400: "Not a tool"},
                failure={"message": "Failed to remove favorite"},
                contract="user §10",
            ),
            settings.get(
                "/skills/active",
                self.skills,
                "The caller's skill switches",
                responses={200: {}},
                contract="user §11",
            ),
            settings.post(
                "/skills/active",
                self.set_skills,
                "Replace the caller's skill switches",
                body=SkillStates,
                responses={200: {}},
                contract="user §11",
            ),
        ]

    async def favorites(self, request: Request) -> Response:
        """The list, in its order."""
        stored = request.caller.account.get("favorites")
        return JSON(stored if isinstance(stored, list) else [])

    async def set_favorites(self, request: Request) -> Response:
        """The list as stored."""
        given = request.valid(Favorites).favorites
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
        """Switches of existing skills. No plugin offers skills, so there are none; the account's
        stored ones are kept for later."""
        return JSON({})

    async def set_skills(self, request: Request) -> Response:
        """As `skills`: switches of unknown skills are dropped."""
        return JSON({})
