"""The command ``locutory``."""

import os
import sys
import traceback
from typing import Any

import click

from locutory import configuration
from locutory.cli.config import config
from locutory.cli.doctor import doctor
from locutory.cli.inspect import openapi, plugins, routes
from locutory.cli.migrate import migrate
from locutory.cli.serve import serve
from locutory.errors import StartupError
from locutory.logs import set_up_logs


def report(error: StartupError) -> None:
    """Show every problem of a start that failed."""
    count = len(error.problems)
    click.secho(
        f"Locutory cannot start: {count} problem{'s' if count > 1 else ''}.", fg="red", err=True
    )
    for problem in error.problems:
        click.echo(err=True)
        click.secho(f"  {problem.where}", bold=True, err=True, nl=False)
        click.echo(f"  ({problem.plugin})", err=True)
        click.echo(f"    {problem.text}", err=True)
        if problem.fix:
            click.secho(f"    → {problem.fix}", fg="yellow", err=True)
        if problem.cause is not None:
            _show_cause(problem.cause)


def _show_cause(error: BaseException) -> None:
    """Where in its code a plugin failed: the last place, or all of them with DEBUG_CONSOLE."""
    if os.environ.get("DEBUG_CONSOLE", "").lower() == "true":
        lines = "".join(traceback.format_exception(error)).splitlines()
    elif frames := traceback.extract_tb(error.__traceback__):
        place = frames[-1]
        lines = [f"{place.filename}:{place.lineno}, in {place.name}", f"  {place.line}"]
        lines.append("DEBUG_CONSOLE=true shows the whole way there")
    else:
        lines = []
    for line in lines:
        click.echo(f"    {line}", err=True)


_PLUGIN_COMMANDS = "locutory.plugin_commands"


def _group(command: click.Command, owner: str) -> click.Group:
    if isinstance(command, click.Group):
        return command
    return click.Group(
        owner, {command.name or "": command}, help=f"Commands of the plugin {owner}."
    )


def _joined(one: click.Group, other: click.Group) -> click.Group:
    """A group of what two plugins contribute under one name; of one command, the first."""
    commands = {**other.commands, **one.commands}
    return click.Group(one.name, commands, help=one.help or other.help)


class _Commands(click.Group):
    """Built-in commands and those of plugins: a group that a plugin contributes stands under
    its own name (``locutory user …``), together with groups that others call the same, single
    commands under the plugin's (``locutory balance add``).

    Plugins are imported only when the first word is none of ours, or for the help.
    """

    def _contributed(self, ctx: click.Context) -> dict[str, click.Group]:
        from locutory.kernel import build

        known: dict[str, click.Group] | None = ctx.meta.get(_PLUGIN_COMMANDS)
        if known is not None:
            return known
        found: dict[str, click.Group] = {}
        for owner, commands in build(configuration.read_sources()).contributions.commands.items():
            for command in commands:
                group = _group(command, owner)
                name = group.name or owner
                found[name] = _joined(found[name], group) if name in found else group
        ctx.meta[_PLUGIN_COMMANDS] = found
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        try:
            return sorted({*self.commands, *self._contributed(ctx)})
        except StartupError:
            return sorted(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        built_in = super().get_command(ctx, cmd_name)
        return built_in or self._contributed(ctx).get(cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # What a command prints may be piped into a file: no log line may come in between.
        set_up_logs(json=False, debug=False, quiet=True)
        try:
            return super().main(*args, **kwargs)
        except StartupError as error:
            report(error)
            sys.exit(1)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="locutory-kernel", prog_name="locutory")
def main() -> None:
    """Locutory, a self-hosted AI chat server.

    Settings come from the environment, a .env file and librechat.yaml in the current
    folder (or the file named by CONFIG_PATH).
    """


for _command in (serve, plugins, routes, openapi, config, doctor, migrate):
    main.add_command(_command)
