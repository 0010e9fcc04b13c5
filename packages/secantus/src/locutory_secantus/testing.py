"""SecantusDB for tests: without authentication, without syncing to disk, gone at the end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from locutory_secantus import guard
from locutory_testing.waiting import free_port, wait_until_it_listens


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the ``mongodb://`` URI (no database name) of an empty database server whose files
    are in ``folder``. Synchronous, so that a session fixture can hold it. ``RuntimeError`` when
    it does not start. The guard ends it with the test run, however that ends.

    ``LOCUTORY_TEST_MONGO_URI`` names another server to use, which is left as it is found."""
    given = os.environ.get("LOCUTORY_TEST_MONGO_URI", "").strip()
    if given:
        yield given
        return
    folder.mkdir(parents=True, exist_ok=True)
    output, settings, port = folder / "log", folder / "settings.toml", free_port()
    settings.touch()  # shuts out a configuration file of the user
    program = [
        str(Path(sys.executable).with_name("secantusd-py")),
        *("--config", str(settings), "--host", "127.0.0.1", "--port", str(port)),
        *("--storage-path", str(folder / "data"), "--cache-size", "256M"),
    ]
    with output.open("wb") as log:
        kept = log.fileno()
        guarded = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(kept)]
        process = subprocess.Popen(  # noqa: S603  (our own arguments)
            [*guarded, *program],
            pass_fds=(kept,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        try:
            wait_until_it_listens(process, port, "the database of the tests")
        except AssertionError as error:
            raise RuntimeError(f"{error}:\n{output.read_text()[-2000:]}") from None
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        process.kill()  # nothing in it is worth a graceful end
        process.wait()
