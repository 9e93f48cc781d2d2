"""`signalcraft digest`: how the last seven days were, and telling it."""

from __future__ import annotations

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json


@click.command()
@click.option("--send", is_flag=True, help="Tell the channels of [digest] channels now; it waits for no Monday.")
@as_json
@where(workspace=False)
def digest(where: Where, send: bool, as_json: bool) -> None:
    """Show how the last seven days were: what came, what was noise, what went wrong.

    Without a running SignalCraft --send owes it: it goes out at the next start.

    \b
    Example:
      signalcraft digest
      signalcraft digest --send
    """
    from signalcraft.cli.client import connect

    with connect(where, "digest") as client:
        told = client.post("/control/digest") if send else client.get("/control/digest")
    if as_json:
        say_json(told)
    elif send:
        say(f"told {', '.join(told['channels'])}")
    else:
        say(told["title"])
        say(told["text"])
