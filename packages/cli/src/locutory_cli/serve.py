"""``locutory serve``: run the server, in one process or several workers."""

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from locutory import __version__
from locutory.config import configuration
from locutory.data.database import configured_address
from locutory.errors import Problem, StartupError
from locutory.http.fallback import NEXT_STEPS
from locutory.run.kernel import Kernel
from locutory.settings import KernelConfig
from locutory_cli import workers as worker_processes
from locutory_cli.building import built
from locutory_configfile import environment_values
from locutory_httpserver.logs import set_up_logs
from locutory_httpserver.protocol import Protocol

_DESCRIPTION = "/api/openapi.json"


def _uvicorn_config(app: Any, config: KernelConfig, **extra: Any) -> uvicorn.Config:
    keep_alive_ms = config.http_keep_alive_timeout_ms + config.http_keep_alive_timeout_buffer_ms
    return uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=Protocol,
        ws="none",
        lifespan="on",
        timeout_keep_alive=max(1, round(keep_alive_ms / 1000)),
        timeout_graceful_shutdown=max(1, int(config.drain_seconds)),
        **extra,
    )


def _address(config: KernelConfig, sockets: Sequence[socket.socket]) -> str:
    port = sockets[0].getsockname()[1]
    if config.host in ("0.0.0.0", "::", "127.0.0.1", "::1"):  # noqa: S104  (compared, not bound)
        return f"http://localhost:{port}"
    return (
        f"http://[{config.host}]:{port}" if ":" in config.host else f"http://{config.host}:{port}"
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which ends with status 0 when a signal ended it, and calls ``welcome`` when
    it is open and the kernel ready."""

    def __init__(self, config: uvicorn.Config, welcome: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._welcome = welcome
        self._ready = False

    def ready(self) -> None:
        """Note that the kernel has finished its start; call ``welcome`` if the sockets are open."""
        self._ready = True
        if self.started:
            self._saying = asyncio.ensure_future(self._welcome())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready:
            await self._welcome()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves without it, and the database would stay open
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()  # else uvicorn sends itself the signal again


def _welcome(kernel: Kernel, address: str, steps: Sequence[str] = ()) -> None:
    """Print the address of the server and the next steps, when it is ready."""
    uri = configured_address(kernel.config)
    place = kernel.data_dir if uri == "sqlite:" else uri.partition("?")[0]
    database = "MongoDB at MONGO_URI" if uri.startswith("mongodb") else f"built in, {place}"
    click.echo(err=True)
    click.secho(f"  Locutory {__version__} is ready", fg="green", bold=True, err=True)
    click.echo(f"    open       {address}", err=True)
    if kernel.routes.match("GET", _DESCRIPTION) is not None:
        click.echo(f"    API        {address}{_DESCRIPTION}", err=True)
    click.echo(f"    database   {database}", err=True)
    names = ", ".join(plugin.name for plugin in kernel.plugins)
    click.echo(f"    plugins    {names or 'none'}", err=True)
    click.echo(err=True)
    for step in steps:
        click.echo(f"  Next: {step}.", err=True)
    click.echo("  Stop with Ctrl-C.", err=True)
    click.echo(err=True)


async def _next_steps(kernel: Kernel) -> list[str]:
    """The next steps for the operator according to plugins; those of a plugin that fails are
    missing."""
    gathered = await kernel.services.gather(NEXT_STEPS, lambda step: step(), timeout=5)
    return [step for step in gathered.results.values() if step]


class WholeNumber(click.IntRange):
    """``click.IntRange`` with the name "whole number" in its messages, instead of "integer
    range"."""

    name = "whole number"


@click.command()
@click.option(
    "--workers",
    type=WholeNumber(1, 64),
    default=1,
    show_default=True,
    help="Processes to run; more than one needs USE_REDIS.",
)
@click.option("--host", help="Address to listen on (HOST).")
@click.option("--port", type=WholeNumber(0, 65535), help="Port to listen on (PORT).")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the built-in database and secrets (LOCUTORY_DATA_DIR).",
)
@click.option("--safe", is_flag=True, help="Load only the plugins that Locutory ships.")
def serve(
    workers: int, host: str | None, port: int | None, data_dir: Path | None, safe: bool
) -> None:
    """Run the server."""
    given = {"HOST": host, "PORT": port, "LOCUTORY_DATA_DIR": data_dir}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    sources = configuration.read_sources()
    try:
        values = environment_values(KernelConfig, sources.environment)
        config = KernelConfig.model_validate(values)
    except ValueError:
        # The full check of `build` reports this together with everything else.
        config = KernelConfig()
    set_up_logs(json=config.console_json, debug=config.debug_logging)
    sockets = _bind(config)
    if workers > 1:
        _run_workers(sources, config, sockets, workers, safe)
        return
    _run(sources, config, sockets, safe)


def _run(
    sources: configuration.Sources,
    config: KernelConfig,
    sockets: list[socket.socket],
    safe: bool,
) -> None:
    kernel = built(sources, safe=safe)

    async def welcome() -> None:
        _welcome(kernel, _address(config, sockets), await _next_steps(kernel))

    server = _Server(_uvicorn_config(kernel, config), welcome)
    kernel.on_ready = server.ready
    try:
        server.run(sockets)
    except SystemExit:
        if kernel.failure is None:
            raise
    if isinstance(kernel.failure, StartupError):
        raise kernel.failure
    if kernel.failure is not None or server.force_exit:
        sys.exit(1)


def _bind(config: KernelConfig) -> list[socket.socket]:
    """Sockets for every address of ``HOST``, opened before anything is started. `StartupError` when
    that fails."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            port = sockets[0].getsockname()[1] if sockets else config.port
            try:
                sockets.append(_bind_one(family, (address[0], port, *address[2:]), config.host))
            except OSError as error:
                # 'localhost' may name an IPv6 address that the machine does not have.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for sock in sockets:
            sock.close()
        fix = "set HOST to an address of this machine, or to 0.0.0.0 for all of them"
        if error.errno == errno.EADDRINUSE:
            port = _free_port(config.host)
            fix = f"stop the other server, or choose another port: PORT={port} or --port {port}"
        elif error.errno == errno.EACCES:
            fix = "choose a port above 1023: PORT=3080 or --port 3080"
        raise StartupError(
            Problem(f"{config.host}:{config.port}", f"cannot listen here: {error.strerror}", fix)
        ) from None
    return sockets


def _free_port(host: str) -> int:
    """The first port from 3081 to 3180 that is free; 0 when there is none."""
    for port in range(3081, 3181):
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            return port
    return 0


def _bind_one(family: int, address: tuple[Any, ...], host: str) -> socket.socket:
    # Named as TCP, so that asyncio switches Nagle's delay off.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        sock.bind(address)
        sock.set_inheritable(True)
    except OSError:
        sock.close()
        raise
    return sock


def _run_workers(
    sources: configuration.Sources,
    config: KernelConfig,
    sockets: list[socket.socket],
    workers: int,
    safe: bool,
) -> None:
    if not config.use_redis:
        raise StartupError(
            Problem(
                "--workers",
                f"{workers} workers cannot share streams, limits and caches without Redis",
                "set USE_REDIS=true and REDIS_URI, or run one worker",
            )
        )
    kernel = built(sources, safe=safe)  # reports a wrong configuration once, before any worker
    worker_processes.prepare(safe=safe)
    settings = _uvicorn_config("locutory_cli.workers:create", config, factory=True, workers=workers)
    supervisor = worker_processes.Supervisor(
        settings, sockets, lambda: _welcome(kernel, _address(config, sockets)), safe=safe
    )
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(1)
