"""The database of a command."""

import contextlib
from collections.abc import AsyncIterator

import click
from pymongo.errors import PyMongoError

from locutory.context import Context
from locutory.database import open_database
from locutory.errors import advice_of


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
