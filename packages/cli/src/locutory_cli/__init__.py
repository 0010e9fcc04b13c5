"""The command ``locutory``."""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from locutory.config import configuration
from locutory.errors import StartupError
from locutory_cli.config import config
from locutory_cli.doctor import doctor
from locutory_cli.inspect import plugins, routes
from locutory_cli.migrate import migrate
from locutory_cli.serve import serve
from locutory_cli.transfer import database
from locutory_httpserver.logs import set_up_logs


def report(error: StartupError, *, starting: bool) -> None:
    """Print every problem of a failed start or of another command."""
    count = len(error.problems)
    what = "Locutory cannot start" if starting else "Error"
    click.secho(f"{what}: {count} problem{'s' if count > 1 else ''}.", fg="red", err=True)
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
    """Print the place in a plugin's code where it failed: the last stack frame, or all of them with
    DEBUG_CONSOLE."""
    if os.environ.get("DEBUG_CONSOLE", "").lower() == "true":
        lines = "".join(traceback.format_exception(error)).splitlines()
    elif isinstance(error, SyntaxError):
        lines = [f"{error.filename}:{error.lineno}", f"  {(error.text or '').strip()}"]
    elif frames := traceback.extract_tb(error.__traceback__):
        place = frames[-1]
        lines = [f"{place.filename}:{place.lineno}, in {place.name}", f"  {place.line}"]
        lines.append("DEBUG_CONSOLE=true shows the whole way there")
    else:
        lines = []
    for line in lines:
        click.echo(f"    {line}", err=True)


def _use_data_dir(folder: Path | None) -> None:
    if folder is not None:
        os.environ["LOCUTORY_DATA_DIR"] = str(folder)


_PLUGIN_COMMANDS = "locutory.plugin_commands"


def _group(command: click.Command, owner: str) -> click.Group:
    if isinstance(command, click.Group):
        return command
    return click.Group(
        owner, {command.name or "": command}, help=f"Commands of the plugin {owner}."
    )


def _joined(one: click.Group, other: click.Group) -> click.Group:
    """The group with the commands of two groups of one name; of commands with the same name, those
    of the first."""
    commands = {**other.commands, **one.commands}
    return click.Group(one.name, commands, help=one.help or other.help)


class _Commands(click.Group):
    """Built-in commands and those of plugins. A group that a plugin contributes has its own name
    (``locutory user …``), and is joined with groups of other plugins that have the same name;
    single commands are in a group named after the plugin (``locutory balance add``).

    Plugins are imported only for the help, and when the first word is no built-in command.
    """

    def _contributed(self, ctx: click.Context) -> dict[str, click.Group]:
        from locutory_cli.building import without_broken

        known: dict[str, click.Group] | None = ctx.meta.get(_PLUGIN_COMMANDS)
        if known is not None:
            return known
        found: dict[str, click.Group] = {}
        kernel, problems = without_broken(configuration.read_sources(), writes=False)
        for problem in problems:
            click.secho(f"without {problem}", fg="yellow", err=True)
        for owner, commands in kernel.contributions.commands.items():
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from locutory.plugins.discovery import available

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and args[0] in available():
                text = f"the plugin '{args[0]}' is off, or has no commands"
                raise click.UsageError(f"{error.message} ({text})", ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StartupError as error:
            # `config check` says what a start would say.
            report(error, starting=ctx.invoked_subcommand in ("serve", "config"))
            sys.exit(1)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # What a command prints may be piped into a file: no log line may come in between.
        set_up_logs(json=False, debug=False, quiet=True)
        try:
            return super().main(*args, **kwargs)
        except StartupError as error:  # while a shell asks how a command goes on
            report(error, starting=False)
            sys.exit(1)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="locutory-kernel", prog_name="locutory")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the built-in database and secrets (LOCUTORY_DATA_DIR).",
    is_eager=True,
    expose_value=False,
    callback=lambda _context, _option, value: _use_data_dir(value),
)
def main() -> None:
    """Locutory, a self-hosted AI chat server.

    Settings come from the environment, a .env file and librechat.yaml in the current
    folder (or the file named by CONFIG_PATH).
    """


for _command in (serve, plugins, routes, config, doctor, migrate, database):
    main.add_command(_command)
