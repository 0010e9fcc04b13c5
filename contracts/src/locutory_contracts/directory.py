"""An outside directory from which people and groups can be picked (contract roles §4.4, §4.7)."""

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
    """Searches a directory on behalf of the caller of a request, so that the directory decides what
    the caller may see. Never raises: the result is empty when the caller did not sign in there, or
    the directory is not configured, refuses or does not answer within a few seconds."""

    @property
    def source(self) -> str:
        """The value of ``source`` for its people and groups: ``entra``."""
        ...

    async def search(
        self, request: "Request", text: str, kinds: Collection[DirectoryKind], limit: int
    ) -> Sequence[DirectoryEntry]:
        """At most ``limit`` people and as many groups that match ``text`` literally; the
        directory's best matches first."""
        ...

    async def find(
        self, request: "Request", kind: DirectoryKind, source_id: str
    ) -> DirectoryEntry | None:
        """The entry with this id in the directory, or ``None``. ``source_id`` may be any text."""
        ...

    async def account(self, request: "Request", person: DirectoryEntry) -> str | None:
        """The account id, in the caller's tenant, of a person from `find`: of the existing account,
        else of a new one with which the person will sign in. ``None`` where the deployment allows
        no such account."""
        ...

    async def members(self, request: "Request", group: str) -> Collection[str] | None:
        """The ``source_id`` of every person in a group from `find`, including nested groups;
        ``None`` when it cannot be determined."""
        ...


DIRECTORY: Service[Directory] = Service("accounts.directory", "People and groups of a directory")
