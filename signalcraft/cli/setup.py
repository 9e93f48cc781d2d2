"""Commands before the first start: `init`, `check-config`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json, strong, table
from signalcraft.errors import BadSetting, Conflict


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("signalcraft.toml"),
    show_default=True,
    metavar="FILE",
    help="The settings file to write.",
)
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="The data directory.")
@click.option("--listen", metavar="HOST:PORT", help="Address and port to listen on.")
def init(config: Path, data_dir: Path | None, listen: str | None) -> None:
    """Write a settings file and make the data directory with its key.

    Nothing that is there is overwritten.

    \b
    Example:
      signalcraft init --config ./signalcraft.toml --data-dir ./data
    """
    from signalcraft.cli.client import connect

    place = Where(None, data_dir.absolute() if data_dir else None, listen=listen)
    settings = place.loaded().settings
    if config.exists():
        raise Conflict(f"{config} is there already, and nothing was changed")
    text = _settings_text(str(settings.data.path), listen)
    try:
        fd = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise BadSetting(f"{config} cannot be written: {fault.strerror}", path=str(config)) from None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    fresh = not (settings.data.path / "signalcraft.db").exists()
    with connect(Where(config, settings.data.path), "init"):
        pass  # opening makes the database, the workspace and the key
    _next_steps(config, settings.data.path, settings.http.listen, fresh=fresh)


def _settings_text(data_dir: str, listen: str | None) -> str:
    """The sample file with the lines that were asked for switched on."""
    from signalcraft.config import Settings, sample
    from signalcraft.config.loading import show

    text = sample()
    wanted = [("data", "dir", Settings().data.dir, data_dir)]
    if listen is not None:
        wanted.append(("http", "listen", Settings().http.listen, listen))
    for section, key, default, value in wanted:
        head, line = f"# [{section}]\n", f"# {key} = {show(default)}\n"
        before, mark, after = text.partition(head)
        first, found, rest = after.partition(line)
        if not (mark and found):
            raise AssertionError(f"the sample file has no line for {section}.{key}")
        text = f"{before}[{section}]\n{first}{key} = {show(value)}\n{rest}"
    return text


def _next_steps(config: Path, data_dir: Path, listen: str, *, fresh: bool) -> None:
    key = data_dir / "master.key"
    say(f"Settings        {config}")
    say(f"Data directory  {data_dir}{'' if fresh else '  (was there, kept)'}")
    if key.exists():
        say(f"Master key      {key}")
        note("Keep a copy of the master key somewhere else: without it the stored secrets cannot be read.")
    say()
    say(strong("Next"))
    say(f"  signalcraft serve --config {config}")
    say(f"  signalcraft apikey create --config {config} --name me --scopes admin")
    say(f"  signalcraft apply my-alerts.toml --config {config}     # integrations, channels, rules")
    say(f"  then look at http://{listen}/health")


@click.command("check-config")
@click.option("--all", "show_all", is_flag=True, help="Show the settings that have their default, too.")
@as_json
@where(workspace=False)
def check_config(where: Where, show_all: bool, as_json: bool) -> None:
    """Read every setting, start nothing, and say what is wrong.

    \b
    Example:
      signalcraft check-config --config /etc/signalcraft/signalcraft.toml
    """
    try:
        loaded = where.loaded()
    except BadSetting as fault:
        if as_json:
            errors = fault.errors or ((fault.path, fault.detail),)
            say_json({"ok": False, "errors": [{"path": path, "message": line} for path, line in errors]})
        raise
    rows = loaded.table()
    if as_json:
        settings = [{"path": path, "value": value, "origin": origin} for path, value, origin in rows]
        say_json({"ok": True, "file": str(loaded.file) if loaded.file else None, "settings": settings})
        return
    shown = rows if show_all else [row for row in rows if row[2] != "default"]
    if shown:
        say(table(("SETTING", "VALUE", "FROM"), shown))
        say()
    changed = sum(1 for row in rows if row[2] != "default")
    say(f"All is well: {changed} of {len(rows)} settings differ from their defaults; file: {loaded.file or 'none'}")
