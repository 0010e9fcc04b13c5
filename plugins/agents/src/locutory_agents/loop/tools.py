"""Tools of a turn: which are offered, and running one of them safely."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from structlog.stdlib import BoundLogger

from locutory import Services
from locutory_contracts.chat import TOOLS, Tool, ToolOutcome, Turn

OFFER_SECONDS = 30.0
"""A source that takes longer to name its tools is left out."""

MAX_TOOLS = 512

NOT_SCHEMA = "Error: Received tool input did not match expected schema\n Please fix your mistakes."


async def offered(services: Services, turn: Turn, log: BoundLogger) -> list[Tool]:
    """The tools of every source; of two with one name the first."""
    gathered = await services.gather(
        TOOLS, lambda source: source.tools(turn), timeout=OFFER_SECONDS
    )
    for name, error in gathered.failures.items():
        log.warning(
            "chat.tools_left_out", source=name, reason=f"{type(error).__name__}: {error}"[:200]
        )
    found: dict[str, Tool] = {}
    for source, tools in gathered.results.items():
        for tool in tools:
            if tool.schema.name in found:
                log.warning("chat.tool_name_taken", tool=tool.schema.name, source=source)
            elif len(found) < MAX_TOOLS:
                found[tool.schema.name] = tool
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a call. ``arguments``: as JSON text, ``reached``: the tool itself ran to
    its end, ``invalid``: the model's arguments were not usable JSON."""

    arguments: str
    output: str
    attachments: Sequence[Mapping[str, Any]] = ()
    reached: bool = True
    invalid: bool = False


def _refuse(uri: str) -> Any:
    raise ValueError(f"a tool's schema must not refer to {uri}")


def fits(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """True when arguments match a tool's JSON Schema. A schema that is broken itself is not
    enforced. Nothing is fetched, and patterns run in linear time."""
    # Loaded with the first tool call: it would cost every idle server 4 MB.
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(
            dict(schema),
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
        return bool(validator.is_valid(dict(arguments)))
    except Exception:
        return True


class ToolRunner:
    """The tools of one agent in one turn."""

    def __init__(
        self, tools: Sequence[Tool], turn: Turn, output_characters: int, log: BoundLogger
    ) -> None:
        self.tools = tools
        self._by_name = {tool.schema.name: tool for tool in tools}
        self._turn = turn
        self._limit = output_characters
        self._log = log

    async def run(self, name: str, arguments: str) -> Result:
        """Run a call. Returns its result; whatever goes wrong becomes one that the model can
        read."""
        tool = self._by_name.get(name)
        if tool is None:
            return Result(
                arguments, f"Error: there is no tool named {name[:100]!r}.", reached=False
            )
        try:
            parsed = orjson.loads(arguments) if arguments.strip() else {}
        except orjson.JSONDecodeError:
            text = "Error: the arguments are not valid JSON.\n Please fix your mistakes."
            return Result(arguments, text, invalid=True)
        if not isinstance(parsed, dict):
            return Result(arguments, NOT_SCHEMA, invalid=True)
        tidy = orjson.dumps(parsed).decode()
        if not fits(tool.schema.parameters, parsed):
            return Result(tidy, NOT_SCHEMA)
        try:
            async with asyncio.timeout(tool.timeout) as clock:
                outcome = await tool.run(parsed, self._turn)
        except TimeoutError:
            if not clock.expired():
                return self._failed(tidy, name, "TimeoutError")
            self._log.info("chat.tool_timed_out", tool=name, seconds=tool.timeout)
            text = f"Error: the tool did not answer within {tool.timeout:g} seconds."
            return Result(tidy, text, reached=False)
        except Exception as error:
            self._log.warning("chat.tool_failed", tool=name, exc_info=error)
            return self._failed(tidy, name, str(error) or type(error).__name__)
        return Result(tidy, self._cut(outcome), outcome.attachments)

    def _failed(self, arguments: str, name: str, reason: str) -> Result:
        return Result(arguments, f"Error: {name} failed: {reason[:500]}", reached=False)

    def _cut(self, outcome: ToolOutcome) -> str:
        output = outcome.output
        if len(output) <= self._limit:
            return output
        return f"{output[: self._limit]}\n[cut: {len(output)} characters in all]"
