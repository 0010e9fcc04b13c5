"""Helpers for the commands of plugins, beside `locutory`: opening the database of a deployment
while its server runs, and building a kernel of one's own."""

import contextlib
from collections.abc import AsyncIterator

import click
from pymongo.errors import PyMongoError

from locutory.config.configuration import read_sources
from locutory.data.database import open_database
from locutory.errors import advice_of
from locutory.plugins.context import Context
from locutory.plugins.plugin import PHASES
from locutory.run.kernel import Kernel, build
from locutory_httpserver.logs import set_up_logs

__all__ = ["PHASES", "Kernel", "build", "fault", "opened", "read_sources", "set_up_logs"]


@contextlib.asynccontextmanager
async def opened(ctx: Context) -> AsyncIterator[None]:
    """Open the database of a kernel that is not started, and close it at the end; a running server
    is not disturbed. Raises `click.ClickException` when the database does not answer."""
    try:
        ctx.database.use(await open_database(ctx.kernel, ctx.data_dir, create=False))
        try:
            yield
        finally:
            await ctx.database.close()
    except PyMongoError as error:
        raise fault(error) from None


def fault(error: PyMongoError) -> click.ClickException:
    """The exception with which a command ends when the database fails: the error and, where it has
    one, its advice."""
    if advice := advice_of(error):
        return click.ClickException(f"{error}\n  → {advice}")
    return click.ClickException(f"The database does not answer: {error}")
