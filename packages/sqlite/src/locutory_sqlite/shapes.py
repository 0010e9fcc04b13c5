"""The shape that a projection gives to documents: a tree of names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from locutory_sqlite.errors import invalid
from locutory_sqlite.expressions import Expression, Scope
from locutory_sqlite.ordering import MISSING
from locutory_sqlite.paths import split

Document = dict[str, Any]


@dataclass(slots=True)
class Shape:
    """The changes to the fields of an object.

    ``including``: only named fields are kept, or all but those. ``named``: the fields that are kept
    or left out as a whole; ``below``: those with changes inside of them; ``computed``: those with a
    new value, which is computed from the whole document.
    """

    including: bool
    named: set[str] = field(default_factory=set)
    below: dict[str, "Shape"] = field(default_factory=dict)
    computed: dict[str, Expression] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    """The names with something computed at or below them, as they were given."""

    def name(self, path: str) -> None:
        """Keep a path, or leave it out."""
        shape, last = self._parent(path, computing=False)
        shape._vacant(last, path)
        shape.named.add(last)

    def compute(self, path: str, expression: Expression) -> None:
        """Give a path a value; where that is `MISSING`, remove it."""
        shape, last = self._parent(path, computing=True)
        shape._vacant(last, path)
        shape.computed[last] = expression
        shape.order.append(last)

    def _vacant(self, name: str, path: str) -> None:
        if name in self.named or name in self.below or name in self.computed:
            raise invalid(f"Path collision at {path}", 31250)

    def _parent(self, path: str, *, computing: bool) -> "tuple[Shape, str]":
        *names, last = split(path)
        shape = self
        for name in names:
            if name in shape.named or name in shape.computed:
                raise invalid(f"Path collision at {path}", 31249)
            if computing and name not in shape.order:
                shape.order.append(name)
            shape = shape.below.setdefault(name, Shape(shape.including))
        return shape, last

    def apply(self, document: Document, scope: Scope) -> Document:
        """A new document in this shape."""
        shaped = self._kept(document)
        return self._filled(shaped, scope) if self.order else shaped

    def _kept(self, document: Document) -> Document:
        if not self.below:
            named, including = self.named, self.including
            return {name: value for name, value in document.items() if (name in named) is including}
        kept = {}
        for name, value in document.items():
            below = self.below.get(name)
            if below is not None:
                value = below._kept_below(value)
            elif (name in self.named) is not self.including:
                continue
            if value is not MISSING:
                kept[name] = value
        return kept

    def _kept_below(self, value: Any) -> Any:
        """The kept fields of objects, and of those in arrays; other values are not part of an
        inclusion."""
        if isinstance(value, dict):
            return self._kept(value)
        if isinstance(value, list):
            return [one for one in map(self._kept_below, value) if one is not MISSING]
        return MISSING if self.including else value

    def _filled(self, document: Document, scope: Scope) -> Document:
        for name in self.order:
            expression = self.computed.get(name)
            if expression is None:
                below, before = self.below[name], document.get(name, MISSING)
                document[name] = below._filled_below(before, scope)
                continue
            value = expression(scope)
            if value is MISSING:
                document.pop(name, None)
            else:
                document[name] = value
        return document

    def _filled_below(self, value: Any, scope: Scope) -> Any:
        if isinstance(value, list):
            return [self._filled_below(one, scope) for one in value]
        return self._filled(dict(value) if isinstance(value, dict) else {}, scope)


def changed(document: Any, names: tuple[str, ...], work: Callable[[Any], Any]) -> Any:
    """A document with the value of a path replaced by the result of ``work``, in each object of an
    array; missing values are not added."""
    if isinstance(document, list):
        return [changed(one, names, work) for one in document]
    if not isinstance(document, dict) or names[0] not in document:
        return document
    inner = document[names[0]]
    new = work(inner) if len(names) == 1 else changed(inner, names[1:], work)
    return {**document, names[0]: new}
