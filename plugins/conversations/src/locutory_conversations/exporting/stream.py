"""The stream of an export: JSON Lines of every plugin that stores something for a user."""

from collections.abc import AsyncIterator

from locutory import encode
from locutory_conversations.importing.records import header
from locutory_conversations.record_kinds import RecordKinds

CONTENT_TYPE = "application/x-ndjson"
_BUFFER = 64 * 1024


class Exporter:
    """Writes exports. The last line has the number of records, so that an incomplete file is
    noticed."""

    def __init__(self, kinds: RecordKinds) -> None:
        self._kinds = kinds

    async def lines(self, user: str) -> AsyncIterator[bytes]:
        """The export of a user in pieces of whole lines."""
        buffer = bytearray(encode(header()) + b"\n")
        count = 0
        for data in self._kinds.all():
            async for record in data.export(user):
                buffer += encode(record)
                buffer += b"\n"
                count += 1
                if len(buffer) >= _BUFFER:
                    yield bytes(buffer)
                    buffer.clear()
        yield bytes(buffer) + encode({"kind": "end", "records": count}) + b"\n"
