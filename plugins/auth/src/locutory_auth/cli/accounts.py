"""The account that a command is about, and how accounts are shown."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from bson import ObjectId

from locutory import ADMIN_ROLE, iso
from locutory_auth.accounts.stored import DELETION_STARTED, WITHOUT_SECRETS
from locutory_auth.container import Container
from locutory_auth.documents import User

AccountSummary = dict[str, Any]


async def find_account(container: Container, who: str) -> Mapping[str, Any]:
    """The account of an e-mail address or id; raises a usage error when there is none."""
    users = container.database[User]
    if ObjectId.is_valid(who):
        found = await users.find_one({"_id": ObjectId(who)}, WITHOUT_SECRETS)
        if found is not None:
            return found
        raise click.ClickException(f"there is no account with the id {who}")
    chosen = {"email": who.strip().lower()}
    accounts = await users.find(chosen, WITHOUT_SECRETS, limit=2).to_list()
    if not accounts:
        raise click.ClickException(
            f"there is no account with the address {who}; 'user list' shows those there are"
        )
    if len(accounts) > 1:
        ids = " or ".join(str(account["_id"]) for account in accounts)
        raise click.ClickException(f"{who} has several accounts: use the id, {ids}")
    return accounts[0]


async def check_not_last_admin(container: Container, account: Mapping[str, Any]) -> None:
    """A usage error when nobody could administer the deployment without this account."""
    if account.get("role") != ADMIN_ROLE:
        return
    admins = container.database[User].find({"role": ADMIN_ROLE}, {"_id": 1}, limit=2)
    if len(await admins.to_list()) < 2:
        raise click.ClickException(
            f"{account['email']} is the only administrator; promote somebody else first"
        )


def account_summary(account: Mapping[str, Any], banned: float = 0) -> AccountSummary:
    """An account as commands show it."""
    result: AccountSummary = {
        "id": str(account["_id"]),
        "email": account.get("email"),
        "name": account.get("name"),
        "username": account.get("username"),
        "role": account.get("role"),
        "provider": account.get("provider"),
        "emailVerified": bool(account.get("emailVerified")),
        "twoFactorEnabled": bool(account.get("twoFactorEnabled")),
        "createdAt": _moment(account.get("createdAt")),
    }
    if banned > time.time():
        result["bannedUntil"] = until(banned)
    if account.get(DELETION_STARTED) is not None:
        result["deleting"] = True
    return result


def until(banned: float) -> str:
    """The end of a ban."""
    if math.isinf(banned):
        return "for ever"
    return iso(datetime.fromtimestamp(banned).astimezone())


def _moment(value: Any) -> str | None:
    return iso(value) if isinstance(value, datetime) else None


def output(as_json: bool, result: Mapping[str, Any] | Sequence[Any], text: str) -> None:
    """Print a result for programs, or a sentence for people."""
    click.echo(json.dumps(result, indent=2) if as_json else text)


def table(rows: Sequence[AccountSummary]) -> str:
    """Accounts, a line each."""
    head = ("id", "email", "name", "role", "provider", "verified", "2FA", "created", "banned")
    lines = [head, *map(_line, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        )
        for line in lines
    )


def _plain(text: Any) -> str:
    """Text without control characters that a terminal would interpret."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text or "-"))


def _line(row: AccountSummary) -> tuple[str, ...]:
    return (
        row["id"],
        _plain(row["email"]),
        _plain(row["name"]),
        _plain(row["role"]),
        str(row["provider"]),
        "yes" if row["emailVerified"] else "no",
        "yes" if row["twoFactorEnabled"] else "no",
        str(row["createdAt"] or "-")[:10],
        row.get("bannedUntil", "-"),
    )


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be taken back; not with ``--yes``."""
    if not yes:
        click.confirm(question, abort=True, err=True)
