"""Names of tools (contract agents §3).

There is no list of all tools: the sources of tools know the names when a turn runs, and offer
nothing that the user may not use. So every name that could be one is kept.
"""

from collections.abc import Iterable
from typing import Any

EXECUTE_CODE = "execute_code"
LONGEST = 256
_MCP = "_mcp_"
_ACTION = "_action_"
_CODE_CALLER = "code_execution"


def kept_tools(names: Iterable[str]) -> list[str]:
    """The names that can be tools, each once, in order."""
    found = (name for name in names if 0 < len(name) <= LONGEST and name.isprintable())
    return list(dict.fromkeys(found))


def is_mcp(name: str) -> bool:
    """``True`` for a name that stands for tools of an MCP server. Names of actions end with a
    domain."""
    return _MCP in name and name.rfind(_MCP) > name.rfind(_ACTION)


def mcp_servers(names: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """The servers behind ``<tool>_mcp_<server>``, ``sys__all__sys_mcp_<server>`` and
    ``sys__server__sys_mcp_<server>``, each once. ``known`` are servers that were found
    before: a name of theirs may itself hold ``_mcp_``."""
    longest_first = sorted(known, key=len, reverse=True)
    found: dict[str, None] = {}
    for name in names:
        if is_mcp(name):
            before = (server for server in longest_first if name.endswith(_MCP + server))
            found[next(before, name.rpartition(_MCP)[2])] = None
    return [server for server in found if server]


def without_code_callers(options: dict[str, Any]) -> dict[str, Any]:
    """Options of tools, none of which may be called by code."""
    cleaned: dict[str, Any] = {}
    for tool, option in options.items():
        callers = option.get("allowed_callers") if isinstance(option, dict) else None
        if isinstance(callers, list) and _CODE_CALLER in callers:
            rest = [caller for caller in callers if caller != _CODE_CALLER]
            option = {key: value for key, value in option.items() if key != "allowed_callers"}
            if rest:
                option["allowed_callers"] = rest
        cleaned[tool] = option
    return cleaned
