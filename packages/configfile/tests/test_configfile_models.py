"""Values against models: what is wrong, and which keys nobody reads."""

from typing import Annotated, Any, Optional, Union

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    StrictStr,
)
from typing_extensions import TypeAliasType

from locutory_configfile import dotted, faults_of, known_keys, unread


class Wheel(BaseModel):
    size: int = 1
    spokes: dict[str, "Wheel"] | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int] = Field(init=False)
    named: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    only: int = 0


class Items(RootModel[list[Wheel]]):
    pass


Alias = TypeAliasType("Alias", list[Wheel])
Switch = Annotated[Wheel, BeforeValidator(lambda value: {} if value is True else value)]


class Bike(BaseModel):
    model_config = ConfigDict(extra="allow")
    colour: StrictStr = "red"
    front: Optional[Wheel] = None  # noqa: UP045
    wheels: list[Wheel] = []
    spare: Union[bool, Wheel] = False  # noqa: UP007
    switch: Switch | None = None
    rack: Any = None
    headers: dict[str, str] = {}
    by_name: dict[str, Wheel] = {}
    anything: dict[str, Any] = {}
    opened: Open | None = None
    strict: Strict | None = None
    items: Items | None = None
    alias: Alias | None = None
    renamed: int = Field(0, alias="reNamed")
    either: int = Field(0, validation_alias=AliasChoices("eitherOne", "eitherTwo"))
    nested: list[list[Wheel]] | None = None


class Bell(BaseModel):
    bell: dict[str, StrictBool] | None = None
    front: Open | None = None


WORDS = {"lamp": {"bulb": None}, "front": {"tyre": {"brand": None}}, "*any": None}


def found(value: Any, *types: Any, words: Any = None) -> list[tuple[str, str | None]]:
    return [(dotted(path), hint) for path, hint in unread(value, types, words, ("bike",))]


@pytest.mark.parametrize(
    ("value", "path", "near"),
    [
        ({"color": 1}, "color", "colour"),
        ({"front": {"sise": 1}}, "front.sise", "size"),
        ({"wheels": [{}, {"sice": 1}]}, "wheels.1.sice", "size"),
        ({"spare": {"Size": 1}}, "spare.Size", "size"),
        ({"switch": {"seize": 1}}, "switch.seize", "size"),
        ({"by_name": {"x": {"siz": 1}}}, "by_name.x.siz", "size"),
        ({"front": {"spokes": {"x": {"spokes": {"y": {"szie": 1}}}}}},
         "front.spokes.x.spokes.y.szie", "size"),
        ({"items": [{"sizes": 1}]}, "items.0.sizes", "size"),
        ({"alias": [{"sizes": 1}]}, "alias.0.sizes", "size"),
        ({"nested": [[], [{"sizes": 1}]]}, "nested.1.0.sizes", "size"),
        ({"renamed": 1}, "renamed", "reNamed"),
        ({"either": 1}, "either", "either"),
        ({"strict": {"onyl": 1}}, "strict.onyl", "only"),
        ({1: 2}, "1", ""),
        ({None: 2}, "None", ""),
    ],
)  # fmt: skip
def test_unknown_keys_are_found_at_any_depth(value: Any, path: str, near: str) -> None:
    ((place, hint),) = found(value, Bike)
    assert place == f"bike.{path}"
    assert hint is not None
    assert near in hint


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"rack": {"any": {"thing": 1}}},
        {"headers": {"X-Any": "x"}},
        {"anything": {"a": {"b": [{"c": 1}]}}},
        {"opened": {"more": 1, "named": 2}},
        {"spare": True, "switch": True, "front": None},
        {"reNamed": 1, "eitherOne": 1, "eitherTwo": 2},
        {"colour": {"of": "another type"}},
        {"front": [{"of": "another type"}]},
        "text",
        None,
        [{"color": 1}],
    ],
)
def test_nothing_is_said_of_what_may_be_there(value: Any) -> None:
    assert found(value, Bike) == []


def test_several_models_read_one_section() -> None:
    value = {"colour": "red", "bell": {"loud": True}, "front": {"size": 1, "any": 2}, "bel": 1}
    assert found(value, Bike, Bell) == [("bike.bel", "did you mean 'bell'?")]
    assert found(value, Bike) == [
        ("bike.bell", ""),
        ("bike.front.any", ""),
        ("bike.bel", ""),
    ]


def test_words_without_a_model() -> None:
    value = {"lamp": {"bulp": 1}, "front": {"size": 1, "tyre": {"brnd": 1}}, "lmap": 1}
    assert found(value, Bike, words=WORDS) == [
        ("bike.lamp", None),
        ("bike.front.tyre", None),
        ("bike.lmap", "did you mean 'lamp'?"),
    ]
    # With no model at all the words are what is known; with neither, nothing is said.
    assert found(value, words=WORDS) == [
        ("bike.lamp.bulp", "did you mean 'bulb'?"),
        ("bike.front.size", ""),
        ("bike.front.tyre.brnd", "did you mean 'brand'?"),
        ("bike.lmap", "did you mean 'lamp'?"),
    ]
    assert found(value) == []


def test_faults_name_what_was_written_instead() -> None:
    class Part(BaseModel):
        base_url: str = Field(alias="baseURL")
        name: str
        count: int | str = 0

    class Machine(BaseModel):
        parts: list[Part]

    value = {"parts": [{"baseUrl": "x", "name": 5}, {"baseURL": "x", "name": "n", "count": []}]}
    assert [(dotted(each.path), each.text, each.fix) for each in faults_of(Machine, value)] == [
        ("parts.0.baseURL", "Field required", "'baseUrl' is there; write 'baseURL'"),
        ("parts.0.name", "Input should be a valid string", "put it into quotes"),
        ("parts.1.count", "Input should be a valid integer", ""),
        ("parts.1.count", "Input should be a valid string", ""),
    ]
    strict = faults_of(Bike, {"strict": {"onyl": 1}})
    assert [(dotted(each.path), each.fix) for each in strict] == [
        ("strict.onyl", "did you mean 'only'?")
    ]
    assert faults_of(Machine, {"parts": []}) == []
    assert faults_of(Machine, "text")[0].path == ()


def test_known_keys() -> None:
    assert known_keys(Bell) == ["bell", "front"]
