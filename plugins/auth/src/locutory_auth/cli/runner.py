"""The database of the deployment, opened for one command."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import click
from pymongo.errors import PyMongoError

from locutory import HTTPError
from locutory.commands import PHASES, Kernel, build, set_up_logs
from locutory_auth.container import Container

T = TypeVar("T")


def run(work: Callable[[Container], Awaitable[T]], *, prepare: bool = False) -> T:
    """Do ``work`` with the plugin's objects on an open database. ``prepare`` creates missing
    indexes first, for work that may be the first on a new database."""
    set_up_logs(json=False, debug=False, quiet=True)
    try:
        return asyncio.run(_run(work, prepare))
    except PyMongoError as error:
        raise click.ClickException(f"the database does not answer: {error}") from None
    except HTTPError as refusal:  # a plugin's veto, or its service is missing
        raise click.ClickException(_message_of(refusal)) from None


def _message_of(refusal: HTTPError) -> str:
    body = refusal.body
    return str(body.get("message") or body) if isinstance(body, Mapping) else str(body)


async def _run(work: Callable[[Container], Awaitable[T]], prepare: bool) -> T:
    kernel = build(writes=prepare)  # a server may be running
    container = _container(kernel)
    container.revocations.for_a_command()
    try:
        await kernel.lifecycle.run(PHASES[: 2 if prepare else 1])
        result = await work(container)
        await container.mailer.drain()
        return result
    finally:
        container.passwords.close()
        await kernel.lifecycle.undo()


def _container(kernel: Kernel) -> Container:
    for plugin in kernel.plugins:
        container = getattr(plugin, "container", None)
        if isinstance(container, Container):
            return container
    raise click.ClickException("the plugin 'auth' is switched off")
