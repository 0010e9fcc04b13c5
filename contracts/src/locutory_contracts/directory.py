"""An outside directory that people and groups can be picked from (contract roles §4.4, §4.7)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from locutory import Service

if TYPE_CHECKING:
    from locutory import Request

DirectoryKind = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A person or group of the directory. ``source_id`` is its id there (``idOnTheSource``);
    ``email`` is in lower case."""

    kind: DirectoryKind
    source_id: str
    name: str
    email: str | None = None
    username: str | None = None
    description: str | None = None


class Directory(Protocol):
    """Asks the directory in the name of the caller of a request, so that it decides itself what
    the caller may see. Never raises: a caller who did not sign in there, a directory that is
    not configured, refuses or does not answer within a few seconds finds nothing."""

    @property
    def source(self) -> str:
        """What ``source`` says of its people and groups: ``entra``."""
        ...

    async def search(
        self, request: "Request", text: str, kinds: Collection[DirectoryKind], limit: int
    ) -> Sequence[DirectoryEntry]:
        """At most ``limit`` people and as many groups that match ``text``, which is meant
        literally; the directory's best matches first."""
        ...

    async def find(
        self, request: "Request", kind: DirectoryKind, source_id: str
    ) -> DirectoryEntry | None:
        """What the directory itself says of one id, which may be any text."""
        ...

    async def account(self, request: "Request", person: DirectoryEntry) -> str | None:
        """The id of the account of a person that `find` told of, in the caller's tenant: the
        one that is there, else a new one, at which the person will sign in. ``None`` where
        the deployment wants no such account."""
        ...

    async def members(self, request: "Request", group: str) -> Collection[str] | None:
        """The ``source_id`` of every person in a group that `find` told of, those of nested
        groups too; ``None`` where it cannot be told."""
        ...


DIRECTORY: Service[Directory] = Service("accounts.directory", "People and groups of a directory")
