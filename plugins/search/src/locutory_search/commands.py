"""``locutory search status | rebuild``."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import click

from locutory import Context, encode
from locutory.commands import opened
from locutory_search.backend import Backend, IndexFailed
from locutory_search.service import SearchService

OFF = (
    "Search is switched off on this server. Unset SEARCH (with Meilisearch: set SEARCH=true) "
    "to switch it on."
)


class Commands:
    """The commands of one kernel. It is not started; only Meilisearch's positions need its
    database."""

    def __init__(self, ctx: Context, service: SearchService) -> None:
        self._ctx = ctx
        self._service = service

    def commands(self) -> list[click.Command]:
        """The commands, as the hook returns them."""
        as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")
        sure = click.Option(["--yes", "-y"], is_flag=True, help="Do not ask.")
        return [
            click.Command(
                "status",
                callback=self._status,
                params=[as_json],
                help="Show which index is used, and how much is in it.",
            ),
            click.Command(
                "rebuild",
                callback=self._rebuild,
                params=[sure],
                help="Empty the index. A running server notices within a minute and fills it "
                "again; until then less is found.",
                short_help="Build the index anew.",
            ),
        ]

    def _status(self, as_json: bool) -> None:
        found: dict[str, Any] = {}

        async def show() -> None:
            async with self._database():
                found.update(await self._backend.status())

        self._run(show())
        if as_json:
            click.echo(encode(found))
            return
        for name, value in found.items():
            shown = f"{value:,}" if isinstance(value, int) else value
            if name == "position":
                shown = ", ".join(
                    f"{kind} {'not begun' if place is None else place}"
                    for kind, place in value.items()
                )
            click.echo(f"{name:14} {shown}")

    def _rebuild(self, yes: bool) -> None:
        if not yes:
            click.confirm("Empty the index and build it anew?", abort=True, err=True)

        async def empty() -> None:
            async with self._database():
                await self._backend.rebuild()

        self._run(empty())
        click.echo("The index is empty now; a running server fills it again.")

    @property
    def _backend(self) -> Backend:
        if self._service.backend is None:
            raise click.ClickException(OFF)
        return self._service.backend

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            _ = self._backend
            asyncio.run(work)
        except (sqlite3.Error, OSError) as error:
            raise click.ClickException(f"The index cannot be used: {error}") from None
        except IndexFailed as error:
            raise click.ClickException(str(error)) from None
        finally:
            work.close()

    def _database(self) -> AbstractAsyncContextManager[None]:
        return opened(self._ctx) if self._service.config.uses_meilisearch else nullcontext()
