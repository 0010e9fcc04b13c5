"""The rule by which strangers may register."""

from locutory import Database, Services
from locutory_auth.documents import User
from locutory_contracts.sign_in import PASSWORD_CHECKS


class RegistrationPolicy:
    """Open or closed as configured. When nothing is configured it is open until there is
    an account: a new server lets its administrator in, and nobody after. It is closed
    where a directory decides over passwords: nobody could sign in with one of their own.

    Args:
        allowed: as configured.
        directory: a directory is configured, whether or not a plugin asks it.
    """

    def __init__(
        self, database: Database, services: Services, allowed: bool | None, *, directory: bool
    ) -> None:
        self._database = database
        self._services = services
        self._directory = directory
        self.configure(allowed)

    def configure(self, allowed: bool | None) -> None:
        """Take this from now on; where nothing is configured, it is closed until the next
        `refresh`."""
        self._fixed = allowed is not None or self._directory
        self._open = bool(allowed) and not self._directory

    @property
    def open(self) -> bool:
        """``True`` while registration is open, as last seen; does not read the database."""
        return self._open and not self._services.all(PASSWORD_CHECKS)

    @property
    def first_only(self) -> bool:
        """``True`` when registration is open, as last seen, and only for the first account."""
        return self.open and not self._fixed

    async def next_step(self) -> str | None:
        """The next step of the operator of a server without accounts."""
        if await self._database[User].find_one({}, {"_id": 1}) is not None:
            return None
        return "register: the first account is the administrator"

    async def refresh(self) -> bool:
        """Check for existing accounts, and return ``True`` while registration is open. Once closed
        it stays closed."""
        if not self._fixed:
            found = await self._database[User].find_one({}, {"_id": 1})
            self._open = found is None
            self._fixed = not self._open
        return self.open
