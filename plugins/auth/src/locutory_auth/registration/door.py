"""Whether strangers may register."""

from locutory import Database
from locutory_auth.documents import User


class Door:
    """Open or closed as configured. When nothing is configured it is open until there is
    an account: a new server lets its administrator in, and nobody after him.
    """

    def __init__(self, database: Database, allowed: bool | None) -> None:
        self._database = database
        self._fixed = allowed is not None
        self._open = bool(allowed)

    @property
    def open(self) -> bool:
        """As last seen; costs nothing."""
        return self._open

    async def look(self) -> bool:
        """See whether there is an account by now. Once closed it stays closed."""
        if not self._fixed:
            found = await self._database[User].find_one({}, {"_id": 1})
            self._open = found is None
            self._fixed = not self._open
        return self._open
