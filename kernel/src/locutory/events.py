"""Events: a step is part of an operation and may be vetoed, a fact reports something that has
happened."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import structlog

from locutory.errors import Problem, StartupError

log = structlog.get_logger("locutory.events")


class Step:
    """Base of events named …ing: checked inside an operation. A handler that raises vetoes the
    operation; `locutory.Veto` carries the response."""


class Fact:
    """Base of events named …ed: published afterwards. Faults of handlers are logged and counted,
    and never reach the publisher.

    ``durable``: the fact is written to the outbox first, and every plugin that subscribes to it
    receives it at least once, even one that was off or failed at that time. A durable fact is a
    dataclass of JSON values. ``kept_days``: days for which it is kept for plugins that are off;
    ``None``: without limit. ``erases``: (member of this fact, member of others): publishing this
    fact deletes the facts with an expiry that have the same value there.
    """

    durable: ClassVar[bool] = False
    kept_days: ClassVar[int | None] = None
    erases: ClassVar[tuple[str, str] | None] = None


E = TypeVar("E", bound=Step | Fact)


@dataclass(frozen=True, slots=True)
class On:
    """A handler for one type of event; the hook ``subscriptions`` returns a list of these."""

    event: type[Any]
    handler: Callable[[Any], Awaitable[None]]


class Outbox(Protocol):
    """Stores durable facts and delivers them to every subscriber."""

    async def publish(
        self, event: str, payload: dict[str, Any], kept_days: int | None = None
    ) -> None: ...

    async def erase(self, member: str, value: Any) -> None: ...


class Events:
    """Publishes events to the handlers of one kernel, in plugin order."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], list[tuple[str, Callable[[Any], Awaitable[None]]]]] = (
            defaultdict(list)
        )
        self.outbox: Outbox | None = None
        self.failures: dict[str, int] = defaultdict(int)

    def subscribe(self, subscription: On, owner: str) -> None:
        """Register a handler of plugin ``owner``."""
        if not issubclass(subscription.event, Step | Fact):
            where = f"subscription to {subscription.event.__name__}"
            text = "an event derives from Step or Fact"
            raise StartupError(Problem(where, text, plugin=owner))
        self._handlers[subscription.event].append((owner, subscription.handler))

    def subscribers(self, event: type[Any]) -> list[tuple[str, Callable[[Any], Awaitable[None]]]]:
        """(plugin, handler) for each subscriber of an event type, in plugin order."""
        return list(self._handlers.get(event, ()))

    def durable_types(self) -> dict[str, type[Fact]]:
        """The durable facts that have subscribers, by class name."""
        return {
            kind.__name__: kind
            for kind in self._handlers
            if issubclass(kind, Fact) and kind.durable
        }

    async def check(self, step: Step) -> None:
        """Run the handlers of a step one after another; the first that raises vetoes it."""
        for _, handler in self._handlers.get(type(step), ()):
            await handler(step)

    async def publish(self, fact: Fact) -> None:
        """Publish a fact. Handlers run side by side; returns when all are done.

        Raises only when a durable fact cannot be stored: then nothing was published.
        """
        if fact.durable:
            if self.outbox is None:
                raise RuntimeError("durable facts need a started kernel")
            payload = asdict(fact)  # type: ignore[call-overload]
            await self.outbox.publish(type(fact).__name__, payload, fact.kept_days)
            if fact.erases is not None:
                own, others = fact.erases
                await self.outbox.erase(others, payload[own])
            return
        handlers = self._handlers.get(type(fact), ())
        if handlers:
            await asyncio.gather(
                *(self.deliver(owner, handler, fact) for owner, handler in handlers)
            )

    async def deliver(
        self, owner: str, handler: Callable[[Any], Awaitable[None]], fact: Fact
    ) -> bool:
        """Run one handler; ``False`` when it fails, which is logged and counted under its
        plugin."""
        try:
            await handler(fact)
        except Exception:
            self.failures[owner] += 1
            log.exception("event.handler_failed", plugin=owner, handled=type(fact).__name__)
            return False
        return True
