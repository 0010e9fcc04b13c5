"""The rights of callers, with and without a plugin that keeps access entries."""

from typing import Any, cast

import pytest
import structlog
from bson import ObjectId

from locutory import Decision, HTTPError, Policy, Principal, Provide, Request, Services
from locutory_contracts.access import ACCESS, EDIT, VIEW
from locutory_resources import CallerRights, object_id

ANN, BOB = Principal(str(ObjectId()), "USER"), Principal(str(ObjectId()), "USER")
BOSS = Principal(str(ObjectId()), "ADMIN")
GUEST = Principal(str(ObjectId()), "GUEST")
THING = {"_id": ObjectId(), "author": ObjectId(ANN.id)}


class Rules:
    """A policy: nobody but guests may not use things, the boss may do everything."""

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        assert (group, action) == ("THINGS", "USE")
        return Decision(principal is not GUEST, "for tests")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        assert capability == "manage:things"
        return Decision(principal is BOSS, "for tests")


class Entries:
    """An entry lets Bob view everything."""

    async def decide(self, principal: Principal, kind: str, resource: str, needed: int) -> Decision:
        assert (kind, resource) == ("thing", str(THING["_id"]))
        return Decision(principal is BOB and needed == VIEW, "an entry")


def rights(*, shared: bool) -> CallerRights:
    services = Services()
    if shared:
        services.provide(Provide(ACCESS, Entries()), "tests")
    log = structlog.get_logger("tests")
    policy = cast(Policy, Rules())
    return CallerRights("thing", "THINGS", "manage:things", services, policy, log)


async def test_without_entries_everybody_reaches_what_they_wrote() -> None:
    alone = rights(shared=False)
    assert alone.access is None
    assert await alone.decide(ANN, THING, EDIT)
    assert not await alone.decide(BOB, THING, VIEW)
    assert not await alone.has_all(BOSS)


async def test_with_entries_they_decide() -> None:
    shared = rights(shared=True)
    assert shared.access is not None
    assert not await shared.decide(ANN, THING, VIEW)
    assert await shared.decide(BOB, THING, VIEW)
    assert not await shared.decide(BOB, THING, EDIT)
    assert await shared.has_all(BOSS)
    assert not await shared.has_all(ANN)


async def test_the_role_must_let_the_caller_in_at_all() -> None:
    for caller, refused in ((ANN, False), (GUEST, True)):
        request: Any = type("Asked", (), {"caller": caller})()
        if not refused:
            await rights(shared=True).check_use(cast(Request, request))
            continue
        with pytest.raises(HTTPError) as error:
            await rights(shared=True).check_use(cast(Request, request))
        assert error.value.status == 403
        assert error.value.body == {"message": "Forbidden: Insufficient permissions"}


def test_refusals_and_faults() -> None:
    some = rights(shared=True)
    some.demand(Decision(True, ""), THING["_id"])
    with pytest.raises(HTTPError) as refused:
        some.demand(Decision(False, ""), THING["_id"])
    text = "Insufficient permissions to access this thing"
    assert refused.value.body == {"error": "Forbidden", "message": text}
    with pytest.raises(HTTPError) as missing, some.checking():
        raise some.missing()
    assert missing.value.status == 404
    assert missing.value.body == {"error": "Not Found", "message": "thing not found"}
    with pytest.raises(HTTPError) as failed, some.checking():
        raise RuntimeError("for tests")
    assert failed.value.status == 500


@pytest.mark.parametrize("wrong", [None, 5, "", "x" * 24, "a" * 23, ObjectId()])
def test_what_is_no_id(wrong: Any) -> None:
    assert object_id(wrong) is None
    assert object_id("a" * 24) == ObjectId("a" * 24)
