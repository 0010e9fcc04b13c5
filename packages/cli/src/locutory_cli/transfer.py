"""``locutory database``: copy, back up, restore and check a database."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pymongo.errors import PyMongoError

from locutory.commands import fault
from locutory.config import configuration
from locutory.data.database import configured_address, open_database
from locutory.errors import Problem, StartupError
from locutory.run.kernel import default_data_dir
from locutory.settings import KernelConfig
from locutory_configfile import environment_values
from locutory_transfer import Progress, TransferError, backup, check, copy, count, restore

_ACCOUNT = re.compile(r"//[^/@]*@")
_NAME = "LibreChat"
Work = Callable[["Opening"], Coroutine[Any, Any, int]]
_ADDRESS = click.option(
    "--address", metavar="ADDRESS", help="Another database than the configured one."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database, and its ``name`` for messages: a file, or an address without its
    credentials."""

    database: Any
    name: str


class Opening:
    """Opens the databases of a command, and shows its progress."""

    def __init__(self) -> None:
        sources = configuration.read_sources()
        values = environment_values(KernelConfig, sources.environment)
        try:
            self._config = KernelConfig.model_validate(values)
        except ValueError as error:
            fix = "locutory config check shows all that is wrong"
            raise StartupError(Problem("the settings", str(error), fix)) from None
        self._data_dir = self._config.data_dir or default_data_dir(sources.environment)
        self._terminal = sys.stderr.isatty()

    @contextlib.asynccontextmanager
    async def database(
        self, address: str | None, word: str = "--address", *, create: bool = False
    ) -> AsyncIterator[Opened]:
        """The database of an address, or the configured one. ``word``: the argument with the
        address, which a `StartupError` names."""
        try:
            client: Any = await open_database(
                self._config, self._data_dir, address=address, create=create
            )
        except StartupError as error:
            raise StartupError(
                [
                    replace(each, where=word) if each.where == "the address" else each
                    for each in error.problems
                ]
            ) from None
        try:
            # Not hasattr(client, …): for the driver every name is a database's.
            known = hasattr(type(client), "path")
            place = str(client.path) if known else address or configured_address(self._config)
            yield Opened(client.get_default_database(_NAME), _ACCOUNT.sub("//", place))
        finally:
            await client.close()

    def show(self, progress: Progress) -> None:
        """Overwrite the last line on a terminal with the progress."""
        if not self._terminal:
            return
        done = f"{progress.done:,} of {max(progress.done, progress.total):,}"
        click.echo(f"\r\x1b[K  {progress.stage} {progress.collection}: {done}", nl=False, err=True)

    def clear(self) -> None:
        """Clear that line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


def _run(work: Work) -> None:
    opening = Opening()
    try:
        code = asyncio.run(work(opening))
    except TransferError as error:
        opening.clear()
        raise click.ClickException(str(error)) from None
    except PyMongoError as error:
        opening.clear()
        raise fault(error) from None
    sys.exit(code)


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


@click.group()
def database() -> None:
    """Copy, back up, restore and check the database.

    An ADDRESS, as well as FROM and TO, is what MONGO_URI takes: sqlite: (the built-in database),
    sqlite:/path/to/file, mongodb://host:27017/LibreChat.
    """


@database.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--skip-damaged", is_flag=True, help="Leave out what cannot be read, and name it.")
def copy_command(source: str, target: str, skip_damaged: bool) -> None:
    """Copy everything from one database to an empty one.

    FROM and TO are addresses. What was broken off is taken up by the same command, and so is
    what has changed meanwhile; stop the server for the last time that you run it. Counts and
    hashes of all documents are compared in the end.
    """

    async def work(opening: Opening) -> int:
        async with (
            opening.database(source, "FROM") as given,
            opening.database(target, "TO", create=True) as taken,
        ):
            if given.name == taken.name:
                raise click.UsageError(f"FROM and TO are the same database: {given.name}")
            report = await copy(
                given.database,
                taken.database,
                origin=given.name,
                skip_damaged=skip_damaged,
                progress=opening.show,
            )
        opening.clear()
        _say(report.lines())
        if report.complete:
            what, color = ("What can be read", "yellow") if report.damaged else ("All", "green")
            click.secho(f"{what} of {given.name} is in {taken.name}.", fg=color)
        return 0 if report.complete else 1

    _run(work)


@database.command("check")
@_ADDRESS
def check_command(address: str | None) -> None:
    """Look for damage: in the file, the documents, and the indexes."""

    async def work(opening: Opening) -> int:
        async with opening.database(address) as given:
            faults = await check(given.database)
            # Where something is damaged, to count may fail as well, and tells nothing.
            with contextlib.suppress(*([PyMongoError] if faults else [])):
                amounts = await count(given.database)
                _say([f"{name}: {number:,}" for name, number in sorted(amounts.items())])
        for found in faults:
            click.secho(found, fg="red", err=True)
        if not faults:
            click.secho(f"{given.name} is sound.", fg="green")
        return 1 if faults else 0

    _run(work)


@database.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace a file of that name.")
@_ADDRESS
def backup_command(file: Path, replace: bool, address: str | None) -> None:
    """Write everything into one FILE, while the server runs.

    The file can be restored into any database that Locutory knows. It holds everything that
    users wrote; the keys to what is encrypted are not in it (docs/database.md).
    """

    async def work(opening: Opening) -> int:
        async with opening.database(address) as given:
            report = await backup(given.database, file, replace=replace, progress=opening.show)
        opening.clear()
        _say(report.lines())
        return 0

    _run(work)


@database.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace collections that are in FILE.")
@_ADDRESS
def restore_command(file: Path, replace: bool, address: str | None) -> None:
    """Fill an empty database with a FILE that `backup` made. Stop the server first."""

    async def work(opening: Opening) -> int:
        async with opening.database(address, create=True) as given:
            report = await restore(given.database, file, replace=replace, progress=opening.show)
        opening.clear()
        _say(report.lines())
        click.secho(f"{file} is in {given.name}.", fg="green")
        return 0

    _run(work)
