"""Model specs: settings that an operator prepared under a name (config-yaml §5)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_contracts.models import ModelRefused

Spec = Mapping[str, Any]

PRIVATE = (
    "promptPrefix",
    "instructions",
    "additional_instructions",
    "system",
    "context",
    "examples",
)
"""Members of a preset that clients never see; the server puts them back (user §2.4)."""

TOOL_SWITCHES = (
    "webSearch",
    "fileSearch",
    "executeCode",
    "artifacts",
    "memory",
    "askUserQuestion",
    "runInBackground",
    "describeIntent",
    "mcpServers",
    "skills",
    "subagents",
)

_BUILT_IN = frozenset(
    [
        "openAI",
        "azureOpenAI",
        "google",
        "anthropic",
        "assistants",
        "azureAssistants",
        "agents",
        "bedrock",
    ]
)
_OWN = frozenset(("ollama", "Guide"))


@dataclass(frozen=True, slots=True)
class Specs:
    """The specs in force. ``public`` is the member ``modelSpecs`` of ``GET /api/config``."""

    enforce: bool = False
    by_name: Mapping[str, Spec] = field(default_factory=dict)
    public: Mapping[str, Any] | None = None

    def choose(self, name: str | None, endpoint: str) -> Spec | None:
        """The spec that a request named.

        Raises `ModelRefused` (a denial) with the texts of endpoints §9.
        """
        if self.enforce and self.by_name:
            if not name:
                raise ModelRefused("No model spec selected", denial=True)
            if name not in self.by_name:
                raise ModelRefused("Invalid model spec", denial=True)
        spec = self.by_name.get(name) if name else None
        if spec is not None and spec["preset"]["endpoint"] != endpoint:
            raise ModelRefused("Model spec mismatch", denial=True)
        return spec


def read_specs(section: Any, custom: Collection[str]) -> tuple[Specs, list[str]]:
    """The usable specs of ``modelSpecs``, and a warning for each unusable one. ``custom`` are the
    names of the custom endpoints. Without a usable spec there is no block."""
    if not isinstance(section, Mapping):
        return Specs(), []
    found: dict[str, Spec] = {}
    warnings = []
    for item in section.get("list") or ():
        spec = _spec(item, custom)
        if isinstance(spec, str):
            warnings.append(spec)
        else:
            found[str(spec["name"])] = spec
    if not found:
        return Specs(), warnings
    public: dict[str, Any] = {
        "enforce": section.get("enforce") is True,
        "prioritize": section.get("prioritize", True) is not False,
        "list": [_public(spec) for spec in found.values() if spec.get("showInMenu") is not False],
    }
    if isinstance(section.get("addedEndpoints"), list):
        public["addedEndpoints"] = section["addedEndpoints"]
    return Specs(public["enforce"], found, public), warnings


def _spec(item: Mapping[str, Any], custom: Collection[str]) -> Spec | str:
    """A spec with its endpoint settled, or the reason why it is left out."""
    preset = dict(item.get("preset") or {})
    if "endpoint" not in preset and preset.get("agent_id"):
        preset["endpoint"] = "agents"
    endpoint = preset.get("endpoint")
    name = item.get("name")
    if not isinstance(endpoint, str) or not endpoint or endpoint == "custom":
        return f"the model spec '{name}' is left out: its preset names no endpoint"
    if endpoint.lower() == "ollama":
        endpoint = "ollama"
    if endpoint not in _BUILT_IN and endpoint not in _OWN and endpoint not in custom:
        return f"the model spec '{name}' is left out: there is no endpoint '{endpoint}'"
    preset["endpoint"] = endpoint
    return {**item, "preset": preset}


def _public(spec: Spec) -> dict[str, Any]:
    shown = {key: value for key, value in spec.items() if key != "skills"}
    shown["preset"] = {key: value for key, value in spec["preset"].items() if key not in PRIVATE}
    subagents = shown.pop("subagents", None)
    if isinstance(subagents, Mapping):
        kept = {key: subagents[key] for key in ("enabled", "allowSelf") if key in subagents}
        if kept:
            shown["subagents"] = kept
    return shown


def applied(spec: Spec, params: Mapping[str, Any], *, enforce: bool) -> dict[str, Any]:
    """Request members with a spec's preset applied. When it is enforced, the preset replaces the
    request's members, except for the project. Otherwise the request's members are kept, and the
    parts of the preset that clients never see (and a missing model) are added."""
    preset = spec["preset"]
    if enforce:
        merged = {key: params[key] for key in ("chatProjectId",) if key in params} | dict(preset)
    else:
        hidden = {key: preset[key] for key in (*PRIVATE, "model") if key in preset}
        filled = {key: value for key, value in params.items() if value not in (None, "", [])}
        merged = {**params, **hidden, **filled}
    merged["spec"] = spec["name"]
    return merged
