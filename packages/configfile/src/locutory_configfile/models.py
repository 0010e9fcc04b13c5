"""Validation of a value of a configuration file with the pydantic models that read it.

`faults_of` returns the errors of one model. Models may tolerate unknown keys; `unread` finds the
keys that are in none of several models, so that no model needs to check for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from inspect import get_annotations, isclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from locutory_configfile.faults import Fault, Path, nearest

Words = Mapping[str, Any] | None
"""Keys that are known without a model, each with its nested keys; ``*`` stands for any key."""


def faults_of(model: type[BaseModel], value: Any) -> list[Fault]:
    """The errors of ``value`` according to a model, each with its path. The error of a missing key
    names a similar key that was written instead of it."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        found: dict[Any, Fault] = {}
        for item in error.errors(include_url=False):
            inner = _inside(value, item["loc"])
            text, fix = said(item["msg"]), ""
            if item["type"] == "extra_forbidden":
                text = "nobody knows this key"
                fix = nearest(str(inner[-1]), _known(_types_at([model], inner[:-1]))[0])
            elif item["type"] == "missing":
                parent = _at(value, inner[:-1])
                known, _ = _known(_types_at([model], inner[:-1]))
                others = [str(key) for key in parent if key not in known]
                near = nearest(str(inner[-1]), others).split("'")[1:2]
                fix = f"'{near[0]}' is there; write '{inner[-1]}'" if near else ""
            elif item["type"] == "string_type" and isinstance(
                item["input"], int | float | datetime
            ):
                fix = "put it into quotes"
            found.setdefault((inner, text), Fault(text, fix, path=inner))
        return list(found.values())
    return []


def said(message: str) -> str:
    """The message of a validator, without pydantic's prefix."""
    return message.removeprefix("Value error, ")


def unread(
    value: Any, types: Sequence[Any], words: Words, path: Path
) -> Iterator[tuple[Path, str | None]]:
    """Yield the keys below ``path`` that are in none of the models and other ``types``: the path,
    and a hint ("" when no known key is similar). The hint is ``None`` for keys in ``words``."""
    arms = list(_arms(types))
    if any(arm in (Any, object, dict, Mapping) for arm in arms):
        return
    if isinstance(value, list):
        items = [get_args(arm)[0] for arm in arms if _is(arm, Sequence | set) and get_args(arm)]
        for index, item in enumerate(value):
            yield from unread(item, items, words, (*path, index))
        return
    known, others = _known(arms)
    if not isinstance(value, Mapping) or not (known or others or words):
        return
    words = words or {}
    for key, inner in value.items():
        here, below = (*path, key), words.get(key, words.get("*"))
        if key in known or others:
            yield from unread(inner, known.get(key, others), below, here)
        elif key not in words and "*" not in words:
            yield here, nearest(str(key), {*known, *words})
        elif known:
            yield here, None
        else:
            yield from unread(inner, (), below, here)


def _arms(types: Sequence[Any]) -> Iterator[Any]:
    """The single types in unions, aliases, annotations and models of one value."""
    for each in types:
        if hasattr(each, "__value__"):  # an alias: type X = ...
            yield from _arms([each.__value__])
        elif get_origin(each) is Annotated:
            yield from _arms(get_args(each)[:1])
        elif get_origin(each) in (Union, UnionType):
            yield from _arms(get_args(each))
        elif isclass(each) and issubclass(each, RootModel):
            yield from _arms([each.model_fields["root"].annotation])
        else:
            yield each


def _is(arm: Any, kind: Any) -> bool:
    origin = get_origin(arm)
    return isclass(origin) and issubclass(origin, kind)


def _known(types: Sequence[Any]) -> tuple[dict[str, list[Any]], list[Any]]:
    """The keys of all models among the types, with the types of their values; and the types of the
    values of all other keys."""
    known: dict[str, list[Any]] = {}
    others: list[Any] = []
    for arm in _arms(types):
        if _is(arm, Mapping):
            others += get_args(arm)[1:]
        elif isclass(arm) and issubclass(arm, BaseModel):
            for name, field in arm.model_fields.items():
                for key in _spellings(arm, name, field):
                    known.setdefault(key, []).append(field.annotation)
            for base in arm.__mro__[: arm.__mro__.index(BaseModel)]:
                if "__pydantic_extra__" in get_annotations(base):
                    others.append(Any)  # further keys are meant to be there
    return known, others


def known_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written in the file."""
    return list(_known([model])[0])


def _spellings(model: type[BaseModel], name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias or field.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
    by_name = model.model_config.get("populate_by_name") or model.model_config.get(
        "validate_by_name"
    )
    return [each for each in choices if isinstance(each, str)] + ([name] if by_name else [])


def _types_at(types: Sequence[Any], path: Path) -> list[Any]:
    for part in path:
        arms = list(_arms(types))
        known, others = _known(arms)
        items = [get_args(arm)[0] for arm in arms if _is(arm, Sequence | set) and get_args(arm)]
        types = items if isinstance(part, int) else known.get(part, others)
    return list(types)


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _inside(value: Any, loc: tuple[str | int, ...]) -> Path:
    """The path of an error without the parts that pydantic adds for members of unions."""
    path: Path = ()
    for number, part in enumerate(loc, 1):
        here = isinstance(value, Mapping) and part in value
        if here or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
        elif not (number == len(loc) and isinstance(value, Mapping)):
            continue
        path = (*path, part)
    return path
