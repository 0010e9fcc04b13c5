"""JSON and form bodies as values, removal of operators, and estimates of the cost of parsing.

Follows contract kernel §3, rows 5 to 9.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

MALFORMED = {
    "error": "Invalid JSON format",
    "message": "The request body contains malformed JSON",
}
_MAX_FORM_FIELDS = 1000
_MAX_FORM_DEPTH = 32
_MAX_FORM_INDEX = 20
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_BOM = b"\xef\xbb\xbf"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyRefused(Exception):
    """A body that is refused: the status, the JSON ``body`` and the ``headers`` of the response."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def bad_request(message: str) -> BodyRefused:
    """400 with ``{message, code, status}``."""
    return BodyRefused(400, {"message": message, "code": "BAD_REQUEST", "status": 400})


def json_values(body: bytes, many: int) -> int:
    """An upper bound of the number of values in a JSON text, which counts objects and lists twice,
    computed as fast as a search in bytes. Results up to ``many`` may include characters inside of
    strings."""
    found = _separators(body)
    if found <= many:
        return found
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    texts = body.count(b'"') // 2
    # A value has two texts at most, its key and itself.
    return texts if texts > 2 * many else _separators(b"".join(body.split(b'"')[::2]))


def _separators(body: bytes) -> int:
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def form_parts(body: bytes) -> int:
    """The number of fields and brackets of a form, plus a tenth of the number of encoded bytes,
    which cost a tenth of a field."""
    brackets = body.count(b"[") + body.count(b"%5B") + body.count(b"%5b")
    return body.count(b"&") + brackets + body.count(b"%") // 10


def may_hold_operators(body: bytes) -> bool:
    """``False`` when no key of this JSON text can start with ``$``, or contain ``.`` or NUL. A
    search in bytes, which is faster than a walk through the values."""
    return b"." in body or b"$" in body or b"\\u" in body


def parse_json(body: bytes) -> Any:
    """A JSON object or array; ``{}`` for an empty body. Raises `BodyRefused` (400 with the
    contract's body) for anything else."""
    if not body:
        return {}
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        if _HALF.search(body) is None:
            raise BodyRefused(400, MALFORMED) from None
        value = _halved(body)
    if not isinstance(value, dict | list):
        raise BodyRefused(400, MALFORMED)
    return value


def _halved(body: bytes) -> Any:
    """Parse JSON with a string that was cut inside of an emoji. Browsers send such lone surrogates
    as they are; they become U+FFFD, as UTF-8 cannot represent them."""
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise BodyRefused(400, MALFORMED) from None


def parse_form(body: bytes) -> dict[str, Any]:
    """Parse a urlencoded form. ``a[b]=1`` nests, ``a[]=1`` and ``a[0]=1`` make a list, a repeated
    key becomes a list. Raises `BodyRefused`."""
    if body.count(b"&") >= _MAX_FORM_FIELDS:
        raise BodyRefused(413, {"message": "too many parameters"})
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        raise bad_request("The form is not UTF-8") from None
    form: dict[str, Any] = {}
    for key, value in pairs:
        head = key.split("[", 1)[0]
        path = [head or key, *(_BRACKETS.findall(key) if head else ())]
        if len(path) > _MAX_FORM_DEPTH + 1:
            raise bad_request("The form is nested too deeply")
        target = form
        for part in path[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            target = inner
        else:
            before = target.get(path[-1])
            if before is None:
                target[path[-1]] = value
            elif isinstance(before, list):
                before.append(value)
            else:
                target[path[-1]] = [before, value]
    return {key: _lists(value) for key, value in form.items()}


def _lists(value: Any) -> Any:
    """Convert mappings whose keys are all empty or small numbers to lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if list(inner) == [""]:
        return inner[""] if isinstance(inner[""], list) else [inner[""]]
    if all(len(key) <= 2 and key.isdecimal() and int(key) <= _MAX_FORM_INDEX for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def drop_operators(value: Any) -> Any:
    """Delete, at any depth, keys that start with ``$`` or contain ``.``, and return ``value``. Keys
    with a NUL are deleted too, since no database can store them."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            bad = [key for key in item if key[:1] == "$" or "." in key or "\0" in key]
            for key in bad:
                del item[key]
            stack.extend(inner for inner in item.values() if isinstance(inner, dict | list))
        else:
            stack.extend(inner for inner in item if isinstance(inner, dict | list))
    return value
