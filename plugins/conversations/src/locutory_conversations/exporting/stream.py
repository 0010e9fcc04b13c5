"""The stream of an export: JSON Lines of every plugin that stores something for a user."""

from collections.abc import AsyncIterator

from locutory import Services, encode
from locutory_contracts.portability import PORTABLE, Portable
from locutory_conversations.importing.records import header

CONTENT_TYPE = "application/x-ndjson"
_BUFFER = 64 * 1024


class Exporter:
    """Writes exports. The last line tells the number of records, so that one which was cut
    off is noticed."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def lines(self, user: str) -> AsyncIterator[bytes]:
        """The export of a user in pieces of whole lines."""
        buffer = bytearray(encode(header()) + b"\n")
        count = 0
        for _, portable in self.providers():
            async for record in portable.export(user):
                buffer += encode(record)
                buffer += b"\n"
                count += 1
                if len(buffer) >= _BUFFER:
                    yield bytes(buffer)
                    buffer.clear()
        yield bytes(buffer) + encode({"kind": "end", "records": count}) + b"\n"

    def providers(self) -> list[tuple[str, Portable]]:
        """(kind, provider) in the order in which records are written."""
        found = self._services.all(PORTABLE)
        return sorted(found.items(), key=lambda entry: (entry[1].rank, entry[0]))
