"""Passkeys: the public halves of what people sign in with."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, person_id, rp_id, credential_id, credential, sign_count, transports, synced, name, created_ms, last_used_ms"
)


class Passkey(Struct, frozen=True, kw_only=True):
    """One row of passkey (see 0003_doors.sql)."""

    id: int
    person_id: int
    rp_id: str
    credential_id: bytes
    credential: bytes
    sign_count: int
    transports: list[str]
    synced: bool
    name: str
    created_ms: int
    last_used_ms: int | None = None


def _passkey(row: Row) -> Passkey:
    return Passkey(
        id=row[0],
        person_id=row[1],
        rp_id=row[2],
        credential_id=row[3],
        credential=row[4],
        sign_count=row[5],
        transports=msgspec.json.decode(row[6], type=list[str]),
        synced=bool(row[7]),
        name=row[8],
        created_ms=row[9],
        last_used_ms=row[10],
    )


def insert(tx: Tx, passkey: Passkey) -> None:
    """Stores a new one."""
    tx.run(
        f"insert into passkey ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            passkey.id,
            passkey.person_id,
            passkey.rp_id,
            passkey.credential_id,
            passkey.credential,
            passkey.sign_count,
            msgspec.json.encode(passkey.transports).decode(),
            int(passkey.synced),
            passkey.name,
            passkey.created_ms,
            passkey.last_used_ms,
        ),
    )


def by_credential(tx: Tx, credential_id: bytes) -> Passkey | None:
    """The one that an authenticator names."""
    row = tx.one(f"select {_FIELDS} from passkey where credential_id = ?", (credential_id,))
    return None if row is None else _passkey(row)


def of_person(tx: Tx, person_id: int) -> list[Passkey]:
    """A person's, the oldest first."""
    return [
        _passkey(row) for row in tx.all(f"select {_FIELDS} from passkey where person_id = ? order by id", (person_id,))
    ]


def used(tx: Tx, passkey_id: int, sign_count: int, synced: bool, now_ms: int) -> None:
    """Its owner proved it just now; `sign_count`: of the authenticator."""
    tx.run(
        "update passkey set sign_count = ?, synced = ?, last_used_ms = ? where id = ?",
        (sign_count, int(synced), now_ms, passkey_id),
    )


def rename(tx: Tx, person_id: int, passkey_id: int, name: str) -> bool:
    """Another name; False where there is none of this person."""
    return bool(tx.run("update passkey set name = ? where id = ? and person_id = ?", (name, passkey_id, person_id)))


def remove(tx: Tx, person_id: int, passkey_id: int) -> bool:
    """Forgets it; False where there is none of this person."""
    return bool(tx.run("delete from passkey where id = ? and person_id = ?", (passkey_id, person_id)))
