"""What commands of plugins need besides `locutory`: the database of a deployment beside its running
server, and kernels of their own."""

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
    """The database of a kernel that is not started; a running server goes on beside it.
    `click.ClickException` when it does not answer."""
    try:
        ctx.database.use(await open_database(ctx.kernel, ctx.data_dir, create=False))
        try:
            yield
        finally:
            await ctx.database.close()
    except PyMongoError as error:
        raise fault(error) from None


def fault(error: PyMongoError) -> click.ClickException:
    """What a command says and ends with when the database fails."""
    if advice := advice_of(error):
        return click.ClickException(f"{error}\n  → {advice}")
    return click.ClickException(f"The database does not answer: {error}")
