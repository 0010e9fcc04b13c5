"""The plugin's collection."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class SearchRecord(Document):
    """One of:

    - ``{_id: "database", value}``: a name of this database, by which the built-in index knows
      whose index it is;
    - ``{_id: "meilisearch", address, conversations, messages}``: positions in the feed;
    - ``{_id: "add:<user>:<id>", what: "add", user, id}``: a conversation to be indexed;
    - ``{_id: "gone:<hash>", what: "gone", before, forgetAt}``: something was deleted; ``before``
      is ms since 1970, late copies that are not newer are not indexed;
    - ``{_id: "end:<kind>:<id>", what: "end", kind, id, user, endsAt}``: leaves Meilisearch then.
    """

    id: str  # type: ignore[assignment]
    what: str | None = None
    user: str | None = None
    forgetAt: datetime | None = None  # noqa: N815
    endsAt: datetime | None = None  # noqa: N815

    class Settings:
        name = "locutory_search"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("what", ASCENDING), ("endsAt", ASCENDING)]),
            IndexModel([("user", ASCENDING)]),
            IndexModel([("forgetAt", ASCENDING)], expireAfterSeconds=0),
        ]
