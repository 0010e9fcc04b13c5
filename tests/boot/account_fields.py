"""Which documents name accounts."""

from collections.abc import Iterable

from beanie import Document

from locutory.data.database import collection_name
from locutory_testing import suite

KEYED = frozenset(
    {
        "locutory_balance_holds",
        "locutory_project_recounts",
        "locutory_tag_recounts",
        "locutory_used_codes",
        "users",
    }
)
"""Collections whose ``_id`` is, or contains, the id of an account. Not: ``locutory_violations`` and
``locutory_revocations``, whose documents expire by themselves (in a week; with the last token) and
say nothing but that somebody was refused."""


def names_accounts(document: type[Document]) -> bool:
    """``True`` when a stored document of this class holds the id of an account."""
    return suite.names_accounts(document) or collection_name(document) in KEYED


def owners(documents: Iterable[tuple[str, type[Document]]]) -> dict[str, list[str]]:
    """Plugin → its collections that name accounts; only plugins that have some."""
    found: dict[str, list[str]] = {}
    for plugin, document in documents:
        if names_accounts(document):
            found.setdefault(plugin, []).append(collection_name(document))
    return found
