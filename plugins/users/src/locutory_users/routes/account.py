"""The account itself: profile, terms, preferences, tool keys, deletion (user §3–§7)."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from locutory import JSON, Empty, NoBody, Request, Route, RouteGroup, SignedIn, max_entries, refusal
from locutory_users.profile import profile
from locutory_users.service import (
    ENVIRONMENTS,
    LONGEST_KEY,
    MOST_FIELDS,
    Environment,
    OwnAccount,
)

_TEXTS = {
    "statefulCodeEnvironment": f"statefulCodeEnvironment must be one of: {', '.join(ENVIRONMENTS)}",
    "pluginKey": f"pluginKey must have 1 to {LONGEST_KEY} characters",
    "auth": "auth must map names to texts",
    "auth.dict_type": f"auth must be an object of at most {MOST_FIELDS} secrets",
    "auth.too_long": f"auth must be an object of at most {MOST_FIELDS} secrets",
}

Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY)]


class Preferences(BaseModel):
    """The environment in which code of tools runs."""

    statefulCodeEnvironment: Environment  # noqa: N815


class PluginChange(BaseModel):
    """A tool to install or uninstall, with the user's secrets for it."""

    pluginKey: Key  # noqa: N815
    action: str | None = Field(None, description="install or uninstall; nothing else does anything")
    auth: (
        Annotated[dict[Key, str | None], max_entries(MOST_FIELDS), Field(max_length=MOST_FIELDS)]
        | None
    ) = None
    isEntityTool: Annotated[bool, BeforeValidator(bool)] = False  # noqa: N815


class SecondFactorBody(BaseModel):
    """Confirms the deletion of an account that has a second factor."""

    token: str | None = Field(default=None, description="Six digits")
    backupCode: str | None = None  # noqa: N815


class AccountRoutes:
    """``/api/user`` without its settings."""

    def __init__(self, own: OwnAccount) -> None:
        self._own = own

    def all(self) -> list[Route]:
        """The routes."""
        user = RouteGroup("/api/user", access=SignedIn(), invalid=refusal("message", _TEXTS))
        gone: dict[int, Any] = {404: "The account is gone"}
        wrong = {"message": "Something went wrong."}
        return [
            user.get(
                "",
                self.show,
                "The caller's account",
                responses={200: {"_id": "…", "id": "…", "email": "a@example.com", "role": "USER"}},
                contract="user §3",
            ),
            user.get(
                "/terms",
                self.terms,
                "Whether the caller has accepted the terms of service",
                responses={200: {"termsAccepted": False, "termsAcceptedAt": None}},
                failure={"message": "Error fetching terms acceptance status"},
                contract="user §4",
            ),
            user.post(
                "/terms/accept",
                self.accept_terms,
                "Accept the terms of service",
                body=NoBody,
                responses={
                    200: {
                        "message": "Terms accepted successfully",
                        "termsAcceptedAt": "2026-01-31T12:00:00.000Z",
                    },
                    **gone,
                },
                failure={"message": "Error accepting terms"},
                contract="user §4",
            ),
            user.patch(
                "/preferences",
                self.prefer,
                "Choose where code of tools runs",
                body=Preferences,
                responses={
                    200: {"updated": True, "preferences": {"statefulCodeEnvironment": "user"}},
                    403: "This deployment does not allow the environment",
                    **gone,
                },
                failure={"message": "Failed to update user preferences"},
                contract="user §5",
            ),
            user.post(
                "/plugins",
                self.change_plugin,
                "Install or uninstall a tool and the caller's secrets for it",
                body=PluginChange,
                responses={200: "Done; the body is empty"},
                failure=wrong,
                contract="user §6",
            ),
            user.delete(
                "/delete",
                self.delete,
                "Delete the caller's account and everything it owns",
                body=SecondFactorBody,
                responses={
                    200: {"message": "User deleted"},
                    400: "The second factor is missing",
                    403: "Accounts cannot be deleted here",
                },
                failure=wrong,
                contract="user §7",
            ),
        ]

    async def show(self, request: Request) -> Response:
        """The account, as authentication loaded it."""
        return JSON(profile(request.caller))

    async def terms(self, request: Request) -> Response:
        """``{termsAccepted, termsAcceptedAt}``."""
        account = request.caller.account
        return JSON(
            {
                "termsAccepted": bool(account.get("termsAccepted")),
                "termsAcceptedAt": account.get("termsAcceptedAt"),
            }
        )

    async def accept_terms(self, request: Request) -> Response:
        """``{message, termsAcceptedAt}``."""
        accepted = await self._own.accept_terms(request.caller)
        return JSON({"message": "Terms accepted successfully", "termsAcceptedAt": accepted})

    async def prefer(self, request: Request) -> Response:
        """``{updated, preferences}``."""
        environment = request.valid(Preferences).statefulCodeEnvironment
        await self._own.prefer(request.caller, environment)
        return JSON({"updated": True, "preferences": {"statefulCodeEnvironment": environment}})

    async def change_plugin(self, request: Request) -> Response:
        """An empty body, whatever was done."""
        body = request.valid(PluginChange)
        await self._own.change_plugin(
            request.caller, body.pluginKey, body.action, body.auth, not body.isEntityTool
        )
        return Empty()

    async def delete(self, request: Request) -> Response:
        """``{message}``."""
        body = request.valid(SecondFactorBody)
        await self._own.delete(request.caller, body.token, body.backupCode)
        return JSON({"message": "User deleted"})
