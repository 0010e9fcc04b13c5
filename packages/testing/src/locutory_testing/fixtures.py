"""pytest fixtures: ``databases`` (for a session) and ``serve``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from locutory_testing.database import Databases, session_databases
from locutory_testing.server import Serve

# Plain tracebacks: rich ones are pages long, and show local variables.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases that exist as long as the test session."""
    with session_databases() as opened:
        yield opened


@pytest.fixture
def serve(databases: Databases, tmp_path: Path) -> Serve:
    """Return `Serve`: ``async with serve("auth", environment={...}, yaml={...}) as server: ...``"""
    return Serve(databases, tmp_path)
