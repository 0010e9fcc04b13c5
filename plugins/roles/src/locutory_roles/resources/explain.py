"""The decisions about a call of a route, each with its reason."""

from dataclasses import dataclass

from locutory import (
    Access,
    ApiKey,
    Can,
    Capability,
    Decision,
    OptionalUser,
    Policy,
    Principal,
    Public,
)
from locutory_contracts.access import ResourceAccess


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a request: a resource, and the rights that the request takes."""

    kind: str
    resource_id: str
    needed: int


@dataclass(frozen=True, slots=True)
class Step:
    """One question that is asked on the way to an endpoint, and its answer."""

    question: str
    decision: Decision


async def explain(
    principal: Principal | None,
    access: Access,
    policy: Policy,
    resources: ResourceAccess,
    subject: Subject | None = None,
) -> list[Step]:
    """The decisions about a call in their order; it passes when all of them allow it.

    ``principal`` is ``None`` for a caller who is not signed in. ``access`` is the declaration of
    the route, ``subject`` the resource that it works on, if any. Nothing is checked after a
    refusal, as in a real request.
    """
    steps = [await _route(principal, access, policy)]
    if steps[0].decision and subject is not None:
        question = f"rights on {subject.kind} {subject.resource_id}"
        if principal is None:
            decision = Decision(False, "not signed in")
        else:
            decision = await resources.decide(
                principal, subject.kind, subject.resource_id, subject.needed
            )
        steps.append(Step(question, decision))
    return steps


async def _route(principal: Principal | None, access: Access, policy: Policy) -> Step:
    if isinstance(access, Public | OptionalUser):
        return Step("open to anybody", Decision(True, access.reason))
    if isinstance(access, ApiKey):
        if principal is None or principal.scopes is None:
            decision = Decision(False, "a session is not enough: an API key is needed")
        else:
            held = access.scope in principal.scopes
            decision = Decision(held, f"the key {'has' if held else 'lacks'} this scope")
        return Step(f"API key with scope {access.scope}", decision)
    question = "signed in"
    if isinstance(access, Can):
        question = f"permission {access.group}.{access.action}"
    elif isinstance(access, Capability):
        question = f"capability {access.name}"
    if principal is None:
        return Step(question, Decision(False, "not signed in"))
    if isinstance(access, Can):
        decision = await policy.allows(principal, access.group, access.action)
    elif isinstance(access, Capability):
        decision = await policy.holds(principal, access.name)
    else:
        decision = Decision(True, f"user {principal.id} with role {principal.role}")
    return Step(question, decision)
