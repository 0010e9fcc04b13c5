"""Kernels of a process: for a server, and for commands."""

import gc
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from locutory.config import configuration
from locutory.errors import Problem, StartupError
from locutory.run.kernel import Kernel, build

_TURN_SECONDS = 0.001
"""How long the event loop waits for its turn beside a thread that computes; 5 ms is usual."""

_GARBAGE = (20_000, 10, 20)


def built(sources: configuration.Sources, **options: Any) -> Kernel:
    """A kernel for a process that does nothing else. Nothing of what is imported is garbage: to
    look for it costs a fifth of the start, and later 0.1 s at once, while every stream waits."""
    gc.disable()
    try:
        return build(sources, **options)
    finally:
        tune_process()
        gc.enable()


def tune_process() -> None:
    """Let the interpreter interrupt the event loop seldom: what is there now is never looked
    through for garbage, and the documents of a long list not as often as they come."""
    sys.setswitchinterval(_TURN_SECONDS)
    gc.set_threshold(*_GARBAGE)
    gc.freeze()


def without_broken(
    sources: configuration.Sources, **options: Any
) -> tuple[Kernel, tuple[Problem, ...]]:
    """A kernel for a command, without the plugins whose code fails and those that need them, and
    what is wrong with these. One broken plugin must not blind the commands that would help; a
    server does not start with it."""
    left_out: list[Problem] = []
    while True:
        try:
            return build(sources, **options), tuple(left_out)
        except StartupError as error:
            broken = {
                problem.plugin
                for problem in error.problems
                if problem.where == f"plugin {problem.plugin}"
                or (left_out and problem.where.startswith("service "))
            }
            known = {problem.plugin for problem in left_out}
            if not broken or broken <= known:
                raise
            left_out += error.problems
            sources = replace(sources, yaml=_without(sources.yaml, broken))


def _without(yaml: Mapping[str, Any], names: set[str]) -> Mapping[str, Any]:
    """The configuration with plugins switched off."""
    section = dict(yaml.get("plugins") or {})
    if section.get("enabled") is not None:
        section["enabled"] = [name for name in section["enabled"] if name not in names]
    else:
        section["disabled"] = sorted({*(section.get("disabled") or ()), *names})
    return {**yaml, "plugins": section}
