"""Prompt groups as resources whose access can be shared (contract roles §4.1, §4.2)."""

from collections.abc import Sequence

from bson import ObjectId

from locutory import Database
from locutory_contracts.access import EDIT, OWNER, VIEW, AccessRole
from locutory_prompts.documents import PromptGroup

KIND = "promptGroup"
CAPABILITY = "manage:prompts"
PERMISSION = "PROMPTS"


def _role(level: str, bits: int) -> AccessRole:
    words = f"com_ui_role_{level}"
    return AccessRole(f"{KIND}_{level}", bits, words, f"{words}_desc")


class PromptGroupResource:
    """Implements `locutory_contracts.access.ResourceKind`."""

    permission = PERMISSION
    capability = CAPABILITY
    missing_is_404 = False
    access_roles: Sequence[AccessRole] = (
        _role("viewer", VIEW),
        _role("editor", VIEW | EDIT),
        _role("owner", OWNER),
    )

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exists(self, resource_id: str) -> bool:
        """``True`` when there is such a group."""
        if not ObjectId.is_valid(resource_id):
            return False
        found = await self._database[PromptGroup].find_one(
            {"_id": ObjectId(resource_id)}, {"_id": 1}
        )
        return found is not None
