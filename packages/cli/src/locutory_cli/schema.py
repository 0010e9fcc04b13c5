"""The JSON Schema of the configuration file, for editors."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from locutory.plugins.plugin import Plugin

_REFERENCE = "#/$defs/"


def schema_of(
    plugins: Iterable[Plugin], installed: Iterable[str], words: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """One schema of every section and of the settings of every plugin that is on. Definitions are
    at its root, those of a model under ``<plugin>.<name>``. Like the server, it accepts unknown
    keys where a model does."""
    definitions: dict[str, Any] = {}
    sections: dict[str, list[dict[str, Any]]] = {key: [] for key in words.get("sections", {})}
    names = {"type": "array", "items": {"type": "string"}}
    settings: dict[str, Any] = {
        "enabled": {**names, "description": "The plugins that are on, and no other"},
        "disabled": {**names, "description": "The plugins that are off"},
        **{name: {} for name in installed},
    }
    for plugin in plugins:
        settings[plugin.name] = _schema(plugin.Config, plugin.name, definitions)
        for key, model in plugin.sections.items():
            found = sections.setdefault(key, [])
            if model is not None:
                found.append(_schema(model, plugin.name, definitions))
    keys = words.get("keys", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Locutory configuration (librechat.yaml)",
        "type": "object",
        "properties": {
            **{key: _section(found, keys.get(key)) for key, found in sections.items()},
            "plugins": {
                "type": "object",
                "description": "Which plugins are on, and their settings",
                "properties": settings,
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _schema(model: type[BaseModel], owner: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the schema of a model, which is added to the definitions."""
    prefix = f"{_REFERENCE}{owner}."
    found = model.model_json_schema(ref_template=prefix + "{model}")
    inner = found.pop("$defs", {})
    definitions.update({f"{owner}.{name}": schema for name, schema in inner.items()})
    if "$ref" in found:  # a model that holds itself
        return found
    definitions[f"{owner}.{model.__name__}"] = found
    return {"$ref": prefix + model.__name__}


def _section(found: list[dict[str, Any]], words: Any) -> dict[str, Any]:
    """The schema of one section, from the models of several plugins and the other known names in
    it, which an editor can offer."""
    others = [_names(words)] if isinstance(words, Mapping) else []
    every = [*found, *others]
    return {"allOf": every} if len(every) > 1 else {**every[0]} if every else {}


def _names(words: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "properties": {
            key: _names(inner) if isinstance(inner, Mapping) else {}
            for key, inner in words.items()
            if key != "*"
        }
    }
