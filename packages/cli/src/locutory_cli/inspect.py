"""``locutory plugins`` and ``locutory routes``: inspect a deployment."""

import json
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

import click

from locutory.config import configuration
from locutory.plugins import discovery
from locutory.plugins.plugin import Plugin
from locutory.run.kernel import build
from locutory_cli.building import without_broken
from locutory_configfile import nearest


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print aligned columns; the last one is not padded."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]

    def line(row: tuple[str, ...]) -> str:
        return "  ".join(
            [cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]
        )

    click.secho(line(head), bold=True)
    for row in rows:
        click.echo(line(row))


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """List the installed plugins, and whether they are on."""
    if context.invoked_subcommand is not None:
        return
    sources = configuration.read_sources()
    kernel, problems = without_broken(sources, writes=False)
    on = {plugin.name: plugin for plugin in kernel.plugins}
    broken = {problem.plugin for problem in problems}
    rows = []
    for name, point in discovery.available().items():
        version = point.dist.version if point.dist is not None else ""
        state = "on" if name in on else "broken" if name in broken else "off"
        rows.append((name, state, version, _summary(point, on.get(name))))
    table(("plugin", "state", "version", "what it does"), rows)
    for problem in problems:
        click.secho(f"\n{problem}", fg="red", err=True)


def _summary(point: EntryPoint, plugin: Plugin | None) -> str:
    """The summary of a plugin; for one that is off, that of its distribution."""
    if plugin is not None:
        return plugin.summary
    return (point.dist.metadata["Summary"] or "") if point.dist is not None else ""


@plugins.command()
@click.argument("name")
def why(name: str) -> None:
    """Explain why a plugin is on or off, and what depends on it."""
    sources = configuration.read_sources()
    installed = discovery.available()
    if name not in installed:
        hint = nearest(name, installed)
        raise click.BadParameter(f"no plugin '{name}' is installed. {hint.capitalize()}".strip())
    section = sources.yaml.get("plugins") or {}
    kernel, problems = without_broken(sources, writes=False)
    names = [plugin.name for plugin in kernel.plugins]
    for problem in problems:
        if problem.plugin == name:
            raise click.ClickException(str(problem))
    if name not in names:
        key = "plugins.disabled" if name in (section.get("disabled") or ()) else "plugins.enabled"
        reason = "names it" if key == "plugins.disabled" else "does not name it"
        click.echo(f"{name} is off: {key} in {sources.path} {reason}.")
        return
    plugin = next(plugin for plugin in kernel.plugins if plugin.name == name)
    chosen = (
        "plugins.enabled names it" if section.get("enabled") else "it is installed and not disabled"
    )
    click.echo(
        f"{name} is on: {chosen}. It is number {names.index(name) + 1} of {len(names)} in order."
    )
    for label, keys in (
        ("provides", plugin.provides),
        ("needs", plugin.needs),
        ("wants", plugin.wants),
    ):
        for wanted in keys:
            others = ", ".join(_partners(kernel.plugins, plugin, wanted.name, label == "provides"))
            if label == "provides":
                found = f"used by {others or 'nobody'}"
                if wanted.name not in kernel.contributions.offered.get(name, ()):
                    found += "; not offered with this configuration"
            else:
                found = f"from {others}" if others else "absent"
            click.echo(f"  {label:8}  {wanted.name}  ({found})")


def _partners(plugins: Sequence[Plugin], plugin: Plugin, key: str, consumers: bool) -> list[str]:
    """The names of the plugins on the other side of a key: its consumers, or its providers."""
    return [
        other.name
        for other in plugins
        if (consumers or other is not plugin)
        and key in {k.name for k in ((*other.needs, *other.wants) if consumers else other.provides)}
    ]


def _access(access: Any) -> str:
    values = [
        str(getattr(access, field))
        for field in getattr(access, "__slots__", ())
        if field != "refusal"
    ]
    return f"{type(access).__name__}({', '.join(values)})" if values else type(access).__name__


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--plugin", help="Only the routes of one plugin.")
def routes(as_json: bool, plugin: str | None) -> None:
    """List every route: method, path, who may call it, its plugin."""
    if plugin is not None and plugin not in discovery.available():
        hint = nearest(plugin, discovery.available())
        raise click.BadParameter(f"no plugin '{plugin}' is installed. {hint.capitalize()}".strip())
    found = [
        (",".join(route.methods), route.path, _access(route.access), owner, route.summary)
        for owner, route in build(writes=False).routes.all()
        if plugin is None or owner == plugin
    ]
    if as_json:
        keys = ("methods", "path", "access", "plugin", "summary")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in found], indent=2))
        return
    table(("method", "path", "access", "plugin"), [row[:4] for row in found])
