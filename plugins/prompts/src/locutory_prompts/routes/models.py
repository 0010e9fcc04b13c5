"""Bodies and queries, the errors of wrong ones, and examples."""

# ruff: noqa: N815  (names are those of the wire)

import re
from typing import Annotated, Any, Literal

from bson import ObjectId
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from locutory import HTTPError, Invalid, refusal
from locutory_prompts.validation import RULES, InvalidFields, check_new, check_update
from locutory_resources import object_id

_NO_TEXT = "Prompt text is required and must be a non-empty string"
_BAD_TYPE = 'Prompt type must be "text" or "chat"'
_NO_PROMPT = "Prompt is required"
_NAMELESS = "Prompt and group name are required"
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")
_DEFAULT, _UNREADABLE, _MOST = 10, 20, 100


def _page_size(text: str) -> int | None:
    """A page size from 1 to 100, 20 for anything but a number, ``None`` when there is none."""
    if not text:
        return None
    number = _LEADING_NUMBER.match(text[:20])
    return _UNREADABLE if number is None else min(_MOST, max(1, int(number[1])))


PageSize = Annotated[int | None, BeforeValidator(_page_size)]


class ListQuery(BaseModel):
    """Query of the whole list."""

    name: str = Field("", description="A part of the name, any case")
    category: str = Field(
        "",
        description="A category, or sys__my__prompts__sys, sys__shared__prompts__sys, "
        "sys__no__category__sys",
    )


class PageQuery(ListQuery):
    """Query of a page."""

    limit: PageSize = Field(None, description="Rows, 1 to 100; pageSize counts without it")
    pageSize: PageSize = None
    cursor: str | None = Field(None, description="`after` of the page before")

    @property
    def size(self) -> int:
        """Rows of the page."""
        return self.limit or self.pageSize or _DEFAULT


class VersionsQuery(BaseModel):
    """Query of the list of versions."""

    groupId: str = Field("", description="Without it: all that the caller wrote")


def _group_id(text: str) -> ObjectId:
    found = object_id(text)
    if found is None:
        raise ValueError("Invalid or missing groupId")
    return found


class DeleteQuery(BaseModel):
    """Query of deleting a version."""

    groupId: Annotated[ObjectId, PlainValidator(_group_id, json_schema_input_type=str)]


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError(_NO_TEXT)
    return text


class PromptText(BaseModel):
    """The text of a version."""

    prompt: Annotated[str, AfterValidator(_filled)]
    type: Literal["text", "chat"]


class FirstText(PromptText):
    """The text of the first version."""

    type: Literal["text", "chat"] = "text"


class UpdateBody(BaseModel):
    """Changes of a group; nothing else may be sent."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, RULES["name"].described()] = ""
    oneliner: Annotated[str, RULES["oneliner"].described()] = ""
    category: Annotated[str, RULES["category"].described()] = ""
    command: Annotated[str | None, RULES["command"].described()] = None

    @model_validator(mode="before")
    @classmethod
    def _fields(cls, body: Any) -> Any:
        return check_update(body)

    @property
    def given(self) -> dict[str, Any]:
        """The members that were sent."""
        return self.model_dump(exclude_unset=True)


class GroupFields(UpdateBody):
    """The members of a group that users set."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, RULES["name"].described()]

    @model_validator(mode="before")
    @classmethod
    def _fields(cls, body: Any) -> Any:
        if not isinstance(body, dict) or not body.get("name"):
            raise ValueError(_NAMELESS)
        return check_new(body)


class CreateBody(BaseModel):
    """A new prompt."""

    group: GroupFields
    prompt: FirstText


def _sent(prompt: Any) -> Any:
    if not prompt and not isinstance(prompt, dict):
        raise ValueError(_NO_PROMPT)
    return prompt


class VersionBody(BaseModel):
    """A new version."""

    prompt: Annotated[PromptText, BeforeValidator(_sent)]


_TEXTS = {"prompt.prompt": _NO_TEXT, "prompt.type": _BAD_TYPE}


def _invalid(texts: dict[str, str]) -> Invalid:
    """Issues where fields of a group are wrong, and a sentence for all else."""
    plain = refusal("error", texts)

    def render(error: ValidationError) -> HTTPError:
        fault = error.errors(include_url=False)[0].get("ctx", {}).get("error")
        if isinstance(fault, InvalidFields):
            return HTTPError(400, {"error": "Invalid request body", "details": fault.issues})
        return plain(error)

    return render


INVALID_GROUP = _invalid({"": _NAMELESS, **_TEXTS})
INVALID_VERSION = _invalid({"": _NO_PROMPT, "prompt.model_type": _NO_TEXT, **_TEXTS})
INVALID_QUERY = _invalid({"groupId": "Invalid or missing groupId"})

ROW: dict[str, Any] = {
    "_id": "24 hex digits",
    "name": "Greeter",
    "numberOfGenerations": 0,
    "oneliner": "",
    "category": "",
    "command": "greet",
    "productionId": "24 hex digits",
    "author": "24 hex digits",
    "authorName": "Ann",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "productionPrompt": {"_id": "24 hex digits", "prompt": "Say hi to {{name}}"},
}
PROMPT: dict[str, Any] = {
    "_id": "24 hex digits",
    "groupId": "24 hex digits",
    "author": "24 hex digits",
    "prompt": "Say hi to {{name}}",
    "type": "text",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "__v": 0,
}
GROUP: dict[str, Any] = {**ROW, "productionPrompt": PROMPT, "__v": 0}
PAGE: dict[str, Any] = {
    "promptGroups": [ROW],
    "pageNumber": "1",
    "pageSize": "10",
    "pages": "1",
    "has_more": False,
    "after": None,
}
ERROR: dict[str, Any] = {"error": "What was wrong"}
MESSAGE: dict[str, Any] = {"message": "What was done"}
