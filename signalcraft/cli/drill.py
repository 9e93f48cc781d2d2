"""`signalcraft drill`: restores what would be restored from, to see that it can be."""

from __future__ import annotations

import sys
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json, table


@click.group(invoke_without_command=True)
@as_json
@where(workspace=False)
@click.pass_context
def drill(ctx: click.Context, where: Where, as_json: bool) -> int:
    """Restore the newest backup and the replica into a scratch directory, and say whether they are whole.

    The same is done each night. Nothing of the running box is touched. The exit code is 1 where a part failed.

    \b
    Example:
      signalcraft drill
      signalcraft drill --json
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from signalcraft.cli.client import connect

    with connect(where, "drill") as client:
        done = client.post("/api/drill")
        while done["running"]:
            if not as_json:
                note("still restoring")
            done = client.get("/api/drill", {"wait_seconds": "20"})
    if as_json:
        say_json(done)
    else:
        _tell(done)
    return 0 if done["state"] == "ok" else 1


@drill.command(hidden=True)
def worker() -> None:
    """What the program runs beside itself for a drill: an exercise on standard input, its outcome on standard output.

    \b
    Example:
      signalcraft drill worker
    """
    from signalcraft.storage.drilling import work

    work(sys.stdin.buffer, sys.stdout.buffer)


def _tell(done: dict[str, Any]) -> None:
    say(done["said"])
    rows = [
        (
            part["source"],
            "well" if part["well"] else "failed",
            _seconds(part["restore_seconds"]),
            _seconds(part["data_loss_seconds"]),
        )
        for part in done["parts"]
    ]
    if rows:
        say(table(("SOURCE", "RESULT", "RESTORE TOOK", "A LOSS NOW WOULD COST"), rows))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
