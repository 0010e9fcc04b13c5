"""Settings: fields of pydantic models with the name of their environment variable."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from locutory_configfile.env_text import from_text, kind_of

Environment = Mapping[str, str]


def env(
    name: str, default: Any, description: str, *, words: Sequence[str] = (), **extra: Any
) -> Any:
    """A settings field that an environment variable fills. A blank variable counts as unset.
    ``words``: the only effective texts; other texts cause a warning."""
    if callable(default):
        extra["default_factory"] = default
    else:
        extra["default"] = default
    about: dict[str, Any] = {"env": name, **({"words": list(words)} if words else {})}
    return Field(description=description, json_schema_extra=about, **extra)


def option(default: Any, description: str, **extra: Any) -> Any:
    """A settings field that only the configuration file fills."""
    if callable(default):
        return Field(default_factory=default, description=description, **extra)
    return Field(default=default, description=description, **extra)


def env_name(field: FieldInfo) -> str | None:
    """The environment variable of a settings field."""
    extra = field.json_schema_extra
    name = extra.get("env") if isinstance(extra, dict) else None
    return name if isinstance(name, str) else None


def env_text(field: FieldInfo, environment: Environment) -> str:
    """The text that the environment has for a settings field; "" when it has none. For a variable
    with several spellings, the first that is set counts."""
    extra = field.json_schema_extra
    names = extra.get("spellings") if isinstance(extra, dict) else None
    spellings = names if isinstance(names, list) else [env_name(field)]
    found = (environment.get(str(name), "") for name in spellings)
    return next((text for text in found if text.strip()), "")


def allowed_words(field: FieldInfo) -> list[str]:
    """The only effective texts of a settings field; empty when every text is effective."""
    extra = field.json_schema_extra
    words = extra.get("words") if isinstance(extra, dict) else None
    return [str(word) for word in words] if isinstance(words, list) else []


def is_flag(field: FieldInfo) -> bool:
    """``True`` for a boolean field."""
    return kind_of(field.annotation) is bool


class BadVariables(ValueError):
    """Environment variables that cannot be converted: ``problems`` by name. ``found`` has the
    values of the others."""

    def __init__(self, problems: dict[str, str], found: dict[str, Any]) -> None:
        self.problems = problems
        self.found = found
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))


def environment_values(model: type[BaseModel], environment: Environment) -> dict[str, Any]:
    """The values for a settings model from the environment; raises `BadVariables` with all
    errors."""
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, field in model.model_fields.items():
        variable = env_name(field)
        text = env_text(field, environment)
        if variable and text:
            try:
                found[name] = from_text(field.annotation, text)
            except ValueError as error:
                problems[variable] = str(error)
    if problems:
        raise BadVariables(problems, found)
    return found
