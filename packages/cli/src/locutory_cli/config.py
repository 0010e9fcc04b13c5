"""``locutory config``: check, describe and show the configuration."""

import asyncio
import json
from typing import Any

import click
from pydantic import BaseModel

from locutory.config import configuration
from locutory.run.kernel import build
from locutory_cli.schema import schema_of
from locutory_configfile import env_name, env_text
from locutory_httpserver.logs import is_secret


@click.group()
def config() -> None:
    """Check, describe or show the configuration."""


@config.command()
def check() -> None:
    """Say what a start would say, without starting; exit status 1 when it would not start."""
    kernel = build(writes=False)
    advice = asyncio.run(kernel.advice(offline=True))
    warnings = [*kernel.configuration.warnings, *(text for _, text in advice)]
    for warning in warnings:
        click.secho(f"warning: {warning}", fg="yellow")
    for note in kernel.configuration.notes:
        click.echo(f"note: {note}")
    on = f"{len(kernel.plugins)} plugins on"
    if warnings:
        click.secho(f"A server starts with this ({on}); read the warnings above.", fg="yellow")
    else:
        click.secho(f"The configuration is right ({on}).", fg="green")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    kernel = build(writes=False)
    found = schema_of(kernel.plugins, kernel.installed, configuration.vocabulary())
    click.echo(json.dumps(found, indent=2, default=str))


@config.command()
def show() -> None:
    """Show the settings in force and where each comes from; secrets are masked."""
    kernel = build(writes=False)
    models: list[tuple[str, BaseModel]] = [("kernel", kernel.config)]
    models += [
        (plugin.name, kernel.configuration.plugins[plugin.name]) for plugin in kernel.plugins
    ]
    section = kernel.configuration.yaml.get("plugins") or {}
    for name, values in models:
        if not type(values).model_fields:
            continue
        click.secho(name, bold=True)
        for field, info in type(values).model_fields.items():
            variable = env_name(info)
            if name != "kernel" and field in (section.get(name) or {}):
                source = f"plugins.{name}.{field}"
            elif variable and env_text(info, kernel.environment):
                source = variable
            else:
                source = "default"
            value = getattr(values, field)
            if value and is_secret(f"{field} {variable or ''}"):
                value = "***"
            elif isinstance(value, str) and "@" in value and ("://" in value or "proxy" in field):
                scheme, mark, _ = value.partition("://") if "://" in value else ("", "", "")
                value = scheme + mark + "***@" + value.rpartition("@")[2]
            label = variable or field
            origin = source if source != label else "environment"
            click.echo(f"  {label:34} {_shown(value):34} {origin}")


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value)
