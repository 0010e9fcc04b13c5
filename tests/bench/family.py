"""CPU and memory of a server with every process that it has started."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import TICKS

_CALM = 0.03  # of a core


@dataclass(frozen=True, slots=True)
class Memory:
    """MB of all processes together: ``resident`` counts pages that two of them share twice,
    ``proportional`` once."""

    processes: int
    resident: float
    proportional: float


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` after the name; none when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for each in found:
        found += children.get(each, ())
    return found


def family_seconds(pid: int) -> float:
    """User and system time so far of a process and its descendants, those that have ended too."""
    total = 0
    for each in family(pid):
        if fields := _stat(each):
            total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def family_memory(pid: int) -> Memory:
    """What a process and its descendants hold at the moment."""
    processes, kilobytes = 0, {"Rss:": 0, "Pss:": 0}
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        processes += 1
        for line in lines:
            name, *rest = line.split()
            if name in kilobytes:
                kilobytes[name] += int(rest[0])
    return Memory(processes, kilobytes["Rss:"] / 1024, kilobytes["Pss:"] / 1024)


def rest(pid: int, most: float = 300.0) -> None:
    """Return once the processes have done next to nothing for two seconds, or after ``most``."""
    end = time.monotonic() + most
    calm = 0
    before = family_seconds(pid)
    while calm < 2 and time.monotonic() < end:
        time.sleep(1)
        after = family_seconds(pid)
        calm = calm + 1 if after - before <= _CALM else 0
        before = after
