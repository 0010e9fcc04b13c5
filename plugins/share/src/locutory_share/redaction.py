"""The visible parts of files, attachments and content parts for readers (contract share §3).

Everything that names the owner, their storage or their sign-ins elsewhere is removed, and addresses
of files are replaced by those of the link.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_STORAGE = frozenset(
    {"_id", "__v", "user", "tenantId", "storageRegion", "storageKey", "temp_file_id", "metadata"}
)

FILE_PRIVATE = _STORAGE | {"message", "source", "filterSource", "context", "embedded", "usage"}
"""Members of a file that readers never see."""

_NESTED_PRIVATE = _STORAGE | {"filepath"}
"""Members that are left out of objects nested in a file, such as the sources of a search."""

_TOOL_CALL_PRIVATE = frozenset({"auth", "expires_at", "approval"})
"""Members of a tool call that only its owner can act on: addresses for sign-in, pending
approvals."""

_PRIVATE_KINDS = frozenset({"ui_resources", "memory"})
"""Types of attachments that belong to the owner alone."""

_WEB_SEARCH_UNSHOWN = frozenset(
    {"knowledgeGraph", "peopleAlsoAsk", "relatedSearches", "shopping", "places", "news"}
)
_RESULT_UNSHOWN = {"organic": ("sitelinks", "highlights"), "topStories": ("highlights",)}

_UI_MARKER = re.compile(r"\\ui\{\w+(?:,\w+)*\}")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def without_markers(text: str) -> str:
    r"""A text without ``\ui{…}``, which represents attachments that readers do not get. Code is not
    changed."""
    if "\\ui{" not in text:
        return text
    pieces = _CODE.split(text)
    pieces[::2] = [_UI_MARKER.sub("", piece) for piece in pieces[::2]]
    return "".join(pieces)


def file_route(share_id: str, file_id: str) -> str:
    """The path from which readers of a link load a file."""
    return f"/api/share/{quote(share_id, safe='')}/files/{quote(file_id, safe='')}"


class Redaction:
    """Shows the parts of one message to readers of one link.

    Args:
        share_id: the link.
        served: ``file_id`` of the files that it serves; ``None``: it shows no files.
        conversation: the id that readers see for the conversation, and message: for the message.
    """

    def __init__(
        self, share_id: str, served: frozenset[str] | None, conversation: str, message: str
    ) -> None:
        self._share_id = share_id
        self._served = served
        self._ids = {"conversationId": conversation, "messageId": message}

    def files(self, values: Any) -> list[dict[str, Any]] | None:
        """Files of a message; ``None`` when nothing is left to show."""
        return self._list(values, self._file)

    def attachments(self, values: Any) -> list[dict[str, Any]] | None:
        """Attachments of a message; ``None`` when nothing is left to show."""

        def shown(value: Any) -> dict[str, Any] | None:
            if isinstance(value, Mapping) and value.get("type") in _PRIVATE_KINDS:
                return None
            found = self._file(value)
            return found and {**found, **self._ids}

        return self._list(values, shown)

    def _list(
        self, values: Any, show: Callable[[Any], dict[str, Any] | None]
    ) -> list[dict[str, Any]] | None:
        if self._served is None or not isinstance(values, list):
            return None
        return [found for found in map(show, values) if found] or None

    def _file(self, value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            return None
        shown = {
            name: _nested(_searched(member) if name == "web_search" else member)
            for name, member in value.items()
            if name not in FILE_PRIVATE
        }
        for name, alias in self._ids.items():
            if name in shown:
                shown[name] = alias
        file_id = shown.get("file_id")
        if self._serves(file_id):
            shown["filepath"] = file_route(self._share_id, str(file_id))
            if "preview" in shown:
                shown["preview"] = shown["filepath"]
        else:
            shown.pop("filepath", None)
            shown.pop("preview", None)
        return shown or None

    def _serves(self, file_id: Any) -> bool:
        return self._served is not None and isinstance(file_id, str) and file_id in self._served

    def content(self, parts: Any, *, by_user: bool) -> Any:
        """Content parts. Their number is not changed, so that references by index stay right."""
        if not isinstance(parts, list):
            return parts
        return [self._part(part, by_user=by_user) for part in parts]

    def _part(self, part: Any, *, by_user: bool) -> Any:
        if not isinstance(part, Mapping):
            return part
        kind = part.get("type")
        shown = dict(part)
        if kind == "text" and not by_user:
            shown["text"] = _text(part.get("text"))
        elif kind == "steer" and "files" in part:
            del shown["files"]
            if files := self.files(part["files"]):
                shown["files"] = files
        elif kind == "image_file":
            image = part.get("image_file")
            if not isinstance(image, Mapping) or not self._serves(image.get("file_id")):
                return None  # a hole: the client cannot show an image without an address
            shown["image_file"] = self._file(image)
        if isinstance(call := part.get("tool_call"), Mapping):
            shown["tool_call"] = self._tool_call(call)
        return shown

    def _tool_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in call.items() if name not in _TOOL_CALL_PRIVATE}
        if call.get("name") == "subagent" and isinstance(call.get("output"), str):
            shown["output"] = without_markers(call["output"])
        if "subagent_content" in call:
            shown["subagent_content"] = self.content(call["subagent_content"], by_user=False)
        return shown


def file_ids(message: Mapping[str, Any]) -> Iterator[str]:
    """Ids of all files that a message shows, some more than once."""
    yield from _ids(message.get("files"))
    yield from _ids(message.get("attachments"))
    yield from _content_ids(message.get("content"))


def _ids(values: Any) -> Iterator[str]:
    for value in values if isinstance(values, list) else ():
        if isinstance(value, Mapping):
            file_id = value.get("file_id")
            if isinstance(file_id, str) and file_id:
                yield file_id


def _content_ids(parts: Any) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, Mapping):
            continue
        if part.get("type") == "steer":
            yield from _ids(part.get("files"))
        elif part.get("type") == "image_file":
            yield from _ids([part.get("image_file")])
        if isinstance(call := part.get("tool_call"), Mapping):
            yield from _content_ids(call.get("subagent_content"))


def _nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _nested(member) for name, member in value.items() if name not in _NESTED_PRIVATE
        }
    return [_nested(item) for item in value] if isinstance(value, list) else value


def _searched(value: Any) -> Any:
    """A web search without the members that conversations do not show either (contract messages
    §3.1)."""
    if not isinstance(value, Mapping):
        return value
    shown = {name: member for name, member in value.items() if name not in _WEB_SEARCH_UNSHOWN}
    for name, unshown in _RESULT_UNSHOWN.items():
        if isinstance(shown.get(name), list):
            shown[name] = [_without(item, unshown) for item in shown[name]]
    return shown


def _without(value: Any, names: Iterable[str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: member for name, member in value.items() if name not in names}


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return without_markers(value)
    if isinstance(value, Mapping) and isinstance(value.get("value"), str):
        return {**value, "value": without_markers(value["value"])}
    return value
