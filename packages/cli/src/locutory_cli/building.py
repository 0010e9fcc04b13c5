"""Building kernels in a process of their own: for a server, and for commands."""

import gc
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from locutory.config import configuration
from locutory.errors import Problem, StartupError
from locutory.run.kernel import Kernel, build

_TURN_SECONDS = 0.001
"""The time that the event loop waits for the interpreter while another thread computes; Python's
default is 5 ms."""

_GARBAGE = (20_000, 10, 20)


def built(sources: configuration.Sources, **options: Any) -> Kernel:
    """Build a kernel in a process that does nothing else, without garbage collection: imports leave
    no garbage, and searching for it costs a fifth of the start, and later 0.1 s at once, during
    which every stream waits."""
    gc.disable()
    try:
        return build(sources, **options)
    finally:
        tune_process()
        gc.enable()


def tune_process() -> None:
    """Reduce interruptions of the event loop: existing objects are excluded from garbage
    collection, which runs less often for new ones."""
    sys.setswitchinterval(_TURN_SECONDS)
    gc.set_threshold(*_GARBAGE)
    gc.freeze()


def without_broken(
    sources: configuration.Sources, **options: Any
) -> tuple[Kernel, tuple[Problem, ...]]:
    """A kernel for a command, without the plugins whose code fails and those that need them, and
    the problems of these. One broken plugin must not disable the commands that help to repair it; a
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
    """The configuration with some plugins switched off."""
    section = dict(yaml.get("plugins") or {})
    if section.get("enabled") is not None:
        section["enabled"] = [name for name in section["enabled"] if name not in names]
    else:
        section["disabled"] = sorted({*(section.get("disabled") or ()), *names})
    return {**yaml, "plugins": section}
