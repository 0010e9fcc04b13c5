"""The kinds of records that exports consist of."""

from locutory import Problem, Services, StartupError
from locutory_contracts.account_data import ACCOUNT_DATA, AccountData


class RecordKinds:
    """The plugins whose data of an account can be taken away and brought back."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def all(self) -> list[AccountData]:
        """All, in the order in which their records are written."""
        entries = self._services.all(ACCOUNT_DATA).values()
        found = [(data.rank, data.kind, data) for data in entries if data.kind is not None]
        return [data for *_, data in sorted(found, key=lambda entry: entry[:2])]

    def find(self, kind: object) -> AccountData | None:
        """The one whose records are of a kind."""
        return next((data for data in self.all() if data.kind == kind), None)

    async def check(self) -> None:
        """`StartupError` when two plugins have records of one kind: an import would give all of
        them to one."""
        owners: dict[str, str] = {}
        for name, data in self._services.all(ACCOUNT_DATA).items():
            if data.kind is not None and owners.setdefault(data.kind, name) != name:
                both = f"records of the kind '{data.kind}' come from both"
                text = f"{both} '{owners[data.kind]}' and '{name}'"
                fix = "rename one kind or switch one of the plugins off"
                raise StartupError(Problem("records of an export", text, fix, name))
