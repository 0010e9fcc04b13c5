"""What every test run of this repository does."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline, and none is refused because the machine is slow.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Last of all, what was skipped and why: a green run that tested less must say so."""
    yield
    reasons: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", ()):
        _, _, reason = report.longrepr
        reasons[str(reason).removeprefix("Skipped: ")].append(report.nodeid.partition("::")[0])
    for reason, files in sorted(reasons.items()):
        tests = "1 test" if len(files) == 1 else f"{len(files)} tests"
        where = ", ".join(sorted(set(files)))
        terminalreporter.write_line(f"skipped {tests}: {reason} ({where})", yellow=True)
