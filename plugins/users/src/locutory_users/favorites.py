"""Favourite agents, models and specs, kept in the account (contract user §9)."""

from collections.abc import Mapping
from typing import Any

from locutory import HTTPError

MOST = 50
LONGEST = 256
_MEMBERS = ("agentId", "model", "endpoint", "spec")


def _refuse(message: str, **more: Any) -> HTTPError:
    return HTTPError(400, {**more, "message": message})


def read_favorites(given: Any) -> list[dict[str, str]]:
    """The list in a request as it is stored, members that are unknown or empty left out;
    raises the contract's 400."""
    # What JavaScript counts as missing; an empty list is a list.
    if given is None or given is False or given in ("", 0):
        raise _refuse("Favorites data is required")
    if not isinstance(given, list):
        raise _refuse("Favorites must be an array")
    if len(given) > MOST:
        raise _refuse(
            f"Maximum {MOST} favorites allowed", code="MAX_FAVORITES_EXCEEDED", limit=MOST
        )
    return [_read(item) for item in given]


def _read(item: Any) -> dict[str, str]:
    if not isinstance(item, Mapping):
        raise _refuse("Each favorite must have either agentId, model+endpoint, or spec")
    kept = {member: item[member] for member in _MEMBERS if item.get(member)}
    spec = item.get("spec")
    for member in _MEMBERS:
        value = kept.get(member)
        if member == "spec" and spec is not None and not (isinstance(spec, str) and spec):
            raise _refuse("spec must be a non-empty string")
        if value is not None and not isinstance(value, str):
            raise _refuse(f"{member} must be a string")
        if value is not None and len(value) > LONGEST:
            raise _refuse(f"{member} exceeds maximum length of {LONGEST}")
    _one_kind(kept)
    return kept


def _one_kind(kept: Mapping[str, str]) -> None:
    agent, spec = "agentId" in kept, "spec" in kept
    model = "model" in kept and "endpoint" in kept
    stray = not model and ("model" in kept or "endpoint" in kept)
    kinds = agent + model + spec
    if stray and kinds == 0:
        raise _refuse("model and endpoint must be provided together")
    if kinds == 0:
        raise _refuse("Each favorite must have either agentId, model+endpoint, or spec")
    if kinds > 1:
        raise _refuse("Favorite cannot have multiple types (agentId, model/endpoint, or spec)")
    if spec and stray:
        raise _refuse("spec cannot be combined with agentId, model, or endpoint")
    if agent and stray:
        raise _refuse("agentId cannot be combined with model or endpoint")
