"""Validation of bodies, with the list of issues of LibreChat's responses (contract prompts §4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from locutory_contracts.issues import json_type, wrong_type

_COMMAND = re.compile(r"[a-z0-9-]*")
_COMMAND_MESSAGE = "Command must only contain lowercase alphanumeric characters and hyphens"


class InvalidFields(ValueError):
    """The body is invalid. ``issues`` are the reasons, each ``{code, path, message, …}``."""

    def __init__(self, issues: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(str(issue["message"]) for issue in issues))
        self.issues = issues


@dataclass(frozen=True, slots=True)
class Rule:
    """The rules for a text member. Lengths are in UTF-16 units, as browsers count."""

    longest: int
    shortest: int = 0
    nullable: bool = False
    pattern: re.Pattern[str] | None = field(default=None)

    def issues(self, name: str, value: Any) -> list[dict[str, Any]]:
        if value is None and self.nullable:
            return []
        if not isinstance(value, str):
            return [wrong_type("string", json_type(value), [name])]
        found = []
        length = len(value.encode("utf-16-le")) // 2
        if length < self.shortest:
            found.append(_size("too_small", "minimum", "at least", self.shortest, name))
        if length > self.longest:
            found.append(_size("too_big", "maximum", "at most", self.longest, name))
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            found.append(
                {
                    "validation": "regex",
                    "code": "invalid_string",
                    "message": _COMMAND_MESSAGE,
                    "path": [name],
                }
            )
        return found

    def described(self) -> Any:
        """The type of the member in the documentation; `issues` returns its errors."""
        rules: dict[str, Any] = {"maxLength": self.longest}
        if self.shortest:
            rules["minLength"] = self.shortest
        if self.pattern is not None:
            rules["pattern"] = f"^{self.pattern.pattern}$"

        def extra(schema: dict[str, Any]) -> None:
            schema.update(rules)
            schema.pop("default", None)  # what is not sent stays as it is

        return Field(json_schema_extra=extra)


RULES: Mapping[str, Rule] = {
    "name": Rule(255, shortest=1),
    "oneliner": Rule(500),
    "category": Rule(100),
    "command": Rule(56, nullable=True, pattern=_COMMAND),
}
"""The members of a group that users set."""


def check_update(body: Any) -> dict[str, str | None]:
    """The fields to change. `InvalidFields` for wrong values and for any other member."""
    if not isinstance(body, dict):
        raise InvalidFields([wrong_type("object", json_type(body))])
    issues = _issues(body)
    unknown = [key for key in body if key not in RULES]
    if unknown:
        names = ", ".join(f"'{key}'" for key in unknown)
        issues.append(
            {
                "code": "unrecognized_keys",
                "keys": unknown,
                "path": [],
                "message": f"Unrecognized key(s) in object: {names}",
            }
        )
    if issues:
        raise InvalidFields(issues)
    return dict(body)


def check_new(group: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a new group; other members, and null for optional ones, do not count.
    `InvalidFields` for wrong values."""
    given = {key: value for key, value in group.items() if key in RULES and value is not None}
    issues = _issues(given)
    if issues:
        raise InvalidFields(issues)
    return given


def _issues(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        issue
        for name, rule in RULES.items()
        if name in body
        for issue in rule.issues(name, body[name])
    ]


def _size(code: str, bound: str, words: str, limit: int, name: str) -> dict[str, Any]:
    return {
        "code": code,
        bound: limit,
        "type": "string",
        "inclusive": True,
        "exact": False,
        "message": f"String must contain {words} {limit} character(s)",
        "path": [name],
    }
