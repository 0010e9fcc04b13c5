"""The account data of this plugin: the prompts of a user."""

import hashlib
from collections.abc import AsyncIterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

from bson import ObjectId
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pymongo.errors import DuplicateKeyError

from locutory import Raw, Services, iso, now
from locutory_contracts.account_data import AccountData, Record
from locutory_contracts.accounts import ACCOUNTS
from locutory_prompts.documents import GROUP
from locutory_prompts.service import NAMELESS, Prompts
from locutory_prompts.validation import RULES
from locutory_resources import OwnershipTransfer

_MOST_VERSIONS = 10_000


class Version(BaseModel):
    """One version of a record, oldest first."""

    model_config = ConfigDict(extra="ignore", strict=True)

    prompt: str = Field(min_length=1)
    type: Literal["text", "chat"] = "text"
    createdAt: str | None = None  # noqa: N815
    production: bool = False


class PromptRecord(BaseModel):
    """A prompt of an export."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str
    name: str
    oneliner: str = ""
    category: str = ""
    command: str | None = None
    numberOfGenerations: int = Field(0, ge=0, le=2**53)  # noqa: N815
    createdAt: str | None = None  # noqa: N815
    updatedAt: str | None = None  # noqa: N815
    versions: list[Version] = Field(min_length=1, max_length=_MOST_VERSIONS)

    @field_validator("name", "oneliner", "category", "command")
    @classmethod
    def _follows_the_rules(cls, value: str | None, info: Any) -> str | None:
        issues = RULES[info.field_name].issues(info.field_name, value)
        if issues:
            raise ValueError(issues[0]["message"])
        return value


class PromptData(AccountData):
    """The groups that a user wrote, each with its versions. Whom they are shared with is not
    part of it: the others may not exist where it is restored."""

    kind = "prompt"
    rank = 50

    def __init__(
        self, prompts: Prompts, services: Services, ownership_transfer: OwnershipTransfer
    ) -> None:
        self._prompts = prompts
        self._services = services
        self._ownership_transfer = ownership_transfer

    async def export(self, user: str) -> AsyncIterator[Record]:
        """One record a group."""
        if not ObjectId.is_valid(user):
            return
        async for group in self._prompts.groups.find({"author": ObjectId(user)}, GROUP):
            record: dict[str, Any] = {
                "kind": self.kind,
                "id": str(group["_id"]),
                **{key: group[key] for key in _COPIED if group.get(key) is not None},
                **_dates(group),
                "versions": [],
            }
            for version in reversed(await self._prompts.versions(group["_id"])):
                shown = {"prompt": version["prompt"], "type": version["type"]}
                shown.update({key: text for key, text in _dates(version).items() if key == _MADE})
                if version["_id"] == group.get("productionId"):
                    shown["production"] = True
                record["versions"].append(shown)
            if record["versions"]:
                yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one group. Its new id follows from the user and the old one, so that
        restoring twice makes one group, and a restore that broke off can go on."""
        try:
            given = PromptRecord.model_validate(record)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"This prompt cannot be restored: {where}: {first['msg']}") from None
        owner = ObjectId(user)
        group = _derived(user, given.id)
        known = [{"_id": group}]
        if ObjectId.is_valid(given.id):
            known.append({"_id": ObjectId(given.id), "author": owner})
        for wanted in known:
            found = await self._prompts.groups.find_one(wanted, {"_id": 1})
            if found is not None:
                ids[given.id] = str(found["_id"])
                return False
        accounts = self._services.find(ACCOUNTS)
        account = (None if accounts is None else await accounts.find(user)) or {}
        tenant = account.get("tenantId")
        own = {"author": owner, "__v": 0, **({} if tenant is None else {"tenantId": tenant})}
        made = _moment(given.createdAt) or now()
        versions = [
            {
                "_id": _derived(user, f"{given.id}/{number}"),
                "groupId": group,
                "prompt": version.prompt,
                "type": version.type,
                "createdAt": _moment(version.createdAt) or made,
                "updatedAt": _moment(version.createdAt) or made,
                **own,
            }
            for number, version in enumerate(given.versions)
        ]
        production = next(
            (
                stored["_id"]
                for stored, version in zip(versions, given.versions, strict=True)
                if version.production
            ),
            versions[-1]["_id"],
        )
        # What a restore that broke off has left; nobody has seen it.
        await self._prompts.prompts.delete_many({"groupId": group})
        await self._prompts.prompts.insert_many(versions)
        await self._prompts.own(user, group)
        name = account.get("name") or account.get("username")
        document: Raw = {
            "_id": group,
            "name": given.name,
            "numberOfGenerations": given.numberOfGenerations,
            "oneliner": given.oneliner,
            "category": given.category,
            "productionId": production,
            "authorName": name if isinstance(name, str) else NAMELESS,
            "createdAt": made,
            "updatedAt": _moment(given.updatedAt) or made,
            **own,
        }
        if given.command is not None:
            document["command"] = given.command
        try:
            await self._prompts.groups.insert_one(document)
        except DuplicateKeyError:  # restored at the same time
            return False
        finally:
            ids[given.id] = str(group)
        return True

    async def before_deletion(self, user: str) -> None:
        """Note the groups of other authors that only this user owns."""
        await self._ownership_transfer.note(user)

    async def erase(self, user: str) -> None:
        """Delete the groups that nobody else owns, and hand over the others."""
        await self._ownership_transfer.carry_out(user)


_MADE = "createdAt"
_COPIED = ("name", "oneliner", "category", "command", "numberOfGenerations")


def _derived(user: str, name: str) -> ObjectId:
    digest = hashlib.sha256(f"locutory prompt\0{user}\0{name}".encode()).digest()
    return ObjectId(digest[:12])


def _dates(document: Raw) -> dict[str, str]:
    names = (_MADE, "updatedAt")
    return {name: iso(document[name]) for name in names if isinstance(document.get(name), datetime)}


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
