"""``explain``: the decisions about a call, for an administrator who wonders about a 403."""

import asyncio
import sys
from collections.abc import Mapping

import click
from bson import ObjectId

from locutory import POLICY, Principal
from locutory.commands import PHASES, Kernel, build, read_sources, set_up_logs
from locutory_contracts.access import ACCESS, SHARE
from locutory_contracts.accounts import ACCOUNTS, Account
from locutory_contracts.people import PEOPLE
from locutory_roles.resources.explain import Step, Subject, explain
from locutory_roles.resources.service import RIGHTS

ANONYMOUS = "anonymous"


@click.command(name="explain")
@click.argument("user")
@click.argument("method")
@click.argument("path")
@click.option(
    "--resource",
    "resource",
    metavar="TYPE:ID",
    help="The resource that the request works on, e.g. agent:65a0… (its _id).",
)
@click.option(
    "--right",
    "rights",
    type=click.Choice(list(RIGHTS)),
    multiple=True,
    default=("view",),
    show_default=True,
    help="What the request takes on the resource; may be repeated.",
)
def explain_access(
    user: str, method: str, path: str, resource: str | None, rights: tuple[str, ...]
) -> None:
    """Explain why USER may or may not call METHOD PATH.

    USER is an account's id or e-mail address, or 'anonymous'. The database is only read.
    Exits with 0 when the call is allowed, with 1 when it is refused.
    """
    set_up_logs(json=False, debug=False, quiet=True)
    kernel = build(read_sources(), writes=False)  # a server may be running
    subject = _parse_subject(resource, rights)
    sys.exit(asyncio.run(answer(kernel, user, method.upper(), path, subject)))


async def answer(
    kernel: Kernel, user: str, method: str, path: str, subject: Subject | None = None
) -> int:
    """Print the decisions about a call, asking a kernel that has not been started. Returns
    the exit code; `click.BadParameter` for a user or route that does not exist."""
    match = kernel.routes.match(method, path.partition("?")[0])
    if match is None:
        raise click.BadParameter(f"no route serves {method} {path}", param_hint="PATH")
    subject = subject or _of_path(match.route.path, match.parameters)
    try:
        await kernel.lifecycle.run(PHASES[:1])
        principal = await _principal(kernel, user)
        steps = await explain(
            principal,
            match.route.access,
            kernel.services.get(POLICY),
            kernel.services.get(ACCESS),
            subject,
        )
    finally:
        await kernel.lifecycle.undo()
    return _show(f"{method} {match.route.path}  ({match.owner})", steps)


def _parse_subject(resource: str | None, rights: tuple[str, ...]) -> Subject | None:
    if resource is None:
        return None
    kind, colon, identity = resource.partition(":")
    if not colon or not kind or not identity:
        raise click.BadParameter("write TYPE:ID, e.g. agent:65a0…", param_hint="--resource")
    needed = 0
    for right in rights:
        needed |= RIGHTS[right]
    return Subject(kind, identity, needed)


def _of_path(pattern: str, parameters: Mapping[str, str]) -> Subject | None:
    """The resource of the routes that list and change who was given one."""
    if pattern != "/api/permissions/{resource_type}/{resource_id}":
        return None
    return Subject(parameters["resource_type"], parameters["resource_id"], SHARE)


async def _principal(kernel: Kernel, user: str) -> Principal | None:
    if user == ANONYMOUS:
        return None
    account: Account | None = None
    accounts, people = kernel.services.find(ACCOUNTS), kernel.services.find(PEOPLE)
    if ObjectId.is_valid(user):
        account = None if accounts is None else await accounts.find(user)
    elif people is not None:
        account = await people.by_email(user)
    if account is None:
        raise click.BadParameter(f"no account {user!r}", param_hint="USER")
    return Principal(
        id=str(account["_id"]),
        role=account.get("role") or "USER",
        tenant=account.get("tenantId"),
        account=account,
    )


def _show(call: str, steps: list[Step]) -> int:
    click.secho(call, bold=True)
    for step in steps:
        mark, colour = ("allowed", "green") if step.decision else ("refused", "red")
        click.echo(f"  {click.style(mark, fg=colour)}  {step.question}: {step.decision.reason}")
    return 0 if all(step.decision for step in steps) else 1
