"""Bodies of requests and responses. Wrong passwords, names and credentials are refused where they
are checked; values that are not text are refused here."""

# ruff: noqa: N815  (member names are those of the wire)

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class LoginBody(BaseModel):
    """Credentials."""

    email: str = Field(description="E-mail address, in any case; a name with a directory")
    password: str


class RefreshQuery(BaseModel):
    """The query of a token refresh."""

    retry: str = Field("", description="Set: where there is no session, the answer is 403")


class RegisterBody(BaseModel):
    """A registration; other members are ignored."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=3, max_length=80)
    username: str | None = Field(default=None, description="Empty, or 2 to 80 characters")
    email: str
    password: str
    confirm_password: str
    token: str | None = Field(default=None, description="Invitation")


class EmailBody(BaseModel):
    """An e-mail address; without one the answer is the same as for an unknown one."""

    email: str | None = None


class ResetBody(BaseModel):
    """A new password, and the content of the link in the mail."""

    userId: str
    token: str
    password: str
    confirm_password: str | None = None


class VerifyBody(BaseModel):
    """The content of the link in a verification mail."""

    email: str = Field(min_length=1)
    token: str = Field(min_length=1)


class CodeBody(BaseModel):
    """A second factor: either member."""

    token: str | None = Field(default=None, description="Six digits of the app")
    backupCode: str | None = Field(default=None, description="Eight characters")


class EnableBody(CodeBody):
    """A second factor where there is one already."""

    password: str | None = Field(
        default=None, description="Needed for the first enrolment where the server says so"
    )


class PendingBody(CodeBody):
    """The second factor of somebody who has shown their password."""

    tempToken: str = Field(min_length=1)


class SignedInAnswer(BaseModel):
    """An access token and the account; sets the cookies of the session."""

    token: str
    user: dict[str, Any]


class EnrolmentAnswer(BaseModel):
    """The secret for the authenticator app, and backup codes."""

    otpauthUrl: str
    backupCodes: list[str]


class BackupCodesAnswer(BaseModel):
    """New backup codes, and their stored form."""

    backupCodes: list[str]
    backupCodesHash: list[dict[str, Any]]


class SessionEntry(BaseModel):
    """A session. ``current``: the one of the request."""

    id: str
    createdAt: datetime
    expiresAt: datetime
    lastUsedAt: datetime | None = None
    ip: str | None = None
    userAgent: str | None = None
    current: bool


class SessionsAnswer(BaseModel):
    """The caller's sessions, newest first."""

    sessions: list[SessionEntry]


class Ended(BaseModel):
    """The number of sessions that were ended."""

    ended: int


class Message(BaseModel):
    """A sentence for the user."""

    message: str
