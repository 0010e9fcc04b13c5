"""pytest fixtures: ``database_uri`` (one embedded database a session) and ``serve``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from locutory.testing.database import session_database
from locutory.testing.server import Serve

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
def database_uri() -> Iterator[str]:
    """The address of a database server that lives as long as the test session."""
    with session_database() as uri:
        yield uri


@pytest.fixture
def serve(database_uri: str, tmp_path: Path) -> Serve:
    """``async with serve("auth", environment={...}, yaml={...}) as server: ...``"""
    return Serve(database_uri, tmp_path)
