"""`signalcraft apikey`: the keys that scripts and other programs use."""

from __future__ import annotations

from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json, table

PATH = "/api/api-keys"


@click.group()
def apikey() -> None:
    """Make, list and revoke API keys.

    \b
    Example:
      signalcraft apikey create --name grafana --scopes alerts:read
    """


@apikey.command()
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--scopes",
    required=True,
    metavar="A,B",
    help="What it may do: admin, alerts:read, alerts:write, config:read, config:write, metrics:read.",
)
@click.option("--expires-days", type=click.IntRange(1, 3650), metavar="N", help="Days until it stops working.")
@click.option("--account", default="", metavar="NAME", help="The service account it is for: what the audit log says.")
@as_json
@where()
def create(where: Where, name: str, scopes: str, expires_days: int | None, account: str, as_json: bool) -> None:
    """Make a key. It is shown once: only its hash is kept.

    To replace a key without a gap, make a second one for the same service account, use it, then revoke the first.

    \b
    Example:
      signalcraft apikey create --name deploys --scopes alerts:read,alerts:write --expires-days 90
      signalcraft apikey create --name "deploys, autumn" --account deploys --scopes alerts:read
    """
    from signalcraft.cli.client import connect

    wanted = [s.strip() for s in scopes.split(",") if s.strip()]
    body: dict[str, Any] = {"name": name, "scopes": wanted, "account": account}
    if expires_days is not None:
        body["expires_at"] = _in_days(expires_days)
    with connect(where, "apikey create") as client:
        made = client.post(PATH, body)
    if as_json:
        say_json({k: made[k] for k in ("id", "name", "prefix", "key", "scopes", "expires_at")})
        return
    say(made["key"])
    until = f", until {made['expires_at']}" if made["expires_at"] else ""
    note(f"Key {made['id']} ({made['name']}): {', '.join(made['scopes'])}{until}. It is not shown again.")


@apikey.command("list")
@as_json
@where()
def list_(where: Where, as_json: bool) -> None:
    """List the keys, without their secret part.

    \b
    Example:
      signalcraft apikey list
    """
    from signalcraft.cli.client import connect

    with connect(where, "apikey list") as client:
        items = client.every(PATH)
    if as_json:
        say_json({"items": items})
        return
    rows = [
        (
            *(k["id"], k["name"], k["account"] or "-", f"{k['prefix']}…", ",".join(k["scopes"])),
            *(_state(k), k.get("last_used_at") or "never"),
        )
        for k in items
    ]
    say(table(("ID", "NAME", "ACCOUNT", "KEY", "SCOPES", "STATE", "LAST USED"), rows) if rows else "No API keys.")


@apikey.command()
@click.argument("key_id", metavar="ID")
@where()
def revoke(where: Where, key_id: str) -> None:
    """Revoke a key: from the next request on it opens nothing.

    \b
    Example:
      signalcraft apikey revoke 06m2n8kq1v000
    """
    from signalcraft.cli.client import connect

    with connect(where, "apikey revoke") as client:
        client.delete(f"{PATH}/{key_id}")
    note(f"Key {key_id} is revoked.")


def _in_days(days: int) -> str:
    from datetime import UTC, datetime, timedelta

    from signalcraft.main import system_now

    return (datetime.fromtimestamp(system_now() / 1000, UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def _state(key: dict[str, Any]) -> str:
    if key.get("revoked_at"):
        return f"revoked {key['revoked_at']}"
    return f"until {key['expires_at']}" if key.get("expires_at") else "good"
