"""Switches of skills, kept in the account (contract user §11)."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from locutory import HTTPError

MOST_SENT = 400
LONGEST_KEY = 64


def checked_states(given: Any) -> dict[str, bool]:
    """Skill ids and their switches; raises the contract's 400 for anything else."""
    if not isinstance(given, Mapping):
        raise HTTPError(400, {"message": "skillStates must be a plain object"})
    if len(given) > MOST_SENT:
        raise HTTPError(
            400,
            {
                "code": "SKILL_STATES_PAYLOAD_TOO_LARGE",
                "message": f"Payload exceeds {MOST_SENT} entries",
                "limit": MOST_SENT,
            },
        )
    for key, value in given.items():
        if not 0 < len(key) <= LONGEST_KEY:
            message = f"Each skill ID must be a non-empty string (max {LONGEST_KEY} chars)"
        elif not ObjectId.is_valid(key):
            message = "Each skill ID must be a valid ObjectId"
        elif not isinstance(value, bool):
            message = "Each skill state value must be a boolean"
        else:
            continue
        raise HTTPError(400, {"message": message})
    return dict(given)
