"""Agents that an agent refers to: in edges, and as subagents (contract agents §5, §7)."""

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from locutory_agentbuilder.definition.edge_endpoints import as_list, replaced
from locutory_agentbuilder.definition.issues import Invalid, issues_of
from locutory_agentbuilder.definition.subagents import Subagents, check_subagents, referenced

ITSELF = ""
"""The id that a client writes for the agent that it is about to create."""


def in_edges(edges: Any) -> list[str]:
    """The ids that edges name, each once."""
    found: dict[str, None] = {}
    for edge in edges if isinstance(edges, list) else ():
        if isinstance(edge, dict):
            found.update(dict.fromkeys((*as_list(edge.get("from")), *as_list(edge.get("to")))))
    return list(found)


def in_subagents(subagents: Any) -> list[str]:
    """The ids that subagents name, each once; none unless they are switched on."""
    if not isinstance(subagents, dict) or subagents.get("enabled") is not True:
        return []
    return list(dict.fromkeys(referenced(subagents)))


def point_to(edges: Any, old: str, new: str) -> list[Any]:
    """Edges with an id in the place of another. Of `ITSELF` only sources count."""
    moved = []
    for edge in edges if isinstance(edges, list) else ():
        if isinstance(edge, dict):
            edge = {**edge, "from": replaced(edge.get("from"), old, new)}
            if old != ITSELF:
                edge["to"] = replaced(edge.get("to"), old, new)
        moved.append(edge)
    return moved


def without_agents(edges: Any, gone: Collection[str]) -> list[Any]:
    """Edges without some agents; an edge that loses a side goes."""
    left = []
    for edge in edges if isinstance(edges, list) else ():
        if not isinstance(edge, dict):
            continue
        sides = {side: _without(edge.get(side), gone) for side in ("from", "to")}
        if all(sides.values()):
            left.append({**edge, **sides})
    return left


def _without(ends: Any, gone: Collection[str]) -> Any:
    if isinstance(ends, list):
        return [end for end in ends if end not in gone]
    return None if ends in gone else ends


def subagents_pointing_to(subagents: Any, old: str, new: str) -> dict[str, Any]:
    """Subagents with an id in the place of another in their graphs, checked as a whole.
    `Invalid` when they cannot run."""
    moved = dict(subagents) if isinstance(subagents, dict) else {}
    if isinstance(moved.get("graphs"), list):
        moved["graphs"] = [_graph_pointing_to(graph, old, new) for graph in moved["graphs"]]
    try:
        found = Subagents.model_validate(moved)
        check_subagents(found)
    except ValidationError as error:
        raise Invalid(issues_of(error.errors(include_url=False))) from None
    except ValueError as error:
        issue = {"code": "custom", "message": str(error), "path": ["subagents", "graphs"]}
        raise Invalid([issue]) from None
    return found.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


def _graph_pointing_to(graph: Any, old: str, new: str) -> Any:
    if not isinstance(graph, dict):
        return graph
    edges = graph.get("edges")
    moved = {
        **graph,
        "agent_ids": replaced(graph.get("agent_ids"), old, new),
        "entry_agent_id": replaced(graph.get("entry_agent_id"), old, new),
        "result_agent_id": replaced(graph.get("result_agent_id"), old, new),
    }
    if isinstance(edges, list):
        moved["edges"] = [
            {
                **edge,
                "from": replaced(edge.get("from"), old, new),
                "to": replaced(edge.get("to"), old, new),
            }
            if isinstance(edge, dict)
            else edge
            for edge in edges
        ]
    return moved
