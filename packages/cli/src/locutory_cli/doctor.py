"""``locutory doctor``: check a deployment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from locutory.config import configuration
from locutory.errors import StartupError, advice_of
from locutory.plugins.plugin import PHASES
from locutory.run.kernel import Kernel, build
from locutory_httpserver.logs import set_up_logs


@click.command()
def doctor() -> None:
    """Start everything once, ask every plugin how it is, and stop again. A running server goes
    on."""
    set_up_logs(json=False, debug=False, quiet=True)
    kernel = build(configuration.read_sources(), writes=False)
    sys.exit(asyncio.run(_examine(kernel)))


async def _examine(kernel: Kernel) -> int:
    click.echo(f"python {sys.version.split()[0]}, data in {kernel.data_dir}")
    faults = 0

    async def look(
        name: str, run: Callable[[], Awaitable[str | None]], *, advisory: bool = False
    ) -> None:
        nonlocal faults
        try:
            advice = await run()
        except StartupError as error:
            advice = "; ".join(f"{problem.text} → {problem.fix}" for problem in error.problems)
        except Exception as error:
            fix = advice_of(error)
            advice = f"{error} → {fix}" if fix else f"{type(error).__name__}: {error}"
        faults += advice is not None and not advisory
        mark = click.style("ok   ", fg="green")
        if advice is not None:
            mark = click.style("note ", fg="yellow") if advisory else click.style("wrong", fg="red")
        click.echo(f"  {mark}  {name}" + (f"\n         {advice}" if advice else ""))

    for warning in [*kernel.configuration.warnings, *kernel.configuration.notes]:
        click.echo(f"  {click.style('note ', fg='yellow')}  {warning}")

    async def connect() -> None:
        await kernel.lifecycle.run(PHASES[:1])

    both = "database and Redis answer" if kernel.config.use_redis else "database answers"
    await look(both, connect)
    if not faults:
        client: Any = kernel.database.client
        # Not hasattr(client, …): for the driver every name is a database's.
        if hasattr(type(client), "check_writing"):
            await look("database can be written", client.check_writing)
        for owner, check in kernel.contributions.checks:
            await look(f"{check.name} ({owner})", check.run, advisory=check.advisory)
    await look("reverse proxies, as the server met them", kernel.dispatcher.proxy_watch.advice)
    await kernel.lifecycle.undo()
    click.echo("All is well." if not faults else f"{faults} thing(s) to look at.")
    return 1 if faults else 0
