"""Commands about the running process: `serve`, `demo`, `status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json, table

_PATIENCE_S = 15.0


@click.command()
@where(workspace=False, listen=True)
def serve(where: Where) -> int:
    """Run SignalCraft until SIGTERM or Ctrl-C. Needs no file and no option.

    \b
    Example:
      signalcraft serve
      signalcraft serve --config ./signalcraft.toml --data-dir ./data --listen 127.0.0.1:8080
    """
    from signalcraft import logs

    loaded = where.loaded()
    logs.setup(loaded.settings.log)
    _await_turn(loaded.settings.data.path)

    from signalcraft import main

    return main.serve(loaded.settings, loaded)


def _await_turn(data_dir: Path) -> None:
    """Lets a short command that has the data directory finish. Raises Held at once where another `serve` has it."""
    from signalcraft.storage.lock import DataLock, Held

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        lock = DataLock(data_dir)
        try:
            lock.take("serve")
        except Held:
            if lock.holder().verb == "serve" or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            lock.release()
            return


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where it listens. [default: 127.0.0.1:8420, or the next free]")
@click.option(
    "--slack-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="The stand-in's port. [default: 8421, or the next free]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="An empty or new directory; it is kept. [default: a temporary one, removed at the end]",
)
@click.option("--keep", is_flag=True, help="Keep the temporary data directory.")
@click.option("--quick", is_flag=True, help="Replay the week in a few seconds.")
def demo(listen: str | None, slack_port: int | None, data_dir: Path | None, keep: bool, quick: bool) -> int:
    """Show the whole program with made-up alerts and no account anywhere.

    A noisy week of Sentry webhooks becomes a few Slack messages. Slack is a stand-in with a page that shows its
    channels, buttons included. It keeps running until Ctrl-C.

    \b
    Example:
      signalcraft demo
    """
    from signalcraft.cli.demo import Demo, run

    return run(Demo(listen=listen, slack_port=slack_port, data_dir=data_dir, keep=keep, quick=quick))


@click.command()
@as_json
@where(workspace=False)
def status(where: Where, as_json: bool) -> int:
    """Show whether SignalCraft runs on a data directory, and how it is.

    The exit code is 1 where it does not run or is not well.

    \b
    Example:
      signalcraft status --data-dir ./data
    """
    from signalcraft.cli.client import answers, beside

    data_dir = where.loaded().settings.data.path
    if not answers(data_dir):
        if as_json:
            say_json({"running": False, "data_dir": str(data_dir)})
        else:
            say(f"not running on {data_dir}")
        return 1
    with beside(data_dir) as client:
        info = client.get("/control/info")
        health = client.request("GET", "/health", faults=False).json()
    if as_json:
        say_json({"running": True, **info, "health": health})
    else:
        _show(info, health)
    return 0 if health["status"] == "ok" else 1


def _show(info: dict[str, Any], health: dict[str, Any]) -> None:
    say(f"running       process {info['pid']}, SignalCraft {info['version']}, since {info['started_at']}")
    say(f"listens on    http://{info['listen']}{'  ' + info['public_url'] if info['public_url'] else ''}")
    say(f"data          {info['data_dir']}, schema {info['schema']}")
    say(f"backup        {info['last_backup_at'] or 'none yet'}")
    say(f"upgraded      {info['last_upgrade_at'] or 'never'}; last migration {info['last_migration_at'] or 'never'}")
    if info["held_since"]:
        say(f"HELD          since {info['held_since']}: nobody is told until signalcraft resume")
    say(f"health        {health['status']}")
    rows = [(name, c["status"], c.get("detail") or "") for name, c in health["components"].items()]
    if rows:
        say()
        say(table(("COMPONENT", "STATUS", "DETAIL"), rows))
