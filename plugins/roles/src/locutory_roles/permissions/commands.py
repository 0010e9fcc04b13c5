"""``locutory role grant | revoke | list``: permissions of roles from the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import click

from locutory import Context
from locutory.commands import opened
from locutory_roles.defaults import Permissions
from locutory_roles.overrides import Overrides
from locutory_roles.permissions.declared import Declared, find_permission
from locutory_roles.permissions.settings import PLACE, RoleSettings
from locutory_roles.store import RoleStore


class RoleCommands:
    """The commands of one kernel. It is not started: they open the database for themselves."""

    def __init__(
        self,
        ctx: Context,
        roles: RoleStore,
        declared: Callable[[], Declared],
        overrides: Overrides,
        settings: RoleSettings,
    ) -> None:
        self._ctx = ctx
        self._roles = roles
        self._declared = declared
        self._overrides = overrides
        self._settings = settings

    def group(self) -> click.Group:
        """The group ``role``, as the hook returns it."""
        role = click.Argument(["role"], metavar="ROLE")
        which = click.Argument(["which"], nargs=-1, required=True, metavar="TYPE.PERMISSION...")
        some = click.Argument(["role"], metavar="[ROLE]", required=False)
        commands: list[click.Command] = [
            click.Command(
                "grant",
                callback=self._grant,
                params=[role, which],
                help="Give permissions to a role, as POLLS.CREATE. Names of LibreChat's "
                "permissions and of those that plugins declare: 'locutory role list'.",
                short_help="Give permissions to a role.",
            ),
            click.Command(
                "revoke",
                callback=self._revoke,
                params=[role, which],
                help="Take permissions, as POLLS.CREATE, away from a role.",
                short_help="Take permissions away from a role.",
            ),
            click.Command(
                "list",
                callback=self._show,
                params=[some],
                help="List every permission, and which roles have it.",
            ),
        ]
        return click.Group(
            "role",
            {command.name or "": command for command in commands},
            help="Look after what roles may do.",
        )

    def _grant(self, role: str, which: Sequence[str]) -> None:
        self._run(lambda: self._set(role, which, value=True))

    def _revoke(self, role: str, which: Sequence[str]) -> None:
        self._run(lambda: self._set(role, which, value=False))

    def _show(self, role: str | None) -> None:
        self._run(lambda: self._list(role))

    def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            async with opened(self._ctx):
                await work()

        asyncio.run(run())

    async def _set(self, role: str, which: Sequence[str], *, value: bool) -> None:
        declared = self._declared()
        changes: Permissions = {}
        for text in which:
            try:
                kind, action = find_permission(declared, text)
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint="TYPE.PERMISSION") from None
            changes.setdefault(kind, {})[action] = value
        if await self._roles.change(role, None, changes) is None:
            known = ", ".join(sorted(await self._roles.names()))
            raise click.BadParameter(
                f"there is no role {role!r}; there are {known or 'none yet: start the server once'}",
                param_hint="ROLE",
            )
        seconds = f"{self._ctx.config.cache_seconds:g}"
        for kind, actions in changes.items():
            for action in actions:
                word = "may now" if value else "may no longer"
                click.echo(f"{role} {word} {kind}.{action}.{self._undone(role, kind, action)}")
        click.echo(f"A running server knows within {seconds} seconds.")

    def _undone(self, role: str, kind: str, action: str) -> str:
        if self._settings.sets(role, kind, action):
            return f" {PLACE} decides about it at every start."
        if self._overrides.names(role, kind, action):
            return " librechat.yaml names this permission and decides about it at every start."
        return ""

    async def _list(self, role: str | None) -> None:
        names = sorted(await self._roles.names())
        if role is not None:
            if role not in names:
                raise click.BadParameter(f"there is no role {role!r}", param_hint="ROLE")
            names = [role]
        documents = [await self._roles.document(name) or {} for name in names]
        declared = self._declared()
        width = max(len(f"{kind}.{action}") for kind, of in declared.items() for action in of)
        click.secho(f"{'':{width}}  {'  '.join(names)}", bold=True)
        for kind, actions in declared.items():
            for action in actions:
                held = (_holds(document, kind, action) for document in documents)
                cells = (
                    f"{'yes' if value else '-':{len(name)}}"
                    for name, value in zip(names, held, strict=True)
                )
                click.echo(f"{f'{kind}.{action}':{width}}  {'  '.join(cells)}".rstrip())


def _holds(document: Mapping[str, Any], kind: str, action: str) -> bool:
    permissions = document.get("permissions")
    actions = permissions.get(kind) if isinstance(permissions, Mapping) else None
    return isinstance(actions, Mapping) and actions.get(action) is True
