"""`signalcraft errors`: what went wrong inside the program itself."""

from __future__ import annotations

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json, table


@click.command()
@click.option("--trace", is_flag=True, help="Show where in the program each comes from.")
@as_json
@where(workspace=False)
def errors(where: Where, trace: bool, as_json: bool) -> None:
    """List the program's own errors of the last 90 days, alike ones together, the latest first.

    Secrets in them are masked; they may be sent along with a bug report.

    \b
    Example:
      signalcraft errors
      signalcraft errors --trace
    """
    from signalcraft.cli.client import connect

    with connect(where, "errors") as client:
        items = client.every("/api/admin/errors")
    if as_json:
        say_json({"items": items})
        return
    if not items:
        say("Nothing unexpected went wrong.")
        return
    heads = ("LAST", "TIMES", "KIND", "PLACE", "MESSAGE")
    rows = [(one["last_at"], str(one["times"]), one["kind"], one["place"], one["message"][:120]) for one in items]
    say(table(heads, rows))
    for one in items if trace else ():
        request = f", request {one['request_id']}" if one["request_id"] else ""
        say(f"\n{one['kind']} at {one['place']}, {one['times']} times since {one['first_at']}{request}")
        say(one["trace"].rstrip() or one["message"])
