"""Who people are at the identity provider."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, person_id, issuer, subject, email, created_ms, last_used_ms"


class Identity(Struct, frozen=True, kw_only=True):
    """One row of identity (see 0003_doors.sql)."""

    id: int
    person_id: int
    issuer: str
    subject: str
    email: str
    created_ms: int
    last_used_ms: int


def _identity(row: Row) -> Identity:
    return Identity(
        id=row[0],
        person_id=row[1],
        issuer=row[2],
        subject=row[3],
        email=row[4],
        created_ms=row[5],
        last_used_ms=row[6],
    )


def insert(tx: Tx, identity: Identity) -> None:
    """Links a person to a subject."""
    tx.run(
        f"insert into identity ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?)",
        (
            identity.id,
            identity.person_id,
            identity.issuer,
            identity.subject,
            identity.email,
            identity.created_ms,
            identity.last_used_ms,
        ),
    )


def find(tx: Tx, issuer: str, subject: str) -> Identity | None:
    """Whose subject it is."""
    row = tx.one(f"select {_FIELDS} from identity where issuer = ? and subject = ?", (issuer, subject))
    return None if row is None else _identity(row)


def of_person(tx: Tx, person_id: int) -> list[Identity]:
    """A person's, the oldest first."""
    return [
        _identity(row)
        for row in tx.all(f"select {_FIELDS} from identity where person_id = ? order by id", (person_id,))
    ]


def used(tx: Tx, identity_id: int, email: str, now_ms: int) -> None:
    """Somebody signed in by it just now."""
    tx.run("update identity set email = ?, last_used_ms = ? where id = ?", (email, now_ms, identity_id))


def remove(tx: Tx, person_id: int, identity_id: int) -> bool:
    """Unlinks; False where there is none of this person."""
    return bool(tx.run("delete from identity where id = ? and person_id = ?", (identity_id, person_id)))
