"""``locutory user``: create, invite, list, ban, unban, reset-password, delete, promote."""

import ipaddress
import math
import re
import sys
from typing import Any

import click
from bson import ObjectId
from pymongo.errors import PyMongoError

from locutory import ADMIN_ROLE, HTTPError
from locutory_auth.accounts.stored import WITHOUT_SECRETS, DeletionRunning
from locutory_auth.cli.accounts import (
    AccountSummary,
    account_summary,
    check_not_last_admin,
    confirm,
    find_account,
    output,
    table,
    until,
)
from locutory_auth.cli.runner import run
from locutory_auth.container import Container
from locutory_auth.documents import User
from locutory_auth.mail.transports import NotSent
from locutory_auth.registration.creation import new_account
from locutory_auth.registration.validation import email_problems, new_password_problems

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)
USER_ROLE = "USER"
_ROLE = re.compile(r"[\w -]{1,64}")
_SECONDS_A_MINUTE = 60.0
_MAX_MINUTES = 60 * 24 * 365 * 100


@click.group()
def user() -> None:
    """Look after accounts.

    WHO is an e-mail address or an account id. A running server takes changes over within a
    few seconds.
    """


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _check_password(container: Container, password: str) -> None:
    problems = new_password_problems({"password": password}, container.config.shortest_password)
    if problems:
        raise click.ClickException(problems)


def _check_role(role: str) -> str:
    if not _ROLE.fullmatch(role):
        raise click.BadParameter("a role is a name such as USER or ADMIN", param_hint="--role")
    for known in (ADMIN_ROLE, USER_ROLE):
        if role != known and role.strip().upper() == known:
            raise click.BadParameter(f"do you mean {known}?", param_hint="--role")
    return role


async def _warn_of_new_role(container: Container, role: str) -> None:
    """Roles are another plugin's; one that nobody has is perhaps a slip of the pen."""
    if role in (ADMIN_ROLE, USER_ROLE):
        return
    if await container.database[User].find_one({"role": role}, {"_id": 1}) is None:
        text = f"Nobody has had the role {role} so far. A role that does not exist may do nothing."
        click.secho(text, fg="yellow", err=True)


def _number(value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no length")
    return value


@user.command()
@click.argument("email")
@click.option("--name", help="Name shown to others; the local part of the address by default.")
@click.option("--username", help="User name; none by default.")
@click.option("--role", help="Role; the first account is ADMIN, every other one USER.")
@click.option("--unverified", is_flag=True, help="The address is still to be verified, by mail.")
@stdin_option
@json_option
def create(
    email: str,
    name: str | None,
    username: str | None,
    role: str | None,
    unverified: bool,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Create an account that signs in with e-mail and password."""
    address = email.strip().lower()
    wrong = email_problems(address)
    if wrong:
        raise click.BadParameter(wrong.removeprefix("email: "), param_hint="EMAIL")
    chosen = None if role is None else _check_role(role)
    password = _password(password_stdin)

    async def work(container: Container) -> AccountSummary:
        _check_password(container, password)
        if unverified and not container.mailer.configured:
            raise click.ClickException("mail is not configured, so the address stays unverified")
        taken = await container.database[User].find_one({"email": address}, {"_id": 1})
        if taken is None and chosen is not None:
            await _warn_of_new_role(container, chosen)
        document = new_account(
            address,
            name=name or address.partition("@")[0],
            username=(username or "").lower(),
            password=await container.passwords.hash(password),
            emailVerified=not unverified,
            role=chosen or "USER",
        )
        created = None
        if taken is None:
            created = await container.creation.create(document, may_administer=chosen is None)
        if created is None:
            raise click.ClickException(f"{address} has an account already")
        if unverified:
            await container.verification.send(created)
        return account_summary(created)

    made = run(work, prepare=True)
    output(as_json, made, f"Created {made['email']} ({made['role']}), id {made['id']}.")


@user.command()
@click.argument("email")
@json_option
def invite(email: str, as_json: bool) -> None:
    """Invite somebody to register, also where registration is closed.

    The invitation is sent by mail where mail is configured; its link is printed either way.
    """
    address = email.strip().lower()
    wrong = email_problems(address)
    if wrong:
        raise click.BadParameter(wrong.removeprefix("email: "), param_hint="EMAIL")

    async def work(container: Container) -> dict[str, Any]:
        if await container.database[User].find_one({"email": address}, {"_id": 1}) is not None:
            raise click.ClickException(f"{address} has an account already")
        link = await container.invites.invite(address)
        sent, reason = container.mailer.configured, ""
        if sent:
            subject = f"Invite to join {container.config.app_title}!"
            try:
                await container.mailer.send("inviteUser", subject, address, inviteLink=link)
            except NotSent as error:
                sent, reason = False, str(error)
        return {"email": address, "link": link, "sent": sent, "reason": reason}

    made = run(work)
    if made["reason"]:
        click.secho(f"The mail was not sent: {made['reason']}", fg="yellow", err=True)
    result = {key: made[key] for key in ("email", "link", "sent")}
    by_mail = f"Sent to {address}." if made["sent"] else f"Send this link to {address}:"
    output(as_json, result, f"{by_mail}\n{made['link']}")


@user.command("list")
@click.option("--search", default="", help="Only accounts with this in name, address or user name.")
@click.option("--limit", default=100, type=click.IntRange(1, 100_000), show_default=True)
@json_option
def list_accounts(search: str, limit: int, as_json: bool) -> None:
    """List accounts, oldest first."""

    async def work(container: Container) -> list[AccountSummary]:
        users = container.database[User]
        if search:
            found: Any = await container.people.search(search, limit)
        else:
            found = await users.find({}, WITHOUT_SECRETS).sort("_id", 1).limit(limit).to_list()
        bans = {ban.key: ban.until for ban in await container.bans.all()}
        rows = sorted(found, key=lambda account: account["_id"])
        return [account_summary(account, bans.get(str(account["_id"]), 0)) for account in rows]

    rows = run(work)
    none = "No account has this in its name or address." if search else "There are no accounts yet."
    output(as_json, rows, table(rows) if rows else none)


@user.command()
@click.argument("who")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=_MAX_MINUTES, min_open=True),
    callback=lambda _context, _option, value: _number(value),
    help="Length of the ban.",
)
@click.option("--forever", is_flag=True, help="Until 'user unban': disables the account.")
@yes_option
@json_option
def ban(who: str, minutes: float | None, forever: bool, yes: bool, as_json: bool) -> None:
    """Keep somebody out: every session ends at once, and no new one opens.

    Without an option the ban lasts as long as BAN_DURATION says.
    """
    if forever and minutes is not None:
        raise click.UsageError("--minutes and --forever exclude each other")

    async def work(container: Container) -> AccountSummary:
        account = await find_account(container, who)
        confirm(f"Ban {account['email']}?", yes)
        seconds: float | None = None
        if not forever:
            seconds = (
                container.config.ban_duration / 1000
                if minutes is None
                else minutes * _SECONDS_A_MINUTE
            )
            if seconds <= 0:
                raise click.ClickException("BAN_DURATION is 0: say --minutes or --forever")
        await container.bans.put("general", 0, seconds, user=str(account["_id"]))
        await container.sessions.close_all(account["_id"])
        return account_summary(account, await container.bans.of_account(account["_id"]))

    result = run(work)
    end = result["bannedUntil"]
    output(
        as_json, result, f"Banned {result['email']} {end if end == 'for ever' else f'until {end}'}."
    )


@user.command()
@click.argument("who")
@json_option
def unban(who: str, as_json: bool) -> None:
    """Lift the ban of an account, with those of its addresses, or of one address (WHO)."""

    async def work(container: Container) -> dict[str, Any]:
        if _is_address(who):
            return {"who": who, "lifted": await container.bans.lift(who)}
        account = await find_account(container, who)
        key = str(account["_id"])
        places = [each.key for each in await container.bans.all() if each.user == key]
        lifted = await container.bans.lift(key, *places)
        await container.cache.changed(key)
        return {"who": account["email"], "lifted": lifted}

    result = run(work)
    did = "is no longer banned" if result["lifted"] else "was not banned"
    output(as_json, result, f"{result['who']} {did}.")


@user.command()
@json_option
def bans(as_json: bool) -> None:
    """List the bans of accounts and addresses."""

    async def work(container: Container) -> list[dict[str, Any]]:
        found = sorted(await container.bans.all(), key=lambda each: each.key)
        people = await container.people.find_many(
            [key for each in found for key in (each.key, each.user) if key]
        )
        return [
            {
                "who": each.key,
                "email": people.get(each.user or each.key, {}).get("email"),
                "until": until(each.until),
                "reason": each.reason,
                "user": each.user,
            }
            for each in found
        ]

    rows = run(work)
    lines = [
        "  ".join(text for text in (row["who"], row["until"], row["reason"], row["email"]) if text)
        for row in rows
    ]
    output(as_json, rows, "\n".join(lines) or "Nobody is banned.")


@user.command("reset-password")
@click.argument("who")
@click.option("--link", is_flag=True, help="Print a link, good for 15 minutes, instead.")
@stdin_option
@json_option
def reset_password(who: str, link: bool, password_stdin: bool, as_json: bool) -> None:
    """Set a new password; every session ends at once."""

    async def work(container: Container) -> dict[str, Any]:
        account = await find_account(container, who)
        result: dict[str, Any] = {"id": str(account["_id"]), "email": account["email"]}
        if link:
            if not container.config.allow_password_reset:
                raise click.ClickException("set ALLOW_PASSWORD_RESET=true, or leave --link out")
            return {**result, "link": await container.reset.link(account["_id"])}
        password = _password(password_stdin)
        _check_password(container, password)
        await container.reset.set(account["_id"], password)
        return result

    result = run(work)
    output(as_json, result, result.get("link") or f"{result['email']} has a new password.")


@user.command("remove-2fa")
@click.argument("who")
@yes_option
@json_option
def remove_second_factor(who: str, yes: bool, as_json: bool) -> None:
    """Take the second factor of somebody away who has lost it; every session ends."""

    async def work(container: Container) -> AccountSummary:
        account = await find_account(container, who)
        confirm(f"Remove the second factor of {account['email']}?", yes)
        await container.enrolment.remove(account["_id"])
        await container.sessions.close_all(account["_id"])
        return account_summary({**account, "twoFactorEnabled": False})

    result = run(work)
    output(as_json, result, f"{result['email']} signs in without a second factor.")


@user.command()
@click.argument("who")
@yes_option
@json_option
def delete(who: str, yes: bool, as_json: bool) -> None:
    """Delete an account and everything it owns."""

    async def work(container: Container) -> AccountSummary:
        account = await find_account(container, who)
        await check_not_last_admin(container, account)
        belongs = f"{account['email']} and everything that belongs to it"
        confirm(f"Delete {belongs}? This cannot be taken back.", yes)
        await container.sessions.close_all(account["_id"])
        try:
            await container.accounts.delete(str(account["_id"]))
        except DeletionRunning:
            raise click.ClickException(f"{account['email']} is being deleted already") from None
        except (HTTPError, PyMongoError):
            raise
        except Exception as error:  # of a plugin that was asked
            reason = f"{type(error).__name__}: {error}"
            text = f"{account['email']} was not deleted, a plugin failed: {reason}"
            raise click.ClickException(text) from error
        return account_summary(account)

    result = run(work)
    output(as_json, result, f"Deleted {result['email']}.")


@user.command()
@click.argument("who")
@click.option("--role", default=ADMIN_ROLE, show_default=True, help="The new role.")
@yes_option
@json_option
def promote(who: str, role: str, yes: bool, as_json: bool) -> None:
    """Give somebody another role."""
    chosen = _check_role(role)

    async def work(container: Container) -> AccountSummary:
        account = await find_account(container, who)
        confirm(f"Make {account['email']} {chosen}?", yes)
        if chosen != ADMIN_ROLE:
            await check_not_last_admin(container, account)
        await _warn_of_new_role(container, chosen)
        key: ObjectId = account["_id"]
        await container.accounts.write(key, {"role": chosen})
        return account_summary({**account, "role": chosen})

    result = run(work)
    output(as_json, result, f"{result['email']} is {chosen} now.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
