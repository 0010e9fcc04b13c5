"""Random documents, filters, updates and pipelines, always the same ones for a seed.

Drawn by hypothesis, most filters matched all or nothing; so values and paths are few here.
"""

import random
from datetime import UTC, datetime
from typing import Any

from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

Document = dict[str, Any]

SCALARS: list[Any] = [None, True, False, -2, 0, 1, 1.0, 2, 3, 0.5, -1.5, "", "a", "ab", "b", "B"]
RARE: list[Any] = [
    Int64(1), Int64(2**40), float("nan"), float("inf"), -0.0, 2**31 - 1, Decimal128("1"),
    Decimal128("0.5"), Decimal128("NaN"), datetime(2020, 1, 1, tzinfo=UTC), MinKey(), MaxKey(),
    datetime(2021, 1, 1, 0, 0, 0, 5000, tzinfo=UTC), ObjectId("5" * 24), ObjectId("6" * 24), b"a", b"",
    Binary(b"ab", 4 + 1), Regex("^a"), Regex("b", "i"), Timestamp(1, 1), "a\nb", "é", "a\0b",
]  # fmt: skip
NUMBERS: list[Any] = [-2, 0, 1, 2, 3, 0.5, -1.5, Int64(2), Int64(2**40), 2**31 - 1]
PATHS = ["a", "a", "a", "d", "d", "a.b", "a.b", "a.c", "d.b", "n", "a.0", "e"]
EXPRESSIONS = ["^a", "b$", "^ab?", "^(a|b)", "^B", "^ab", "^a\\.?b", "a.b", "\\w"]
TYPES: list[Any] = [
    "string", "number", "array", "null", "object", "bool", "int", "double", "date", "objectId", 2, 16,
    ["string", "null"], "regex", "minKey", "long", "decimal",
]  # fmt: skip


class Generator(random.Random):
    """``rare`` mixes in every type of value. ``server`` leaves out what the server of the tests
    does in another way than MongoDB; each place says what."""

    def __init__(self, seed: int, *, rare: bool = False, server: bool = False) -> None:
        super().__init__(seed)
        self.rare = rare
        self.server = server

    def chance(self, part: float) -> bool:
        return self.random() < part

    def several(self, make: Any, least: int, most: int) -> list[Any]:
        return [make() for _ in range(self.randint(least, most))]

    # Values

    def scalar(self) -> Any:
        return self.choice(RARE if self.rare and self.chance(0.3) else SCALARS)

    def object(self) -> Document:
        return {name: self.scalar() for name in self.sample(["b", "c"], self.randrange(3))}

    def value(self, depth: int = 0) -> Any:
        kind = self.randrange(10)
        if kind < 5 or depth > 1:
            return self.scalar()
        if kind < 6:
            return self.object()
        if kind < 8:
            return self.several(self.object, 1, 3)
        return [self.value(depth + 1) for _ in range(self.randrange(4))]

    def documents(self, least: int = 3, most: int = 14) -> list[Document]:
        found: list[Document] = []
        for number in range(self.randint(least, most)):
            document = {
                "_id": number,
                "n": number % 3,
                "ids": self.sample(range(9), self.randrange(4)),
            }
            for name in ("a", "d", "e"):
                if self.chance(0.85):
                    document[name] = self.value()
            found.append(document)
        return found

    # Filters

    def operators(self) -> Document:
        number, other = sorted((self.choice([-2, 0, 0.5, 1]), self.choice([1, 2, 3])))
        match self.randrange(19):
            case 0:
                return {"$eq": self.value()}
            case 1:
                return {"$ne": self.value_to_negate()}
            case 2 | 3 | 4:
                return {self.choice(["$gt", "$gte", "$lt", "$lte"]): self.bound()}
            case 5:
                return {"$gt": number, "$lte": other}
            case 6 | 7:
                return {"$in": self.members()}
            case 8:
                return {"$nin": self.several(self.scalar, 0, 2)}
            case 9:
                return {"$exists": self.chance(0.5)}
            case 10:
                return {"$regex": self.choice(EXPRESSIONS), "$options": self.choice(["", "i", "m"])}
            case 11:
                return {"$size": self.randrange(4)}
            case 12:
                return {"$all": self.every()}
            case 13:
                return {"$elemMatch": {"$gte": number, "$lt": other}}
            case 14:
                return {"$elemMatch": self.inner_filter()}
            case 15:
                return {"$mod": [self.choice([2, 3, -2]), self.choice([0, 1, -1])]}
            case 16:
                return {"$elemMatch": self.element_operators()}
            case _:
                return {"$type": self.choice(TYPES)}

    def value_to_negate(self) -> Any:
        value = self.value()
        return None if isinstance(value, Regex) else value

    def bound(self) -> Any:
        value = self.scalar()
        return 1 if isinstance(value, Regex) else value

    def members(self) -> list[Any]:
        return self.several(self.value, 1, 4)

    def every(self) -> list[Any]:
        if self.chance(0.1):
            return [{"$elemMatch": self.inner_filter()}]
        # There null in $all does not find what is missing; by the manual $all is an $and.
        return self.sample(SCALARS[self.server :], self.randrange(1, 3))

    def element_operators(self) -> Document:
        return self.choice(
            [
                {"$in": self.several(self.scalar, 1, 3)},
                {"$ne": 1},
                {"$nin": [1, "a"]},
                {"$size": 1},
                {"$elemMatch": {"$gte": 0}},
                {"$not": {"$gt": 0}},
                {"$type": "string"},
                {"$exists": True},
            ]
        )

    def inner_filter(self) -> Document:
        inner: list[Any] = [0, 1, "a", True, {"$gte": 0}, {"$in": [1, "b"]}]
        if not self.server:
            # MongoDB takes an array in the array for an object too, which is what a condition for
            # something missing finds.
            inner += [None, {"$exists": False}]
        return {name: self.choice(inner) for name in self.sample(["b", "c"], self.randint(1, 2))}

    def condition(self, depth: int = 0) -> Any:
        kind = self.random()
        if kind < 0.35:
            return self.value() if kind < 0.1 else self.scalar()
        if kind < 0.9 or depth:
            return self.operators()
        return {"$not": self.choice([self.operators(), Regex(self.choice(EXPRESSIONS))])}

    def filter(self, depth: int = 0) -> Document:
        query = {self.choice(PATHS): self.condition() for _ in range(self.choice([1, 1, 1, 2, 2]))}
        at = str(query.get("a.0", ""))
        if self.server and ("None" in at or "$mod" in at):
            # There null at a position finds empty arrays, and $mod looks into an array at it.
            query["a.0"] = 1
        if self.chance(0.2):  # of one array, where different elements may fulfil them
            query = {path: self.choice([0, 1, True, "a", {"$gte": 0}]) for path in ("a.b", "a.c")}
        if depth < 2 and self.chance(0.4):
            clauses = [self.filter(depth + 1) for _ in range(self.randrange(1, 4))]
            query[self.choice(["$or", "$or", "$and", "$nor"])] = clauses
            if self.chance(0.5):
                query.pop(next(iter(query)))
        return query

    def page(self) -> tuple[Document, Document]:
        """A page after a document, and its order."""
        path, way = self.choice(["d", "a", "n", "e"]), self.way()
        beyond, value = "$lt" if way == -1 else "$gt", self.bound()
        after: Document = {
            "$or": [{path: {beyond: value}}, {path: value, "_id": {beyond: self.randrange(9)}}]
        }
        first: Document = self.choice([{}, {"n": self.randrange(3)}, {"n": {"$in": [0, 2]}}])
        query = (
            {**first, **after} if self.chance(0.5) else {**first, "$and": [after, self.filter(2)]}
        )
        return query, {path: way, "_id": way}

    def way(self) -> int:
        return self.choice([1, -1])

    def sort(self) -> Document:
        if self.server:
            # It sorts by two arrays, which MongoDB refuses; and an object in an array without the
            # field does not count as null.
            paths = self.sample([self.choice(["a", "d", "e"]), "n"], self.randrange(3))
        else:
            paths = self.sample(["a", "d", "n", "a.b", "e"], self.randrange(3))
        return {**{path: self.way() for path in paths}, "_id": self.way()}

    def index(self) -> tuple[dict[str, int], Document]:
        """Keys and options."""
        pairs = [
            ["a.b", "a.c"], ["a", "_id"], ["d", "n"], ["n", "a"], ["a.c", "a.b"], ["n", "_id"],
            ["n", "d", "_id"], ["n", "e", "a"], ["d", "_id"], ["e", "n"],
        ]  # fmt: skip
        paths = self.choice(pairs) if self.chance(0.6) else [self.choice(PATHS)]
        options: Document = {}
        kind = self.random()
        if kind < 0.2:
            options = {"sparse": True}
        elif kind < 0.4:
            options = {"partialFilterExpression": self.partial()}
        if self.chance(0.15):
            options["unique"] = True
        return {path: self.way() for path in paths}, options

    def partial(self) -> Document:
        path = self.choice(["a", "d", "e", "n"])
        conditions: list[Any] = [
            1, True, "a", {"$exists": True}, {"$gt": 0}, {"$gte": "a"}, {"$lt": 2}, {"$lte": 1},
            {"$type": "string"}, {"$type": "number"}, {"$type": "int"}, {"$in": [1, 2, "a"]}, None,
        ]  # fmt: skip
        return {path: self.choice(conditions)}

    def projection(self) -> Any:
        choices: list[Any] = [
            None, {"a": 1}, {"a.b": 1, "_id": 0}, {"a": 0}, {"a.b": 0, "d": 0}, {"a.b": 1, "n": 1},
            ["a", "d"], {"a": {"b": 1}}, {"a": {"$slice": self.choice([1, -1, 0, [1, 1], [-2, 1]])}},
            {"n": 1, "a": {"$elemMatch": self.inner_filter()}}, {"a": {"$elemMatch": {"$gte": 0}}},
            {"x": "$a.b", "d": 1}, {"_id": 0}, {"_id": 1}, {"a.b": {"$slice": 1}},
            {"a": {"c": 0}, "_id": 0}, {"a.b": 1, "a.c": "$n"},
        ]  # fmt: skip
        if self.server:
            # There "$a.b" is missing for an array of scalars, and what is computed below an array
            # is not put into its elements.
            choices = [
                one
                for one in choices
                if not isinstance(one, dict)
                or "$" not in str(one.values())
                or "$slice" in str(one)
                or "$elem" in str(one)
            ]
        return self.choice(choices)
