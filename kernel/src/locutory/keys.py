"""Keys under which plugins offer and find typed services.

A promise is named by a key object and not by its Protocol: a Protocol cannot be passed as
``type[T]`` under a strict type checker, and two promises may share a Protocol.
"""

from typing import Generic, TypeVar

T = TypeVar("T")


class Service(Generic[T]):
    """Key of a service that exactly one plugin provides."""

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.summary = summary

    def __repr__(self) -> str:
        return f"Service({self.name!r})"


class Extension(Generic[T]):
    """Key of an extension point that any number of plugins fill, each entry by name."""

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.summary = summary

    def __repr__(self) -> str:
        return f"Extension({self.name!r})"


Key = Service[T] | Extension[T]
