"""``locutory database``: copy a database to another one, back it up, restore it, look for damage."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from pymongo.errors import PyMongoError

from locutory import configuration
from locutory.errors import Problem, StartupError
from locutory.kernel import default_data_dir
from locutory.openers import configured_address, open_database
from locutory.settings import KernelConfig, environment_values
from locutory_transfer import Progress, TransferError, backup, check, copy, count, restore

_ACCOUNT = re.compile(r"//[^/@]*@")
_NAME = "LibreChat"
Work = Callable[["Opening"], Coroutine[Any, Any, int]]


class Opening:
    """Opens the databases of a command, and shows how far it is."""

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

    def named(self, address: str | None) -> str:
        """An address, or the configured one, without its password."""
        return _ACCOUNT.sub("//", address or configured_address(self._config))

    @contextlib.asynccontextmanager
    async def database(
        self, address: str | None = None, *, create: bool = False
    ) -> AsyncIterator[Any]:
        """The database of an address, or the configured one."""
        client = await open_database(self._config, self._data_dir, address=address, create=create)
        try:
            yield client.get_default_database(_NAME)
        finally:
            await client.close()

    def show(self, progress: Progress) -> None:
        """The last line, written over again on a terminal."""
        if not self._terminal:
            return
        done = f"{progress.done:,} of {max(progress.done, progress.total):,}"
        click.echo(f"\r\x1b[K  {progress.stage} {progress.collection}: {done}", nl=False, err=True)

    def clear(self) -> None:
        """Take that line away."""
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
        raise click.ClickException(f"The database does not answer: {error}") from None
    sys.exit(code)


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


@click.group()
def database() -> None:
    """Copy, back up, restore and check the database.

    An ADDRESS is what MONGO_URI takes: sqlite: (the built-in database), sqlite:/path/to/file,
    mongodb://host:27017/LibreChat.
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
        if opening.named(source) == opening.named(target):
            raise click.UsageError("FROM and TO are the same database")
        async with (
            opening.database(source) as given,
            opening.database(target, create=True) as taken,
        ):
            origin = opening.named(source)
            report = await copy(
                given, taken, origin=origin, skip_damaged=skip_damaged, progress=opening.show
            )
        opening.clear()
        _say(report.lines())
        if report.complete:
            what, color = ("What can be read", "yellow") if report.damaged else ("All", "green")
            click.secho(f"{what} of {origin} is in {opening.named(target)}.", fg=color)
        return 0 if report.complete else 1

    _run(work)


@database.command("check")
@click.argument("address", required=False)
def check_command(address: str | None) -> None:
    """Look for damage: in the file, the documents, and the indexes."""

    async def work(opening: Opening) -> int:
        async with opening.database(address) as given:
            faults = await check(given)
            # Where something is damaged, to count may fail as well, and tells nothing.
            with contextlib.suppress(*([PyMongoError] if faults else [])):
                amounts = await count(given)
                _say([f"{name}: {number:,}" for name, number in sorted(amounts.items())])
        for fault in faults:
            click.secho(fault, fg="red", err=True)
        if not faults:
            click.secho(f"{opening.named(address)} is sound.", fg="green")
        return 1 if faults else 0

    _run(work)


@database.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace a file of that name.")
@click.option("--address", help="Another database than the configured one.")
def backup_command(file: Path, replace: bool, address: str | None) -> None:
    """Write everything into one FILE, while the server runs.

    The file can be restored into any database that Locutory knows. It holds everything that
    users wrote; the keys to what is encrypted are not in it (docs/database.md).
    """

    async def work(opening: Opening) -> int:
        async with opening.database(address) as given:
            report = await backup(given, file, replace=replace, progress=opening.show)
        opening.clear()
        _say(report.lines())
        return 0

    _run(work)


@database.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace collections that are in FILE.")
@click.option("--address", help="Another database than the configured one.")
def restore_command(file: Path, replace: bool, address: str | None) -> None:
    """Fill an empty database with a FILE that `backup` made. Stop the server first."""

    async def work(opening: Opening) -> int:
        async with opening.database(address, create=True) as given:
            report = await restore(given, file, replace=replace, progress=opening.show)
        opening.clear()
        _say(report.lines())
        click.secho(f"{file} is in {opening.named(address)}.", fg="green")
        return 0

    _run(work)
