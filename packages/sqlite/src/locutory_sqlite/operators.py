"""The operators of updates, each compiled to a change of one path of a document."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bson import Decimal128
from bson.int64 import Int64

from locutory_sqlite.arithmetic import Number, Overflow, is_number, plus, times
from locutory_sqlite.arrays import ARRAY_OPERATORS
from locutory_sqlite.errors import TYPE_MISMATCH, invalid, not_supported, write_error
from locutory_sqlite.kinds import type_name
from locutory_sqlite.ordering import MISSING, encode
from locutory_sqlite.paths import split
from locutory_sqlite.places import Change, Document, changing, deepcopy_document, holder, write


def _set(parts: tuple[str, ...], operand: Any) -> Change:
    return changing(parts, lambda _before: deepcopy_document(operand))


def _set_on_insert(parts: tuple[str, ...], operand: Any) -> Change:
    change = _set(parts, operand)

    def run(document: Document, inserting: bool) -> None:
        if inserting:
            change(document, inserting)

    return run


def _unset(parts: tuple[str, ...], _operand: Any) -> Change:
    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=False)
        if isinstance(place, dict):
            place.pop(parts[-1], None)
        elif isinstance(place, list) and int(parts[-1]) < len(place):
            place[int(parts[-1])] = None

    return change


Make = Callable[[tuple[str, ...], Any], Change]


def _arithmetic(
    name: str, work: Callable[[Any, Any], Number], start: Callable[[Number], Number]
) -> Make:
    def make(parts: tuple[str, ...], operand: Any) -> Change:
        if not is_number(operand):
            text = f"Cannot {name} with non-numeric argument: {{{'.'.join(parts)}: {operand!r}}}"
            raise invalid(text, TYPE_MISMATCH)

        def run(before: Any) -> Any:
            if before is MISSING:
                return start(operand)
            if not is_number(before):
                text = (
                    f"Cannot apply ${name} to a value of non-numeric type. The field '{parts[-1]}'"
                    f" is of type {type_name(before)}"
                )
                raise write_error(text, TYPE_MISMATCH)
            try:
                return work(before, operand)
            except Overflow:
                text = f"Failed to apply ${name} operations to current value ({before})"
                raise write_error(text, 2) from None

        return changing(parts, run)

    return make


def _zero_like(operand: Number) -> Number:
    if isinstance(operand, Decimal128):
        return Decimal128("0")
    if isinstance(operand, float):
        return 0.0
    return Int64(0) if isinstance(operand, Int64) else 0


def _extreme(keeps_new: Callable[[bytes, bytes], bool]) -> Make:
    def make(parts: tuple[str, ...], operand: Any) -> Change:
        encoded = encode(operand)

        def run(before: Any) -> Any:
            if before is MISSING or keeps_new(encoded, encode(before)):
                return deepcopy_document(operand)
            return MISSING

        return changing(parts, run)

    return make


def _rename(parts: tuple[str, ...], operand: Any) -> Change:
    target = split(operand)
    if target == parts:
        raise invalid(f"The source and target field for $rename must differ: '{operand}'")

    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=False)
        if isinstance(place, dict) and parts[-1] not in place:
            return
        if isinstance(place, list) and int(parts[-1]) >= len(place):
            return
        if place is None:
            return
        _through_no_array(document, parts, "source")
        _through_no_array(document, target, "destination")
        value = place.pop(parts[-1])
        write(holder(document, target, create=True), target[-1], value)

    return change


def _through_no_array(document: Any, parts: tuple[str, ...], which: str) -> None:
    for part in parts:
        if isinstance(document, list):
            text = f"The {which} field cannot be an array element: '{'.'.join(parts)}'"
            raise write_error(text, 2)
        document = document.get(part) if isinstance(document, dict) else None


def _current_date(parts: tuple[str, ...], operand: Any) -> Change:
    if not isinstance(operand, bool) and operand != {"$type": "date"}:
        if operand == {"$type": "timestamp"}:
            raise not_supported("$currentDate with the type timestamp")
        raise invalid("$currentDate takes true or {$type: 'date'}")
    return changing(parts, lambda _before: datetime.now(UTC))


OPERATORS: dict[str, Make] = {
    "$set": _set,
    "$unset": _unset,
    "$setOnInsert": _set_on_insert,
    "$inc": _arithmetic("inc", plus, lambda operand: operand),
    "$mul": _arithmetic("multiply", times, _zero_like),
    "$min": _extreme(lambda new, old: new < old),
    "$max": _extreme(lambda new, old: new > old),
    "$rename": _rename,
    "$currentDate": _current_date,
    **ARRAY_OPERATORS,
}
