"""Values out of a stream of JSON events, one at a time.

Not `ijson.items`, since that keeps the path to every open bracket as text: a file with long
keys, deep inside each other, would take any amount of memory.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from locutory_conversations.importing.errors import BrokenFile
from locutory_conversations.importing.size_limited_file import CHUNK, SizeLimitedFile
from locutory_conversations.importing.surrogate_repair import RepairingReader

Event = tuple[str, Any]
Events = Iterator[Event]

NOT_JSON = "The file is not valid JSON"
_STARTS = frozenset(("start_map", "start_array"))
_ENDS = frozenset(("end_map", "end_array"))
_DEEPEST = 20_000
_MAX_VALUES = 2_000_000


def events_of(file: SizeLimitedFile) -> Generator[Event, None, None]:
    """The events of a file, from its beginning; `BrokenFile` when it is not JSON."""
    import ijson  # type: ignore[import-untyped]  # loaded by the first import only

    file.rewind()
    try:
        yield from ijson.basic_parse(RepairingReader(file), use_float=True, buf_size=CHUNK)
    except ijson.IncompleteJSONError:
        raise BrokenFile("The file ends early, or is not valid JSON") from None
    except (ijson.JSONError, UnicodeDecodeError):
        raise BrokenFile(NOT_JSON) from None


def values_at(file: SizeLimitedFile, path: Sequence[str | None]) -> Iterator[Any]:
    """Every value at a path: member names, and ``None`` for the items of a list."""
    events = events_of(file)
    first = next(events, None)
    if first is not None:
        yield from _at(first, events, path, file)
    for _ in events:
        pass  # what follows is read as well, so that a damaged end is noticed


def _at(first: Event, events: Events, path: Sequence[str | None], file: SizeLimitedFile) -> Any:
    if not path:
        yield built(first, events)
        file.next_conversation()
        return
    wanted, rest = path[0], path[1:]
    if first[0] != ("start_array" if wanted is None else "start_map"):
        skipped(first, events)
        return
    name: Any = None
    for event in events:
        if event[0] in _ENDS:
            return
        if event[0] == "map_key":
            name = event[1]
        elif name == wanted:
            yield from _at(event, events, rest, file)
        else:
            skipped(event, events)
            file.next_conversation()


def built(first: Event, events: Events) -> Any:
    """The value that begins with an event."""
    kind, value = first
    if kind not in _STARTS:
        return value
    root: Any = {} if kind == "start_map" else []
    stack: list[Any] = [root]
    key = ""
    left = _MAX_VALUES
    for kind, value in events:
        if kind == "map_key":
            key = value
            continue
        if kind in _ENDS:
            stack.pop()
            if not stack:
                return root
            continue
        new: Any = {} if kind == "start_map" else [] if kind == "start_array" else value
        top = stack[-1]
        if type(top) is list:
            top.append(new)
        else:
            top[key] = new
        left -= 1
        if kind in _STARTS:
            stack.append(new)
            if len(stack) > _DEEPEST:
                raise BrokenFile("A conversation is nested too deeply")
        if not left:
            raise BrokenFile("A conversation has too many parts")
    raise BrokenFile(NOT_JSON)


def skipped(first: Event, events: Events) -> None:
    """Read over the value that begins with an event."""
    depth = 1 if first[0] in _STARTS else 0
    while depth:
        kind, _ = next(events, ("end_map", None))
        depth += 1 if kind in _STARTS else -1 if kind in _ENDS else 0
