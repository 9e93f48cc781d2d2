"""The secrets of a restored database: the master key that opens them, or a database that has none any more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from signalcraft.storage import masterkey, rotation
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.vault import CHECK, KEY_FILE, NEXT

GONE: Final = (
    "the secrets of integrations and channels (tokens, signing secrets, passwords): they must be entered again",
    "second factors by app and recovery codes: people sign in without and set them up again",
    "links in messages that were sent, and share links",
    "the proof that the audit log of before was not changed",
)
"""What does not work any more without the master key."""


class Needs(Struct, frozen=True):
    """Which master keys a database hangs on, by their check values: one, and while it is replaced a second."""

    holds: str | None
    coming: str | None

    @property
    def wanted(self) -> list[str]:
        """Both, as far as there are."""
        return [check for check in (self.holds, self.coming) if check is not None]


def needs(db: Db) -> Needs:
    """What a database says of itself."""
    with db.direct() as tx:
        return Needs(rotation.facts(tx).holds, rotation.coming(tx))


def put_keys(folder: Path, wanted: Needs, keys: dict[str, bytes]) -> None:
    """Writes the master key (both, while it is being replaced) where the start looks for it. Raises OSError."""
    for check, name in ((wanted.holds, KEY_FILE), (wanted.coming, masterkey.NEXT_FILE)):
        if check is not None:
            masterkey.write_file(folder / name, keys[check])


def strip(db: Db) -> list[str]:
    """Takes out everything that hangs on a master key that nobody has; the names of what must be entered again.

    The next start makes a new master key.
    """
    with db.direct() as tx:
        tables = {name for (name,) in tx.all("select name from sqlite_master where type = 'table'")}
        named = [
            f"{kind} {name}"
            for kind in ("integration", "channel")
            for (name,) in tx.all(f"select name from {kind} where secrets is not null order by name")
        ]
        for column in rotation.SEALED:
            if column.table == "box_secret":
                continue
            if column.table in tables and column.column in _columns(tx, column.table):
                tx.run(f"update {column.table} set {column.column} = null where {column.column} is not null")
        for table in ("box_secret", "vault_key", "recovery_code"):
            if table in tables:
                tx.run(f"delete from {table}")
        tx.run("delete from fact where name in (?, ?, ?)", (CHECK, NEXT, rotation.SINCE))
    return named


def _columns(tx: Tx, table: str) -> set[str]:
    return {name for (name,) in tx.all("select name from pragma_table_info(?)", (table,))}
