"""The registry of services and extensions of one kernel."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from locutory.errors import Problem, ServiceMissing, StartupError
from locutory.keys import Extension, Key, Service

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Provide:
    """A value offered under a key; the hook ``services`` returns a list of these.

    ``name`` is required for an `Extension` entry and ignored for a `Service`.
    """

    key: Key[Any]
    value: Any
    name: str = ""


@dataclass(slots=True)
class Gathered(Generic[R]):
    """The outcome of `Services.gather`: results and failures by entry name."""

    results: dict[str, R] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)


class Services:
    """Typed look-up of the services and extension entries of plugins. Filled at build time,
    read-only afterwards."""

    def __init__(self) -> None:
        self._single: dict[str, tuple[str, Any]] = {}
        self._many: dict[str, dict[str, tuple[str, Any]]] = {}

    def provide(self, offer: Provide, owner: str) -> None:
        """Register an offer of plugin ``owner``; a second one of the same service or entry name is
        a `StartupError`."""
        if isinstance(offer.key, Service):
            taken = self._single.get(offer.key.name)
            if taken is not None:
                text = f"provided by both '{taken[0]}' and '{owner}'"
                fix = f"switch one off: plugins.disabled: [{taken[0]}] or [{owner}]"
                raise StartupError(Problem(f"service {offer.key.name}", text, fix, owner))
            self._single[offer.key.name] = (owner, offer.value)
            return
        where, text, fix = f"extension {offer.key.name}", "", "Provide(key, value, name)"
        entries = self._many.setdefault(offer.key.name, {})
        if not offer.name:
            text = f"plugin '{owner}' offers an entry without a name"
        elif (other := entries.get(offer.name)) is not None:
            text = f"entry '{offer.name}' comes from both '{other[0]}' and '{owner}'"
            fix = "rename one entry or switch one of the plugins off"
        if text:
            raise StartupError(Problem(where, text, fix, owner))
        entries[offer.name] = (owner, offer.value)

    def find(self, key: Service[T]) -> T | None:
        """The service, or ``None`` when no enabled plugin provides it."""
        found = self._single.get(key.name)
        return None if found is None else cast(T, found[1])

    def get(self, key: Service[T]) -> T:
        """The service; raises `ServiceMissing` (503 on a request) when no enabled plugin provides
        it."""
        found = self._single.get(key.name)
        if found is None:
            raise ServiceMissing(key.name)
        return cast(T, found[1])

    def all(self, key: Extension[T]) -> Mapping[str, T]:
        """Every entry of an extension by name, in plugin order."""
        return {name: cast(T, value) for name, (_, value) in self._many.get(key.name, {}).items()}

    def named(self, key: Extension[T], name: str) -> T | None:
        """One entry of an extension, or ``None``."""
        found = self._many.get(key.name, {}).get(name)
        return None if found is None else cast(T, found[1])

    def owner(self, key: Key[Any], name: str = "") -> str | None:
        """The plugin that provides a service or an extension entry; ``None`` when there is none."""
        found = (
            self._single.get(key.name)
            if isinstance(key, Service)
            else self._many.get(key.name, {}).get(name)
        )
        return None if found is None else found[0]

    def offers(self) -> list[tuple[str, str, str]]:
        """(key name, entry name or "", plugin) of every service and extension entry, sorted."""
        single = [(name, "", owner) for name, (owner, _) in self._single.items()]
        many = [
            (name, entry, owner)
            for name, entries in self._many.items()
            for entry, (owner, _) in entries.items()
        ]
        return sorted(single + many)

    async def gather(
        self,
        key: Extension[T],
        call: Callable[[T], Awaitable[R]],
        timeout: float = 5.0,
    ) -> Gathered[R]:
        """Call every entry concurrently. One that raises or takes more than ``timeout`` seconds
        becomes a failure in the result and does not affect the others."""
        entries = self.all(key)
        outcome: Gathered[R] = Gathered()

        async def ask(entry: T) -> R:
            async with asyncio.timeout(timeout):
                return await call(entry)

        answers = await asyncio.gather(*map(ask, entries.values()), return_exceptions=True)
        for name, answer in zip(entries, answers, strict=True):
            if isinstance(answer, BaseException):
                outcome.failures[name] = answer
            else:
                outcome.results[name] = answer
        return outcome
