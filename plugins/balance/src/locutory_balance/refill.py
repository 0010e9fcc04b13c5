"""The moments at which refills are due (contract balance §4)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600}
_DAYS = {"days": 1, "weeks": 7}
_EPOCH = datetime.fromtimestamp(0, UTC)


def next_refill(last: datetime, value: float, unit: str) -> datetime | None:
    """The moment ``value`` ``unit`` after ``last``; ``None`` when it cannot be reckoned.

    Days, weeks and months are of the calendar in local time, as LibreChat counts them: a day
    that the month does not have runs over into the next, so 31 January and one month is early
    March. An unknown unit adds nothing.
    """
    try:
        count = int(value)
        if unit in _SECONDS:
            return last + timedelta(seconds=count * _SECONDS[unit])
        local = last.astimezone().replace(tzinfo=None)
        if unit in _DAYS:
            local += timedelta(days=int(value * _DAYS[unit]))
        elif unit == "months":
            months = local.year * 12 + local.month - 1 + count
            first = local.replace(year=months // 12, month=months % 12 + 1, day=1)
            local = first + timedelta(days=local.day - 1)
        return local.astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        return None


def due(record: Mapping[str, Any], moment: datetime) -> bool:
    """``True`` when the balance record has a refill and it is due."""
    amount, value = record.get("refillAmount"), record.get("refillIntervalValue")
    if record.get("autoRefillEnabled") is not True or not is_number(amount) or amount <= 0:  # type: ignore[operator]
        return False
    last = record.get("lastRefill")
    when = next_refill(
        last if isinstance(last, datetime) else _EPOCH,
        value if is_number(value) else 0,  # type: ignore[arg-type]
        str(record.get("refillIntervalUnit") or "days"),
    )
    return when is not None and moment >= when


def is_number(value: Any) -> bool:
    """An int or float; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
