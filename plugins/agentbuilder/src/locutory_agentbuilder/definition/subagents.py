"""Agents that an agent may start: single ones, and graphs of them (contract agents §7)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from locutory_agentbuilder.definition.edge_endpoints import EdgeEndpoints, as_list

MOST_SUBAGENTS = 10
MOST_MEMBERS = 32
MOST_AGENTS = 50
_RESERVED = frozenset({"__start__", "__end__", "messages", "agentMessages", "subagentResult"})
_SELF = "self"

AgentId = Annotated[str, StringConstraints(max_length=256)]
_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class GraphEdge(BaseModel):
    """Agents of a graph that run before others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    from_: EdgeEndpoints = Field(alias="from")
    to: EdgeEndpoints
    description: str | None = Field(None, max_length=2048)
    edgeType: Literal["direct"]  # noqa: N815
    prompt: str | None = Field(None, max_length=65536)
    excludeResults: bool | None = None  # noqa: N815


class Graph(BaseModel):
    """Several agents that work as one: from the entry to the result."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: _Word
    name: _Word
    description: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048)
    ]
    agent_ids: list[AgentId] = Field(min_length=1, max_length=MOST_MEMBERS)
    edges: list[GraphEdge] = Field(max_length=MOST_MEMBERS * MOST_MEMBERS)
    entry_agent_id: AgentId
    result_agent_id: AgentId


class Subagents(BaseModel):
    """``subagents`` of an agent."""

    model_config = ConfigDict(extra="ignore", strict=True)

    enabled: bool | None = None
    allowSelf: bool | None = None  # noqa: N815
    agent_ids: list[AgentId] | None = Field(None, max_length=MOST_SUBAGENTS)
    graphs: list[Graph] | None = Field(None, max_length=MOST_SUBAGENTS)


def check_subagents(subagents: Subagents) -> None:
    """``ValueError`` with the reason when types clash, there are too many agents, or a graph
    cannot run. Ids must be final: ``""`` is nobody."""
    taken = set(subagents.agent_ids or ())
    agents = set(taken)
    if subagents.allowSelf is not False:
        taken.add(_SELF)
    for graph in subagents.graphs or ():
        if graph.type in taken:
            raise ValueError("Graph subagent types must be unique across all spawn targets")
        taken.add(graph.type)
        agents.update(graph.agent_ids)
        _check_graph(graph)
    if len(agents) > MOST_AGENTS:
        raise ValueError(
            f"Subagent configuration exceeds the maximum of {MOST_AGENTS} unique agents"
        )


def _check_graph(graph: Graph) -> None:
    def wrong(reason: str) -> ValueError:
        return ValueError(f'Graph subagent "{graph.type}" {reason}')

    members = set(graph.agent_ids)
    if len(members) != len(graph.agent_ids):
        raise wrong("contains duplicate member IDs.")
    for member in graph.agent_ids:
        if not member or member in _RESERVED or "|" in member or ":" in member:
            raise wrong(f'member "{member}" is reserved by the graph runtime.')
    if not {graph.entry_agent_id, graph.result_agent_id} <= members:
        raise wrong("entry and result must reference configured members.")
    after: dict[str, set[str]] = {member: set() for member in graph.agent_ids}
    groups: dict[str, list[list[str]]] = {member: [] for member in graph.agent_ids}
    for edge in graph.edges:
        sources, targets = as_list(edge.from_), as_list(edge.to)
        if _repeats(sources) or _repeats(targets):
            raise wrong("edge endpoints must be unique.")
        if edge.excludeResults and not edge.prompt:
            raise wrong("cannot exclude results without an edge prompt.")
        if edge.prompt and len(targets) != 1:
            raise wrong("prompted edges must have one destination.")
        for member in (*sources, *targets):
            if member not in members:
                raise wrong(f'references unknown member "{member}".')
        for target in targets:
            groups[target].append(sources)
            for source in sources:
                if source == target:
                    raise wrong("cannot contain self-edges.")
                if target in after[source]:
                    raise wrong("contains duplicate edges.")
                after[source].add(target)
    for target, incoming in groups.items():
        if len(incoming) > 1:
            raise wrong(f'fan-in to "{target}" must use one array-valued source edge.')
    _check_flow(graph, after, groups, wrong)


def _check_flow(
    graph: Graph,
    after: dict[str, set[str]],
    groups: dict[str, list[list[str]]],
    wrong: Callable[[str], ValueError],
) -> None:
    sources = {member: {name for group in groups[member] for name in group} for member in groups}
    if [member for member in graph.agent_ids if not sources[member]] != [graph.entry_agent_id]:
        raise wrong("must use entry_agent_id as its only root.")
    if [member for member in graph.agent_ids if not after[member]] != [graph.result_agent_id]:
        raise wrong("must use result_agent_id as its only sink.")
    waiting = {member: len(names) for member, names in sources.items()}
    ready, seen = [graph.entry_agent_id], 0
    while ready:
        seen += 1
        for target in after[ready.pop()]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if seen != len(graph.agent_ids):
        raise wrong("must be acyclic and fully connected.")
    is_chain = all(
        len(after[member]) <= 1 and len(sources[member]) <= 1 for member in graph.agent_ids
    )
    prompted = (as_list(edge.to)[0] for edge in graph.edges if edge.prompt)
    if not is_chain and any(target != graph.result_agent_id for target in prompted):
        raise wrong("prompts in a branched graph must target result_agent_id.")


def _repeats(names: Sequence[str]) -> bool:
    return len(set(names)) != len(names)


def referenced(subagents: object) -> Iterable[str]:
    """The ids of all agents that stored subagents name; malformed ones are ignored."""
    if not isinstance(subagents, dict):
        return
    yield from _texts(subagents.get("agent_ids"))
    graphs = subagents.get("graphs")
    for graph in graphs if isinstance(graphs, list) else ():
        if isinstance(graph, dict):
            yield from _texts(graph.get("agent_ids"))


def _texts(value: object) -> Iterable[str]:
    return (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
