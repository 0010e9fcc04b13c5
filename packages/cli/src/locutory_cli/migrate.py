"""``locutory migrate``: convert a database of Locutory or LibreChat to the current form."""

import asyncio
import sys

import click

from locutory.config import configuration
from locutory.plugins.plugin import PHASES
from locutory.run.kernel import Kernel, build
from locutory_httpserver.logs import set_up_logs


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what is to be done; nothing is written.")
def migrate(dry_run: bool) -> None:
    """Create missing indexes and seed documents, as a start does; then change what is stored in
    an old form, which a start only warns of. May be repeated, also while a server runs."""
    set_up_logs(json=False, debug=False, quiet=True)
    kernel = build(configuration.read_sources())
    sys.exit(asyncio.run(_migrate(kernel, dry_run=dry_run)))


async def _migrate(kernel: Kernel, *, dry_run: bool) -> int:
    if dry_run:
        await kernel.lifecycle.run(PHASES[:1])
    else:
        await kernel.open()
    failed = waiting = 0
    try:
        for owner, check in kernel.contributions.checks:
            if check.migrate is None:
                continue
            name = f"{check.name} ({owner})"
            try:
                todo = await check.run()
                if todo:
                    waiting += 1
                    click.echo(f"  {name}\n    {todo if dry_run else await check.migrate()}")
            except Exception as error:
                failed += 1
                click.secho(f"  {name}\n    {type(error).__name__}: {error}", fg="red", err=True)
    finally:
        await kernel.lifecycle.undo()
    if failed:
        return 1
    click.echo("Nothing was written." if dry_run and waiting else "The database is up to date.")
    return 0
