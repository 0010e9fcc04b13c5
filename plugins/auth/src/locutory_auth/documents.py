"""Collections of the plugin (collections §3.1). The first three are shared with LibreChat."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, IndexModel

TENANT = IndexModel([("tenantId", ASCENDING)], name="tenantId_1")
_PROVIDERS = ("google", "facebook", "saml", "ldap", "github", "discord", "apple")


def _per_tenant(*fields: str, **options: Any) -> IndexModel:
    keys = [(field, ASCENDING) for field in (*fields, "tenantId")]
    return IndexModel(keys, name="_".join(f"{field}_1" for field, _ in keys), **options)


def _provider_id(*fields: str) -> IndexModel:
    """Unique where the first field exists; so it must be absent, never null, when unused."""
    partial = {fields[0]: {"$exists": True}}
    return _per_tenant(*fields, unique=True, partialFilterExpression=partial)


class User(Document):
    """An account. Provider ids are absent unless the account has one."""

    name: str | None = None
    username: str | None = ""
    email: str
    emailVerified: bool = False
    password: str | None = None
    avatar: str | None = None
    provider: str = "local"
    role: str = "USER"
    plugins: list[Any] = Field(default_factory=list)
    twoFactorEnabled: bool = False
    totpSecret: str | None = None
    pendingTotpSecret: str | None = None
    backupCodes: list[dict[str, Any]] = Field(default_factory=list)
    pendingBackupCodes: list[dict[str, Any]] | None = None
    refreshToken: list[dict[str, Any]] = Field(default_factory=list)
    expiresAt: datetime | None = None
    termsAccepted: bool = False
    termsAcceptedAt: datetime | None = None
    agentTriggerDeletionStartedAt: datetime | None = None
    subagentAdmissionFences: list[dict[str, Any]] | None = None
    personalization: dict[str, Any] | None = None
    favorites: list[dict[str, str]] = Field(default_factory=list)
    skillStates: dict[str, bool] = Field(default_factory=dict)
    idOnTheSource: str | None = None
    openidIssuer: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "users"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("email", ASCENDING)], name="email_1"),
            # Seven days after the date, not at the date (contract auth §6).
            IndexModel([("expiresAt", ASCENDING)], name="expiresAt_1", expireAfterSeconds=604_800),
            IndexModel([("idOnTheSource", ASCENDING)], name="idOnTheSource_1", sparse=True),
            _per_tenant("email", unique=True),
            _per_tenant("role"),
            _per_tenant("idOnTheSource", "openidIssuer"),
            *(_provider_id(f"{provider}Id") for provider in _PROVIDERS),
            _provider_id("openidId", "openidIssuer"),
            TENANT,
            # Not LibreChat's: finds deletions that were left undone without reading everybody.
            IndexModel(
                [("agentTriggerDeletionStartedAt", ASCENDING)],
                name="agentTriggerDeletionStartedAt_1",
                sparse=True,
            ),
        ]


class Session(Document):
    """A signed-in browser or app. ``refreshTokenHash``: SHA-256 hex of its current token."""

    refreshTokenHash: str
    expiration: datetime
    user: PydanticObjectId
    tenantId: str | None = None

    class Settings:
        name = "sessions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiration", ASCENDING)], name="expiration_1", expireAfterSeconds=0),
            # Not LibreChat's: makes ending all sessions of an account cheap.
            IndexModel([("user", ASCENDING)], name="user_1"),
            TENANT,
        ]


class Token(Document):
    """A one-time token sent by mail, an invitation, or an OAuth token of another plugin's."""

    userId: PydanticObjectId
    email: str | None = None
    type: str | None = None
    identifier: str | None = None
    token: str
    createdAt: datetime
    expiresAt: datetime
    metadata: dict[str, Any] | None = None
    tenantId: str | None = None

    class Settings:
        name = "tokens"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiresAt", ASCENDING)], name="expiresAt_1", expireAfterSeconds=0),
            _per_tenant("userId", "type", "identifier"),
            TENANT,
        ]


class Rotation(Document):
    """The rotation state of a session's refresh token; ``_id`` is the session's.

    Private to this plugin, since a session document must stay as LibreChat knows it. ``current``:
    hash of the current token, which can be signed again from ``serial`` and ``issuedAt``.
    ``recent``: hashes of recently replaced tokens, each valid ``until``. ``seenAt``, ``ip`` and
    ``userAgent`` are of the last sign-in or refresh.
    """

    user: PydanticObjectId
    generation: int
    current: str
    serial: str
    issuedAt: datetime
    recent: list[dict[str, Any]]
    expiration: datetime
    seenAt: datetime | None = None
    ip: str | None = None
    userAgent: str | None = None

    class Settings:
        name = "locutory_refresh"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiration", ASCENDING)], name="expiration_1", expireAfterSeconds=0),
            IndexModel([("user", ASCENDING)], name="user_1"),
        ]


class Claim(Document):
    """A right that one registration holds for a moment; ``_id`` names it."""

    user: PydanticObjectId
    at: datetime

    class Settings:
        name = "locutory_claims"


class Revocation(Document):
    """Access tokens of an account that no longer count; ``_id`` is the account's.

    Those asked for until ``before``, and those of ``sessions``. ``changedAt``: when
    ``before`` was set. The document goes when the last token it concerns has expired.
    """

    before: datetime | None = None
    changedAt: datetime | None = None
    sessions: list[PydanticObjectId] = Field(default_factory=list)
    expiration: datetime

    class Settings:
        name = "locutory_revocations"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiration", ASCENDING)], name="expiration_1", expireAfterSeconds=0),
            IndexModel([("changedAt", ASCENDING)], name="changedAt_1"),
        ]


class UsedCode(Document):
    """The last code of an authenticator app that an account has used; ``_id`` is the
    account's. ``secret``: SHA-256 of the stored secret, ``step``: its 30 seconds since 1970."""

    secret: str
    step: int

    class Settings:
        name = "locutory_used_codes"


class LogEntry(Document):
    """A key and a JSON text, not always of this plugin's making. Bans have keys that begin
    with ``BANS:``."""

    key: str
    value: str
    expiresAt: datetime | None = None

    class Settings:
        name = "logs"
        indexes: ClassVar[list[IndexModel]] = [
            # Neither is LibreChat's, which looks at the dates when it reads.
            IndexModel([("key", ASCENDING)], name="key_1", unique=True),
            IndexModel([("expiresAt", ASCENDING)], name="expiresAt_1", expireAfterSeconds=0),
        ]


class ViolationScore(Document):
    """Score of an account or an address; ``_id`` is ``<violation>:<account id or address>``.
    ``level``: multiples of the ban interval that it has passed."""

    score: float
    level: int
    expiresAt: datetime

    class Settings:
        name = "locutory_violations"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiresAt", ASCENDING)], name="expiresAt_1", expireAfterSeconds=0),
        ]


def by_address(email: str, tenant: str | None) -> dict[str, str]:
    """The filter that finds an account by its address; within a tenant, where the proxy names
    one (contract kernel §9)."""
    return {"email": email} if tenant is None else {"email": email, "tenantId": tenant}
