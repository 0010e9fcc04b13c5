"""Files that only the operating system account of the server can read."""

import os
import tempfile
from pathlib import Path


def write_private(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file that only this operating system account can read. Writing is atomic, even with a
    power failure and between processes. ``FileExistsError`` when the file exists and ``replace`` is
    not set."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)  # unlike a rename, the first of several processes wins
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        Path(name).unlink(missing_ok=True)
