"""Random updates, writes and pipelines; see `generation`."""

from collections.abc import Callable
from typing import Any

from packages.sqlite.tests.generation import NUMBERS, PATHS, Document, Generator
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

Made = Callable[[], Any]
FIELDS = ["a", "d", "e", "n", "a.b", "a.c", "d.b"]


class Changes(Generator):
    """Updates and bulk writes."""

    def update(self) -> Document:
        update = self.change()
        # There a conflict of two paths is seen only where a document matches.
        if self.chance(0.3) and not self.server:
            for operator, fields in self.change().items():
                update.setdefault(operator, {}).update(fields)
        return update

    def change(self) -> Document:
        path = self.choice([*PATHS, "a.1", "a.0.b", "x.y", "a.b.c"])
        match self.randrange(18):
            case 0 | 1:
                return {"$set": {path: self.value()}, "$inc": {"z": 1}}
            case 2:
                return {"$unset": {path: ""}}
            case 3 | 4:
                return {self.choice(["$inc", "$inc", "$mul"]): {path: self.choice(NUMBERS)}}
            case 5:
                return {"$push": {path: self.value()}}
            case 6:
                modifiers = self.pushed()
                if self.server and isinstance(modifiers.get("$sort"), dict):
                    # There elements that are no objects come in an order of their own.
                    path, modifiers["$each"] = "f", self.several(self.object, 0, 3)
                return {"$push": {path: modifiers}}
            case 7:
                return {"$pull": {path: self.choice([self.scalar(), {"b": self.scalar()}])}}
            case 8:
                return {"$pull": {path: self.pulled()}}
            case 9:
                values = [self.scalar(), self.scalar(), self.value()]
                if self.server:  # where false is 0
                    values = self.sample(["a", "b", 2, 0.5, None, "", -2], 3)
                return {"$pullAll": {path: values}}
            case 10:
                return {"$addToSet": {path: self.value()}}
            case 11:
                return {"$addToSet": {path: {"$each": self.several(self.value, 0, 3)}}}
            case 12 | 13:
                return {self.choice(["$max", "$min"]): {path: self.scalar()}}
            case 14:
                return {"$setOnInsert": {"f": self.value()}, "$set": {"g": 1}}
            case 15:
                return {"$pop": {path: self.way()}}
            case 16:
                return {"$set": {path: self.value(), "n": self.choice(NUMBERS)}}
            case _:
                return {"$rename": {self.choice(["a", "a.b", "d"]): self.choice(["e", "f", "g.h"])}}

    def pushed(self) -> Document:
        modifiers: Document = {"$each": self.several(self.value, 0, 3)}
        if self.chance(0.5):
            modifiers["$slice"] = self.choice([0, 1, 2, -1, -2, 5])
        if self.chance(0.5):
            modifiers["$position"] = self.choice([0, 1, 2, -1, -2, 9, -9])
        if self.chance(0.5):
            modifiers["$sort"] = self.choice([1, -1, {"b": 1}, {"b": -1, "c": 1}])
        return modifiers

    def pulled(self) -> Document:
        conditions: list[Any] = [
            {"$gte": self.choice([0, 1, "a"])}, {"$in": self.several(self.scalar, 1, 3)}, {"$ne": 1},
            {"b": {"$gte": 0}}, {"b": 1, "c": 1}, {"$exists": True}, {"b": {"$exists": False}},
            {"$elemMatch": {"$gte": 0}}, {"$not": {"$gte": 0}}, {"$nin": ["a", 1]},
        ]  # fmt: skip
        found: Document = self.choice(conditions)
        return found

    def upsert(self) -> Document:
        """A filter from which a document may be made."""
        query: Document = {"_id": 100 + self.randrange(3)} if self.chance(0.5) else {}
        choices: list[Document] = [
            {}, {"a": self.bound()}, {"x.y": 1}, {"$and": [{"k": 1}, {"l": {"$eq": "b"}}]},
            {"$or": [{"k": 7}]}, {"k": {"$in": [7]}}, {"k": {"$in": [7, 8]}}, {"k": {"$gt": 9}, "l": 5},
            {"k": {"$all": [9]}}, {"k": {"x": 1}},
        ]  # fmt: skip
        if not self.server:  # which takes one of two values for a path
            choices += [{"k": 71, "$and": [{"k": 71}]}, {"k": 1, "k.l": 2}]
        return {**query, **self.choice(choices)}

    def request(self) -> Any:
        one = {"_id": self.randrange(16)}
        match self.randrange(7):
            case 0 | 1:
                return InsertOne({**one, "n": self.choice(NUMBERS), "u": self.randrange(9)})
            case 2:
                return UpdateOne(one, self.update(), upsert=self.chance(0.3))
            case 3:
                return UpdateMany({"n": self.randrange(3)}, self.update())
            case 4:
                return ReplaceOne(
                    one, {"a": self.value(), "u": self.randrange(9)}, upsert=self.chance(0.5)
                )
            case 5:
                return DeleteOne(one)
            case _:
                return DeleteMany({"n": self.choice(NUMBERS)})

    def bulk(self, *, ordered: bool) -> list[Any]:
        """The driver sends unordered ones grouped by their kinds, so these are of one."""
        requests = self.several(self.request, 1, 10)
        kind = (InsertOne,) if self.chance(0.5) else (UpdateOne, UpdateMany, ReplaceOne)
        return [one for one in requests if ordered or isinstance(one, kind)] or [
            DeleteOne({"_id": 1})
        ]


class Pipelines(Generator):
    """Expressions and stages. A stage whose output has no order is told by `unordered`."""

    def expression(self, depth: int = 0) -> Any:
        if depth > 2 or self.chance(0.35):
            paths = ["$a", "$n", "$d", "$e", "$_id", 1, 2, None, {"$ifNull": ["$$ROOT.n", 0]}]
            if not self.server:  # there "$$ROOT.n" is null, and "$a.b" of scalars missing
                paths += ["$a.b", "$$ROOT.n", "$a.0", "$missing"]
            literals = [{"$literal": self.scalar()}, [1, "$n"], {"x": "$n", "y": "$missing"}]
            return self.choice(paths + literals)
        e: Made = lambda: self.expression(depth + 1)  # noqa: E731
        other: Made = lambda: {"$ifNull": [e(), []]} if self.server else e()  # noqa: E731  (not null there)
        array: Made = lambda: self.choice([{"$ifNull": ["$a", []]}, "$a", ["$n", 1, "$d"], other()])  # noqa: E731
        # There a path through an array in a variable is null.
        mapped: Made = lambda: self.choice(["$$v", [1, "$$v"], "$$v" if self.server else "$$v.b"])  # noqa: E731

        def number() -> Any:
            return self.choice(["$n", "$_id", self.choice(NUMBERS), {"$size": [[1, 2]]}])

        text: Made = lambda: self.choice(["a", "B", "$d", {"$toString": "$n"}])  # noqa: E731
        choices: list[Any] = [
            lambda: {self.choice(["$add", "$multiply"]): [number(), number(), number()]},
            lambda: {self.choice(["$subtract", "$divide", "$mod"]): [number(), number()]},
            lambda: {self.choice(["$abs", "$floor", "$ceil"]): number()},
            lambda: {self.choice(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]): [e(), e()]},
            lambda: {self.choice(["$and", "$or"]): [e(), e()]},
            lambda: {"$not": [e()]},
            lambda: {"$size": array()},
            lambda: {"$arrayElemAt": [array(), self.choice([0, 1, -1, 9])]},
            # There the first of nothing is null.
            lambda: {"$ifNull": [{self.choice(["$first", "$last"]): array()}, 0]},
            lambda: {"$slice": [array(), *self.choice([[1], [-1], [1, 1], [-2, 1], [0, 2]])]},
            lambda: {"$concat": [text(), text()]},
            lambda: {"$concatArrays": [array(), array()]},
            lambda: {self.choice(["$toLower", "$toUpper", "$toString"]): text()},
            lambda: {"$toString": e()},
            lambda: {self.choice(["$isArray", "$isNumber"]): e()},
            lambda: {"$mergeObjects": [self.choice(["$d", {"k": 1}, None]), {"x": e()}]},
            # There what is missing is in an array with null.
            lambda: {"$in": [{"$ifNull": [e(), 0]} if self.server else e(), array()]},
            lambda: {self.choice(["$max", "$min"]): self.choice([[e(), e()], array()])},
            lambda: {"$cond": [e(), e(), e()]},
            lambda: {"$cond": {"if": e(), "then": e(), "else": e()}},
            lambda: {"$switch": {"branches": [{"case": e(), "then": 1}], "default": e()}},
            lambda: {"$ifNull": [e(), e()]},
            lambda: {"$let": {"vars": {"v": e()}, "in": {"$ifNull": ["$$v", "$n"]}}},
            lambda: {"$map": {"input": array(), "as": "v", "in": mapped()}},
            lambda: {"$filter": {"input": array(), "cond": {"$gt": ["$$this", 0]}}},
            lambda: {"$filter": {"input": array(), "as": "v", "cond": "$$v", "limit": 1}},
            lambda: {"$reduce": {"input": array(), "initialValue": [], "in": {"$concatArrays": ["$$value", ["$$this"]]}}},
        ]  # fmt: skip
        return self.choice(choices)()

    def stage(self) -> Document:
        match self.randrange(16):
            case 0 | 1:
                # There what is missing is true.
                test = self.expression()
                test = {"$ifNull": [test, False]} if self.server else test
                return {"$match": self.choice([self.filter(), {"$expr": test}])}
            case 2:
                return {"$sort": self.sort()}
            case 3:
                return {"$skip": self.choice([0, 1, 2])}
            case 4:
                return {"$limit": self.choice([1, 3, 5])}
            case 5 | 6:
                projections: list[Document] = [{"a": 1, "n": 1}, {"a": 0}, {"a.b": 1}]
                if not self.server:
                    # There nothing is taken out of arrays, and a nested 1 is a value.
                    projections += [{"a": {"b": 1}}, {"a": {"b": 1, "c": "$n"}}, {"a.b": 0, "e": 0}]
                projection = self.choice(projections)
                value = self.expression()
                if self.server and isinstance(
                    value, int
                ):  # which takes 2 for a value, and not for 1
                    value = "$n"
                given = {"x": value, **self.choice([{}, {"n": 1}, {"_id": 0}, {"a.b": 1}])}
                return {"$project": self.choice([projection, given])}
            case 7 | 8:
                # There a path through a scalar changes nothing, and one through an array nothing in it.
                paths = ["x", "a", "new.x", "n" if self.server else "_id"]
                path = self.choice(paths if self.server else [*paths, "a.b", "d.b"])
                value = self.expression()
                if self.server:  # what is missing makes no object around it there
                    value = {"$ifNull": [value, 0]}
                return {self.choice(["$addFields", "$set"]): {path: value}}
            case 9:
                # There nothing is taken out of objects in arrays.
                return {"$unset": self.choice(["a", "e" if self.server else "a.b", ["d", "e"]])}
            case 10:
                options: Document = {"path": self.choice(["$a", "$d", "$a.b", "$d.b"])}
                if self.chance(0.5):
                    options["preserveNullAndEmptyArrays"] = True
                if self.chance(0.3) and not self.server:  # of 32 bits there
                    options["includeArrayIndex"] = self.choice(["at", "n", "new.at"])
                return {"$unwind": options if len(options) > 1 else options["path"]}
            case 11 | 12:
                return {"$group": self.group()}
            case 13:
                # There $count counts none, and tells.
                count = {"$limit": 4} if self.server else {"$count": "all"}
                return self.choice([count, {"$sortByCount": "$n"}])
            case 14:
                root = {"$mergeObjects": ["$$ROOT", {"x": self.expression()}]}
                return self.choice([{"$replaceRoot": {"newRoot": root}}, {"$replaceWith": root}])
            case _:
                # There {"b": 1} is {"b": True}, and arrays in arrays are taken apart.
                lookup: Document = {"from": "other", "localField": self.choice(["ids", "n"] if self.server else ["ids", "a", "n", "d", "a.b"]),
                          "foreignField": self.choice(["_id", "n"] if self.server else ["a", "n", "_id", "d"]), "as": "found"}  # fmt: skip
                if self.server or self.chance(0.3):  # in the order of the values there
                    lookup["pipeline"] = [{"$sort": {"_id": 1}}, {"$project": {"n": 1}}]
                facet = {"one": [{"$limit": 2}], "two": [{"$match": {"n": 1}}, {"$unset": "n"}]}
                return self.choice([{"$lookup": lookup}, {"$facet": facet}])

    def group(self) -> Document:
        accumulators: Document = {}
        for name in self.sample(
            ["$sum", "$avg", "$max", "$min", "$first", "$last", "$push", "$addToSet"], 3
        ):
            # A constant is refused there for all but $sum.
            constant = 1 if name == "$sum" or not self.server else "$e"
            accumulators[name[1:]] = {name: self.choice(["$a", "$n", "$d", "$_id", constant])}
        key = self.choice([None, "$n", "$a", {"x": "$n", "y": "$e"}, self.expression(1)])
        if self.server:  # where [[]] and [{}] are one group
            key = self.choice([None, "$n", {"x": "$n"}, {"$toString": "$n"}, {"$isArray": "$a"}])
        return {"_id": key, "count": {"$count": {}}, **accumulators}

    def pipeline(self) -> list[Document]:
        return [{"$sort": {"_id": 1}}, *self.several(self.stage, 1, 3)]
