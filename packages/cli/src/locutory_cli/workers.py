"""Several worker processes behind one port: their supervisor, and the application of each."""

import os
import signal
import threading
import time
from collections.abc import Callable
from socket import create_connection, socket

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from locutory.config import configuration
from locutory.errors import StartupError
from locutory.run.kernel import Kernel, build
from locutory.settings import KernelConfig
from locutory_cli.building import built
from locutory_configfile import environment_values
from locutory_httpserver.logs import set_up_logs

log = structlog.get_logger("locutory")

_SAFE = "LOCUTORY_SAFE"
_SUPERVISOR = "LOCUTORY_SUPERVISOR"
_LOOK_SECONDS = 0.5
_FORCED_SECONDS = 10.0


def prepare(*, safe: bool) -> None:
    """Set the environment variables that `create` needs in the workers."""
    os.environ[_SUPERVISOR] = str(os.getpid())
    if safe:
        os.environ[_SAFE] = "1"


def create() -> Kernel:
    """The application of one worker process."""
    _end_with(int(os.environ[_SUPERVISOR]))
    sources = configuration.read_sources()
    config = KernelConfig.model_validate(environment_values(KernelConfig, sources.environment))
    set_up_logs(json=config.console_json, debug=config.debug_logging)
    safe = bool(os.environ.get(_SAFE))
    return built(sources, safe=safe)


def _end_with(supervisor: int) -> None:
    """End this process when its supervisor has ended, for whatever reason; otherwise it would keep
    the port."""

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_FORCED_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which calls ``welcome`` once, when every worker serves requests."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket],
        welcome: Callable[[], None],
        *,
        safe: bool,
    ) -> None:
        super().__init__(config, sockets)
        self._welcome: Callable[[], None] | None = welcome
        self._safe = safe

    def handle_hup(self) -> None:
        """Replace each worker by one with the new configuration, if that is valid."""
        try:
            build(configuration.read_sources(may_bypass=False), safe=self._safe, writes=False)
        except StartupError as error:
            log.error("config.reload_refused", problems=str(error))
            return
        super().handle_hup()

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if self._welcome is None or self.should_exit.is_set():
            return
        if all(process.is_ready(timeout=1) for process in self.processes) and self._answers():
            self._welcome()
            self._welcome = None

    def _answers(self) -> bool:
        """``True`` when the worker that receives this request has finished its start."""
        host, port = self.sockets[0].getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        try:
            with create_connection((host, port), timeout=1) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False
