"""The database of the deployment, opened for one command."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from locutory import configuration
from locutory.kernel import Kernel, build, default_data_dir
from locutory.logs import set_up_logs
from locutory.plugin import PHASES
from locutory_auth.parts import Parts

T = TypeVar("T")


def run(work: Callable[[Parts], Awaitable[T]], *, prepare: bool = False) -> T:
    """Do ``work`` with the plugin's objects on an open database. ``prepare`` creates missing
    indexes first, for work that may be the first on a new database."""
    set_up_logs(json=False, debug=False, quiet=True)
    return asyncio.run(_run(work, prepare))


async def _run(work: Callable[[Parts], Awaitable[T]], prepare: bool) -> T:
    kernel = await _kernel()
    parts = _parts(kernel)
    try:
        await kernel.lifecycle.run(PHASES[: 2 if prepare else 1])
        result = await work(parts)
        await parts.postbox.drain()
        return result
    finally:
        parts.passwords.close()
        await kernel.lifecycle.undo()


def _parts(kernel: Kernel) -> Parts:
    from locutory_auth.plugin import AuthPlugin  # which imports the commands

    for plugin in kernel.plugins:
        if isinstance(plugin, AuthPlugin):
            return plugin.parts
    raise click.ClickException("the plugin 'auth' is switched off")


async def _kernel() -> Kernel:
    """The deployment's kernel. The embedded database belongs to one server; while that runs,
    the command uses it too."""
    sources = configuration.read_sources()
    uri = sources.environment.get("MONGO_URI", "").strip().lower()
    if uri in ("", "embedded:") and sys.platform != "win32":
        running = await _running(default_data_dir(sources.environment))
        if running is not None:
            return build(sources, database_uri=running)
    return build(sources)


async def _running(data_dir: Path) -> str | None:
    """The address of the embedded database, if a server has it running."""
    from locutory.embedded import NAME, USER  # not on every system
    from locutory.embedded.folder import Folder, knock
    from locutory.embedded.programs import HOST

    folder = Folder(data_dir)
    password = folder.password()
    try:
        process, port = folder.database_lock.named()
    except OSError:
        return None
    if not (password and process and port and await knock(port)):
        return None
    options = "directConnection=true&authSource=admin"
    return f"mongodb://{USER}:{password}@{HOST}:{port}/{NAME}?{options}"
