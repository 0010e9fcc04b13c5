"""The table of operators tells of the code what is true."""

import re
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from locutory_sqlite import Database
from locutory_sqlite.arrays import PUSH_MODIFIERS
from locutory_sqlite.expressions import FUNCTIONS, SEQUENCES, SPECIAL
from locutory_sqlite.filters import OPERATORS as ON_PATHS
from locutory_sqlite.filters import TOP_LEVEL
from locutory_sqlite.grouping import ACCUMULATORS
from locutory_sqlite.operators import OPERATORS as OF_UPDATES
from locutory_sqlite.pipeline import NESTING, STAGES
from locutory_sqlite.projection import FIND_OPERATORS

TABLE = Path(__file__).parents[1] / "OPERATORS.md"
IN_CODE = {
    "Filters": {*ON_PATHS, *TOP_LEVEL},
    "Updates": {*OF_UPDATES, *PUSH_MODIFIERS},
    "Projections": {*FIND_OPERATORS},
    "Stages": {*STAGES, *NESTING},
    "Accumulators": {*ACCUMULATORS},
    "Expressions": {*FUNCTIONS, *SEQUENCES, *SPECIAL},
}


def section(name: str) -> str:
    text = TABLE.read_text().partition(f"\n## {name}\n")[2]
    return text.partition("\n## ")[0]


def supported(name: str) -> set[str]:
    """The names in the first column of the table."""
    cells = [line.split("|")[1] for line in section(name).splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\$\w+)`", " ".join(cells)))


def refused(name: str) -> list[str]:
    line = next(line for line in section(name).splitlines() if line.startswith("Not supported"))
    return re.findall(r"`(\$\w+)`", line)


@pytest.mark.parametrize("name", IN_CODE)
def test_the_table_names_what_the_code_has(name: str) -> None:
    assert supported(name) == IN_CODE[name]
    assert not set(refused(name)) & IN_CODE[name]


async def attempt(database: Database, kind: str, name: str) -> None:
    c = database["c"]
    stages: list[dict[str, Any]] = [{"$project": {"x": {name: "$a"}}}]
    match kind:
        case "Filters":
            top = name in ("$text", "$where", "$jsonSchema", "$sampleRate")
            await c.find({name: {}} if top else {"a": {name: 1}}).to_list()
            return
        case "Updates":
            await c.update_one({"_id": 1}, {name: {"a": 1}})
            return
        case "Projections":
            await c.find({}, {"a": {name: 1}}).to_list()
            return
        case "Stages":
            stages = [{name: {}}]
        case "Accumulators":
            stages = [{"$group": {"_id": 1, "x": {name: "$a"}}}]
    await (await c.aggregate(stages)).to_list()


@pytest.mark.parametrize("kind", IN_CODE)
async def test_what_is_not_supported_is_refused_by_name(database: Database, kind: str) -> None:
    names = refused(kind)
    assert names
    for name in names:
        with pytest.raises(OperationFailure, match=re.escape(name)) as caught:
            await attempt(database, kind, name)
        assert "does not support" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("positional operator $", lambda c: c.update_one({}, {"$set": {"a.$": 1}})),
        ("positional operator $[]", lambda c: c.update_one({}, {"$set": {"a.$[].b": 1}})),
        ("positional operator $[x]", lambda c: c.update_one({}, {"$set": {"a.$[x]": 1}})),
        ("pipeline", lambda c: c.update_one({}, [{"$set": {"a": 1}}])),
        ("timestamp", lambda c: c.update_one({}, {"$currentDate": {"a": {"$type": "timestamp"}}})),
        ("positional projection $", lambda c: c.find({}, {"a.$": 1}).to_list()),
        ("$meta", lambda c: c.find({}, sort=[("a", {"$meta": "textScore"})]).to_list()),
        ("$natural", lambda c: c.find({}, sort=[("$natural", -1)]).to_list()),
        (
            "let",
            lambda c: c.aggregate(
                [{"$lookup": {"from": "x", "let": {}, "pipeline": [], "as": "y"}}]
            ),
        ),
        (
            "localField",
            lambda c: c.aggregate([{"$lookup": {"from": "x", "pipeline": [], "as": "y"}}]),
        ),
        ("text", lambda c: c.create_index([("a", "text")])),
        ("hashed", lambda c: c.create_index([("a", "hashed")])),
        ("2dsphere", lambda c: c.create_index([("a", "2dsphere")])),
        ("$**", lambda c: c.create_index("$**")),
        ("collation", lambda c: c.create_index("a", collation={"locale": "de"})),
        ("collation", lambda c: c.find({}, collation={"locale": "de"}).to_list()),
        ("array_filters", lambda c: c.update_one({}, {"$set": {"a": 1}}, array_filters=[{"x": 1}])),
        ("let", lambda c: c.aggregate([], let={"x": 1})),
    ],
)
async def test_options_and_kinds_are_refused_by_name(
    database: Database, text: str, call: Any
) -> None:
    with pytest.raises(OperationFailure) as caught:
        await call(database["c"])
    assert text in str(caught.value)
