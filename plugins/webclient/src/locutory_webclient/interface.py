"""The member ``interface`` of the start-up configuration (contract user §2.3)."""

from collections.abc import Collection, Mapping
from typing import Any

from locutory_contracts.offers import INTERFACE_PERMISSIONS

_DEFAULTS = {
    "modelSelect": True,
    "parameters": True,
    "presets": True,
    "mcpServers": {"use": True, "create": True, "share": False, "public": False},
    "autoSubmitFromUrl": True,
    "buildInfo": True,
    "contextUsage": True,
    "contextCost": False,
}
_ORDER = (
    "modelSelect",
    "parameters",
    "presets",
    "privacyPolicy",
    "termsOfService",
    "mcpServers",
    "customWelcome",
    "autoSubmitFromUrl",
    "buildInfo",
    "contextUsage",
    "contextCost",
    "currency",
    "bookmarks",
    "memories",
    "prompts",
    "multiConvo",
    "agents",
    "temporaryChat",
    "temporaryChatRetention",
    "retentionMode",
    "retainAgentFiles",
    "runCode",
    "webSearch",
    "fileSearch",
    "fileCitations",
    "defaultPinnedTools",
    "peoplePicker",
    "marketplace",
    "remoteAgents",
    "skills",
    "sharedLinks",
)


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping of the configuration file, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def full_interface(yaml: Mapping[str, Any]) -> dict[str, Any]:
    """The whole object, for signed-in callers. Nothing that is null is in it."""
    given = mapping(yaml.get("interface"))
    specs = mapping(yaml.get("modelSpecs"))
    standard: dict[str, Any] = dict(_DEFAULTS)
    if specs.get("list"):
        standard["modelSelect"] = bool(specs.get("addedEndpoints"))
        standard["parameters"] = standard["presets"] = False
    found: dict[str, Any] = {}
    for name in _ORDER:
        value = given.get(name)
        if value is None:
            value = standard.get(name)
        if value is not None:
            found[name] = value
    if mapping(yaml.get("memory")).get("disabled") is True:
        found["memories"] = False
    return found


def without_unserved(interface: Mapping[str, Any], served: Collection[str]) -> dict[str, Any]:
    """The object with every switch off whose feature no plugin serves, whatever the file sets."""
    return {
        name: _off(value) if INTERFACE_PERMISSIONS.get(name, "") not in ("", *served) else value
        for name, value in interface.items()
    }


def _off(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: False if isinstance(part, bool) else part for key, part in value.items()}
    return False if isinstance(value, bool) else value


def public_interface(interface: Mapping[str, Any]) -> dict[str, Any] | None:
    """The members for callers who are not signed in; ``None`` when there are none."""
    found = {
        name: interface[name] for name in ("privacyPolicy", "termsOfService") if name in interface
    }
    if interface.get("buildInfo") is False:
        found["buildInfo"] = False
    return found or None
