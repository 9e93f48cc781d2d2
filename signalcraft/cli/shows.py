"""Commands that only show something: `version`, `licences`, `openapi`."""

from __future__ import annotations

import platform

import click

import signalcraft
from signalcraft.cli.options import as_json
from signalcraft.cli.terminal import say, say_json, table


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what it was built from and what is inside.")
@as_json
def version(as_json: bool, everything: bool) -> None:
    """Show the version, the build, and what it runs on.

    \b
    Example:
      signalcraft version --json
      signalcraft version --all
    """
    from signalcraft.storage import versions

    built = versions.built()
    known = {
        "version": signalcraft.__version__,
        "build": versions.build(),
        "python": platform.python_version(),
        "sqlite": versions.sqlite(),
    }
    known["platform"] = f"{platform.system().lower()} {platform.machine()}"
    if everything:
        from signalcraft.storage import inside

        known |= {"date": built.get("date", ""), "needs": built.get("needs", "")} | inside.every()
    if as_json:
        say_json(known)
        return
    suffix = f" ({known['build']})" if known["build"] else ""
    say(f"signalcraft {known['version']}{suffix}")
    say(f"Python {known['python']}, SQLite {known['sqlite']}, {known['platform']}")
    if everything:
        if built:
            say(f"built from commit {known['build'] or 'unknown'} of {known['date']}; needs {known['needs']} or newer")
        else:
            say("runs from its sources: there is no build")
        names = {"duckdb": "DuckDB", "litestream": "Litestream", "libc": "C library"}
        left = ("duckdb", "litestream", "granian", "litestar", "libc", "kernel")
        say()
        say(table(("PART", "VERSION"), [(names.get(name, name), known[name]) for name in left]))


@click.command()
@click.argument("name", required=False)
@as_json
def licences(name: str | None, as_json: bool) -> None:
    """List everything inside the program with its licence, or print the licence of one part.

    \b
    Example:
      signalcraft licences
      signalcraft licences cpython
      signalcraft licences signalcraft
      signalcraft licences notice
    """
    from signalcraft.storage import inside

    if name is not None:
        say(inside.text(name).rstrip("\n"))
        return
    found = inside.parts()
    if as_json:
        say_json(found)
        return
    unnamed = {True: "see its text", False: "not named"}
    rows = [(one.name, one.version, one.licence or unnamed[bool(one.texts)], one.within or one.kind) for one in found]
    say(table(("PART", "VERSION", "LICENCE", "WITHIN"), rows))


@click.command()
def openapi() -> None:
    """Print the API's description (OpenAPI 3.1, JSON).

    \b
    Example:
      signalcraft openapi > openapi.json
    """
    from signalcraft.http.openapi import document

    say(document().decode().rstrip("\n"))
