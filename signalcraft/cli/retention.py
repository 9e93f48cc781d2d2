"""`signalcraft retention`: how long things are kept, what would go, and the nightly clean-up now."""

from __future__ import annotations

from typing import Any, Final

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json

SORTS: Final = {
    "group_days": "resolved alert groups",
    "delivery_days": "messages",
    "escalation_days": "escalations",
    "payload_days": "bytes of webhooks",
    "audit_days": "audit log",
}


@click.group()
def retention() -> None:
    """Show how long things are kept, and clear away what is older.

    \b
    Example:
      signalcraft retention show
      signalcraft retention run --dry-run
    """


@retention.command()
@as_json
@where()
def show(where: Where, as_json: bool) -> None:
    """How long each sort of data is kept, and what came of the last run.

    \b
    Example:
      signalcraft retention show
    """
    from signalcraft.cli.client import connect

    with connect(where, "retention show") as client:
        said = client.get("/api/retention")
    if as_json:
        say_json(said)
        return
    for name, what in SORTS.items():
        own = "" if said["own"][name] is None else ", as this workspace says"
        say(f"{what:<22} {said['policy'][name]:>6} days{own}")
    say(f"{'archived before':<22} {'yes' if said['policy']['archive'] else 'no':>6}")
    last = said["last_run"]
    say("It has not run yet." if last is None else f"Last run {last['began_at']}: {last['state']}. {last['said']}")


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only say how much would go, in this workspace.")
@as_json
@where()
def run(where: Where, dry_run: bool, as_json: bool) -> int:
    """Archive and delete what is old, now, in every workspace. Ends with 1 where something had to stay.

    \b
    Example:
      signalcraft retention run --dry-run
      signalcraft retention run
    """
    from signalcraft.cli.client import connect

    with connect(where, "retention run") as client:
        if dry_run:
            waiting = client.post("/api/retention/preview", {})
            if as_json:
                say_json(waiting)
                return 0
            for name, rows in waiting.items():
                say(f"{name:<12} {rows}")
            return 0
        said: dict[str, Any] = {"done": False}
        while not said["done"]:
            said = client.post("/control/retention/run")
    one = said["run"]
    if as_json:
        say_json(one)
    else:
        say(f"{one['state']}: {one['said']}")
        for name, value in sorted(one["figures"].items()):
            if name.endswith(("_deleted", "_archived")):
                say(f"  {name:<24} {value}")
    return 0 if one["state"] == "ok" else 1
