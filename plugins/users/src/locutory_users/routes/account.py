"""The account itself: profile, terms, preferences, tool keys, deletion (user §3–§7)."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, Empty, NoBody, Request, Route, SignedIn
from locutory_users.profile import profile
from locutory_users.service import OwnAccount


class Preferences(BaseModel):
    """Where code of tools runs."""

    statefulCodeEnvironment: Literal["user", "agent-user", "conversation"]  # noqa: N815


class PluginChange(BaseModel):
    """A tool to install or uninstall, with the user's secrets for it."""

    pluginKey: str = Field(min_length=1)  # noqa: N815
    action: Literal["install", "uninstall"]
    auth: dict[str, str | None] | None = None
    isEntityTool: bool = False  # noqa: N815


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
        return [
            Route(
                path="/api/user",
                endpoint=self.show,
                access=SignedIn(),
                summary="The caller's account",
                responses={200: {"_id": "…", "id": "…", "email": "a@example.com", "role": "USER"}},
                contract="user §3",
            ),
            Route(
                path="/api/user/terms",
                endpoint=self.terms,
                access=SignedIn(),
                summary="Whether the caller has accepted the terms of service",
                responses={200: {"termsAccepted": False, "termsAcceptedAt": None}},
                failure={"message": "Error fetching terms acceptance status"},
                contract="user §4",
            ),
            Route(
                path="/api/user/terms/accept",
                methods=("POST",),
                endpoint=self.accept_terms,
                access=SignedIn(),
                summary="Accept the terms of service",
                body=NoBody,
                responses={
                    200: {
                        "message": "Terms accepted successfully",
                        "termsAcceptedAt": "2026-01-31T12:00:00.000Z",
                    },
                    404: "The account is gone",
                },
                failure={"message": "Error accepting terms"},
                contract="user §4",
            ),
            Route(
                path="/api/user/preferences",
                methods=("PATCH",),
                endpoint=self.prefer,
                access=SignedIn(),
                body_schema=Preferences,
                summary="Choose where code of tools runs",
                responses={
                    200: {"updated": True, "preferences": {"statefulCodeEnvironment": "user"}},
                    400: "No such environment",
                    403: "This deployment does not allow the environment",
                    404: "The account is gone",
                },
                failure={"message": "Failed to update user preferences"},
                contract="user §5",
            ),
            Route(
                path="/api/user/plugins",
                methods=("POST",),
                endpoint=self.change_plugin,
                access=SignedIn(),
                body_schema=PluginChange,
                summary="Install or uninstall a tool and the caller's secrets for it",
                responses={200: "Done; the body is empty", 400: "Not a tool, or not secrets"},
                failure={"message": "Something went wrong."},
                contract="user §6",
            ),
            Route(
                path="/api/user/delete",
                methods=("DELETE",),
                endpoint=self.delete,
                access=SignedIn(),
                body_schema=SecondFactorBody,
                summary="Delete the caller's account and everything it owns",
                responses={
                    200: {"message": "User deleted"},
                    400: "The second factor is missing",
                    403: "Accounts cannot be deleted here",
                },
                failure={"message": "Something went wrong."},
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
        given: Any = request.fields.get("statefulCodeEnvironment")
        environment = await self._own.prefer(request.caller, given)
        return JSON({"updated": True, "preferences": {"statefulCodeEnvironment": environment}})

    async def change_plugin(self, request: Request) -> Response:
        """An empty body, whatever was done."""
        await self._own.change_plugin(
            request.caller,
            request.text("pluginKey"),
            request.text("action"),
            request.fields.get("auth"),
            not request.fields.get("isEntityTool"),
        )
        return Empty()

    async def delete(self, request: Request) -> Response:
        """``{message}``."""
        code, backup_code = request.text("token"), request.text("backupCode")
        await self._own.delete(request.caller, code, backup_code)
        return JSON({"message": "User deleted"})
