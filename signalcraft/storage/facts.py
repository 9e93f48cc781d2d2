"""Single values of the whole appliance, by name."""

from __future__ import annotations

from signalcraft.storage.db import Tx


def get(tx: Tx, name: str) -> str | None:
    """The value, None where there is none."""
    value: str | None = tx.value("select value from fact where name = ?", (name,))
    return value


def put(tx: Tx, name: str, value: str) -> None:
    """Sets it."""
    tx.run("insert or replace into fact (name, value) values (?, ?)", (name, value))
