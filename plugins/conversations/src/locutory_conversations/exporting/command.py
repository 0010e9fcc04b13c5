"""``locutory user export USER``: everything of a user, from the command line."""

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import click
from bson import ObjectId

from locutory import Context
from locutory.commands import opened
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.people import PEOPLE
from locutory_conversations.exporting.stream import Exporter


class ExportCommand:
    """The command of one kernel. It is not started: the command opens the database itself."""

    def __init__(self, ctx: Context, exporter: Exporter) -> None:
        self._ctx = ctx
        self._exporter = exporter

    def commands(self) -> list[click.Command]:
        """The commands, as the hook returns them."""
        export = click.Command(
            "export",
            callback=self._export,
            params=[
                click.Argument(["who"], metavar="USER"),
                click.Option(
                    ["--output", "-o"],
                    type=click.Path(dir_okay=False, writable=True, path_type=Path),
                    help="File to write, best named .json, as the client's dialog for an "
                    "import offers only such; without it, to standard output.",
                ),
                click.Option(["--tenant"], help="Tenant of the account, when USER is an address."),
            ],
            help="Write everything that the server stores for a user as JSON Lines, which "
            "POST /api/convos/import (Settings, Data controls) takes again. USER is an "
            "e-mail address or a user id.",
            short_help="Write everything of a user to a file.",
        )
        # Beside the commands that look after accounts, wherever those come from.
        return [click.Group("user", {"export": export})]

    def _export(self, who: str, output: Path | None, tenant: str | None) -> None:
        try:
            count = asyncio.run(self._write(who, output, tenant))
        except OSError as error:
            raise click.ClickException(str(error)) from None
        if output is not None:
            click.echo(f"{output}: {count:,} bytes.", err=True)

    async def _write(self, who: str, output: Path | None, tenant: str | None) -> int:
        async with opened(self._ctx):
            user = await self._user(who, tenant)
            if output is None:
                return await self._copy(user, sys.stdout.buffer)
            # Beside the file, so that an export which is cut off replaces none that is whole.
            part = output.with_name(f"{output.name}.part")
            try:
                with part.open("wb") as file:
                    part.chmod(0o600)
                    count = await self._copy(user, file)
                part.replace(output)
            finally:
                part.unlink(missing_ok=True)
            return count

    async def _copy(self, user: str, file: BinaryIO) -> int:
        count = 0
        async for piece in self._exporter.lines(user):
            count += file.write(piece)
        file.flush()
        return count

    async def _user(self, who: str, tenant: str | None) -> str:
        if "@" in who:
            people = self._ctx.services.find(PEOPLE)
            if people is None:
                raise click.ClickException(
                    "No enabled plugin finds accounts by e-mail address: give the user id."
                )
            account = await people.by_email(who, tenant=tenant)
            if account is None:
                raise click.ClickException(f"No account has the e-mail address {who}.")
            return str(account["_id"])
        if not ObjectId.is_valid(who):
            raise click.BadParameter(
                f"{who!r} is neither an e-mail address nor a user id (24 characters, 0-9 a-f)",
                param_hint="USER",
            )
        accounts = self._ctx.services.find(ACCOUNTS)
        if accounts is not None and await accounts.find(who.lower()) is None:
            raise click.ClickException(f"No account has the id {who}.")
        return who.lower()
