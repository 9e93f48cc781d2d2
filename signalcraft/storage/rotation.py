"""Replacing the master key: every sealed row is sealed anew, a few at a time, while the box works.

`begin` retires every key of the vault at once, so that from its commit on whatever is sealed hangs on the new master
key; one pass over every sealed column then finds the rest. Both master keys are known until `finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from signalcraft.storage import channels, integrations, people
from signalcraft.storage.db import Tx
from signalcraft.storage.vault import BOX, CHECK, NEXT, CannotOpen, Vault, box_place, key_id_of

SINCE: Final = "vault_since_ms"
"""The fact that tells since when the master key is in use."""


class Sealed(Struct, frozen=True):
    """One column that holds sealed secrets. `key`: the column that names a row; `place`: what the vault binds it to.

    `workspace`: the column with the workspace's id, None for what belongs to the box.
    """

    table: str
    column: str
    place: Callable[[Any], str]
    workspace: str | None = "workspace_id"
    key: str = "id"

    @property
    def name(self) -> str:
        """`table.column`."""
        return f"{self.table}.{self.column}"


SEALED: Final = (
    Sealed("box_secret", "sealed", box_place, None, "name"),
    Sealed("integration", "secrets", integrations.secrets_place),
    Sealed("integration", "previous_secrets", lambda number: integrations.secrets_place(number, previous=True)),
    Sealed("channel", "secrets", channels.secrets_place),
    Sealed("person", "totp", people.totp_place, None),
    Sealed("person", "totp_new", people.totp_place, None),
)
"""Every column with sealed secrets."""

PLAIN: Final = frozenset(
    {
        *("integration.token_hash", "integration.previous_token_hash", "api_key.key_hash"),
        *("session.token_hash", "invitation.token_hash", "password_reset.token_hash", "setup_code.code_hash"),
        *("recovery_code.code_hash", "sign_in_failure.subject"),
        *("inbox.body", "delivered_statement.key", "vault_key.salt"),
        *("passkey.credential", "passkey.credential_id"),  # public keys
        *("audit.who_salt", "audit.who_digest", "audit.what_salt", "audit.what_digest", "audit.chain", "audit.mac"),
        *("audit_head.first_chain", "audit_head.chain", "audit_head.mac"),
        "fault.fingerprint",
    }
)
"""Every other column of bytes: hashes, and what the vault has no part in."""


def undeclared(tx: Tx) -> list[str]:
    """Columns of bytes that nobody has said anything about: what they hold might be lost with the old key."""
    known = PLAIN | {one.name for one in SEALED}
    found = []
    for (table,) in tx.all("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"):
        for column, kind in tx.all("select name, lower(type) from pragma_table_info(?)", (table,)):
            if kind in ("blob", "any") and f"{table}.{column}" not in known:
                found.append(f"{table}.{column}")
    return sorted(found)


# -- the state --------------------------------------------------------------------------------------------------------


class Facts(Struct, frozen=True):
    """Which master key the database hangs on. `coming`: the check value of the one it moves to, None at rest."""

    holds: str | None
    coming: str | None
    since_ms: int | None


class State(Facts, frozen=True):
    """The same, and how many rows are `sealed`, how many of them with the earlier key (`behind`)."""

    sealed: int
    behind: int


def coming(tx: Tx) -> str | None:
    """The check value of the master key that the database moves to; None at rest."""
    value: str | None = tx.value("select value from fact where name = ?", (NEXT,))
    return value


def facts(tx: Tx) -> Facts:
    """How the vault hangs on its master key."""
    found: dict[str, str] = dict(tx.all("select name, value from fact where name in (?, ?, ?)", (CHECK, NEXT, SINCE)))
    since = found.get(SINCE)
    return Facts(found.get(CHECK), found.get(NEXT), int(since) if since else None)


def state(tx: Tx) -> State:
    """The same with the rows counted."""
    now = facts(tx)
    wanted = now.coming or now.holds
    fresh = _keys_of(tx, wanted) if wanted else set()
    sealed = behind = 0
    for column in SEALED:
        sql = f"select substr({column.column}, 1, 33) from {column.table} where {column.column} is not null"
        for (blob,) in tx.all(sql):
            sealed += 1
            behind += key_id_of(blob) not in fresh
    return State(now.holds, now.coming, now.since_ms, sealed, behind)


def adopt(tx: Tx, check: str, now_ms: int) -> None:
    """Keys of the vault from before it could change its master key hang on the present one."""
    tx.run("update vault_key set master = ? where master = ''", (check,))
    tx.run("insert into fact (name, value) values (?, ?) on conflict do nothing", (SINCE, str(now_ms)))


# -- the steps --------------------------------------------------------------------------------------------------------


def begin(tx: Tx, vault: Vault, check: str, now_ms: int) -> None:
    """From now on everything is sealed with the master key of this check value, which the vault must hold."""
    tx.run("insert into fact (name, value) values (?, ?)", (NEXT, check))
    tx.run("update vault_key set retired_ms = ? where retired_ms is null", (now_ms,))
    vault.keep_root(tx, now_ms)


class Step(Struct, frozen=True):
    """What one step did. `last`: where the next one goes on, None at the end of the column."""

    last: Any
    resealed: int
    damaged: tuple[str, ...]


def reseal(tx: Tx, vault: Vault, column: Sealed, after: Any, limit: int, now_ms: int) -> Step:
    """Seals the next rows of a column anew; those that cannot be opened stay as they are and are named."""
    to = coming(tx)
    fresh = _keys_of(tx, to) if to else set()
    rows = _rows(tx, column, after, limit)
    resealed, damaged = 0, []
    overwritten(tx)
    for key, workspace_id, blob in rows:
        if key_id_of(blob) in fresh:
            continue
        place = column.place(key)
        try:
            data = vault.open(tx, workspace_id, place, blob)
        except CannotOpen:
            damaged.append(place)
            continue
        sealed = vault.seal(tx, workspace_id, place, data, now_ms)
        tx.run(f"update {column.table} set {column.column} = ? where {column.key} = ?", (sealed, key))
        resealed += 1
        if not fresh or key_id_of(sealed) not in fresh:
            fresh = fresh | {key_id_of(sealed)}
    return Step(rows[-1][0] if len(rows) == limit else None, resealed, tuple(damaged))


def finish(tx: Tx, check: str, now_ms: int) -> None:
    """The earlier master key opens nothing any more: what was derived from it is gone."""
    overwritten(tx)
    tx.run("update fact set value = ? where name = ?", (check, CHECK))
    tx.run("insert or replace into fact (name, value) values (?, ?)", (SINCE, str(now_ms)))
    tx.run("delete from fact where name = ?", (NEXT,))
    tx.run("delete from vault_key where master <> ?", (check,))
    tx.then(lambda: emptied(tx))


def damaged(tx: Tx, vault: Vault) -> list[str]:
    """The places of every sealed secret that does not open, in the order of `SEALED`."""
    found = []
    for column in SEALED:
        for key, workspace_id, blob in _rows(tx, column, None, -1):
            try:
                vault.open(tx, workspace_id, column.place(key), blob)
            except CannotOpen:
                found.append(column.place(key))
    return found


def _rows(tx: Tx, column: Sealed, after: Any, limit: int) -> list[Any]:
    workspace = column.workspace or str(BOX)
    where = f"{column.column} is not null" + ("" if after is None else f" and {column.key} > ?")
    return tx.all(
        f"select {column.key}, {workspace}, {column.column} from {column.table} where {where}"
        f" order by {column.key} limit ?",
        (limit,) if after is None else (after, limit),
    )


def _keys_of(tx: Tx, check: str) -> set[int]:
    return {row[0] for row in tx.all("select id from vault_key where master = ?", (check,))}


# -- nothing stays in the file ----------------------------------------------------------------------------------------


def overwritten(tx: Tx) -> None:
    """What this transaction deletes is overwritten with zeros in the file, pages that it frees among it."""
    tx.run("pragma secure_delete = on")
    tx.then(lambda: _relaxed(tx))


def _relaxed(tx: Tx) -> None:
    tx.run("pragma secure_delete = fast")


def emptied(tx: Tx) -> None:
    """After a commit: earlier pages leave the write-ahead log too, unless somebody still reads them.

    Not while the log is Litestream's (storage/wal.py): the replica would have a hole. It empties it itself.
    """
    if tx.value("pragma wal_autocheckpoint") == 0:
        return
    tx.run("pragma busy_timeout = 500")
    tx.run("pragma wal_checkpoint(truncate)")
    tx.run("pragma busy_timeout = 5000")
