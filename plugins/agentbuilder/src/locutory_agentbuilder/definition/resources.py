"""Files, skills and callers that an agent may name (contract agents §5)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from locutory import Services
from locutory_agentbuilder.config import Deployment
from locutory_agentbuilder.definition.tools import EXECUTE_CODE, without_code_callers
from locutory_contracts.access import RESOURCE_KINDS
from locutory_contracts.files import FILES

SKILL = "skill"
CONTEXT, OLD_CONTEXT = "context", "ocr"


def with_context(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Files by use, those under the old name ``ocr`` under ``context``."""
    moved = {key: value for key, value in resources.items() if key != OLD_CONTEXT}
    old = resources.get(OLD_CONTEXT)
    if isinstance(old, Mapping):
        new = moved.get(CONTEXT)
        new = new if isinstance(new, Mapping) else {}
        ids = dict.fromkeys((*_ids(new), *_ids(old)))
        moved[CONTEXT] = {**new, "file_ids": list(ids)}
    return moved


def attached(resources: Any) -> set[str]:
    """The ids of all files of an agent."""
    if not isinstance(resources, Mapping):
        return set()
    return {key for value in resources.values() for key in _ids(value)}


def _ids(resource: Any) -> list[str]:
    found = resource.get("file_ids") if isinstance(resource, Mapping) else None
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


class Resources:
    """Reduces the resources that a caller names to those that they may use. While no plugin stores
    files, only those that the agent has already are kept; while none stores skills, they cannot be
    checked, and all are kept."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def own_files(
        self, resources: Mapping[str, Any], user: str, kept: AbstractSet[str] = frozenset()
    ) -> dict[str, Any]:
        """Files by use: those of the user, and those of ``kept``."""
        moved = with_context(resources)
        asked = sorted(attached(moved) - kept)
        files = self._services.find(FILES)
        owned = set() if files is None or not asked else set(await files.find(user, asked))
        allowed = kept | owned
        return {
            use: {**value, "file_ids": [key for key in _ids(value) if key in allowed]}
            if isinstance(value, Mapping) and "file_ids" in value
            else value
            for use, value in moved.items()
        }

    async def existing_skills(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Fields whose skills all exist. An agent that loses its last one loses skills
        altogether: an empty list would mean all of them."""
        skills = fields.get("skills")
        kind = self._services.named(RESOURCE_KINDS, SKILL)
        if not isinstance(skills, list) or not skills or kind is None:
            return dict(fields)
        left = [skill for skill in skills if await kind.exists(str(skill))]
        disabled = {} if left else {"skills_enabled": False}
        return {**fields, "skills": left, **disabled}


def code_callers_fit(options: Any, tools: Any, deployment: Deployment) -> Any:
    """Options of tools, without calls by code where the agent cannot run code."""
    if not isinstance(options, dict):
        return options
    runs_code = isinstance(tools, list) and EXECUTE_CODE in tools
    if runs_code and deployment.offers(EXECUTE_CODE):
        return options
    return without_code_callers(options)
