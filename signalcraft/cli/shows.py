"""Commands that only show something: `version`, `openapi`."""

from __future__ import annotations

import platform

import click

import signalcraft
from signalcraft.cli.options import as_json
from signalcraft.cli.terminal import say, say_json


@click.command()
@as_json
def version(as_json: bool) -> None:
    """Show the version, the build, and what it runs on.

    \b
    Example:
      signalcraft version --json
    """
    from signalcraft.storage.versions import build, sqlite

    known = {
        "version": signalcraft.__version__,
        "build": build(),
        "python": platform.python_version(),
        "sqlite": sqlite(),
    }
    known["platform"] = f"{platform.system().lower()} {platform.machine()}"
    if as_json:
        say_json(known)
        return
    suffix = f" ({known['build']})" if known["build"] else ""
    say(f"signalcraft {known['version']}{suffix}")
    say(f"Python {platform.python_version()}, SQLite {sqlite()}, {known['platform']}")


@click.command()
def openapi() -> None:
    """Print the API's description (OpenAPI 3.1, JSON).

    \b
    Example:
      signalcraft openapi > openapi.json
    """
    from signalcraft.http.openapi import document

    say(document().decode().rstrip("\n"))
