"""The endpoint ``agents`` in the picker, which no provider brings (endpoints §10)."""

from collections.abc import Mapping
from typing import Any

from locutory_endpoints.deployment import as_mapping
from locutory_endpoints.providers.guide import ENDPOINT as GUIDE
from locutory_endpoints.tables import defaults


def agents_entry(
    options: Mapping[str, Any], served: frozenset[str], *, builder: bool
) -> dict[str, Any]:
    """The entry ``agents``, which always exists (endpoints §10). The client does not offer features
    that no plugin serves, nor a builder while agents cannot be stored."""
    wanted = wanted_capabilities(options)
    capabilities = [name for name in wanted if name in served]
    entry: dict[str, Any] = {
        "userProvide": False,
        "capabilities": capabilities,
        "disableBuilder": options.get("disableBuilder") is True or not builder,
    }
    if isinstance(options.get("allowedProviders"), list):
        entry["allowedProviders"] = options["allowedProviders"]
    environments = as_mapping(options.get("statefulCodeSessions")).get("allowedEnvironments")
    if isinstance(environments, list):
        entry["statefulCodeSessions"] = {"allowedEnvironments": environments}
    return entry


def wanted_capabilities(options: Mapping[str, Any]) -> list[str]:
    """``endpoints.agents.capabilities``, else LibreChat's defaults."""
    given = options.get("capabilities")
    return list(defaults.AGENT_CAPABILITIES if given is None else map(str, given))


def place_agents(entries: dict[str, dict[str, Any]], *, ordered: bool) -> None:
    """The client opens a newcomer's first chat with the endpoint that comes first, and the
    first message must be answered: ``agents`` cannot before an agent is chosen. So it does not
    come first, unless the operator ordered the endpoints; never before the guide alone."""
    agents = entries["agents"]
    others = [entry for name, entry in entries.items() if name != "agents"]
    if entries.keys() == {"agents", GUIDE}:
        entries[GUIDE]["order"] = agents["order"] - 1
    elif others and not ordered and agents["order"] <= min(entry["order"] for entry in others):
        agents["order"] = max(entry["order"] for entry in others) + 1
