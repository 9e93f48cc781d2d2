"""Failed sign-ins of late: they outlive a restart, so that a lock cannot be shaken off by one."""

from __future__ import annotations

from typing import Literal

from signalcraft.domain.people import Failures
from signalcraft.storage.db import Tx

Kind = Literal["account", "address"]


def get(tx: Tx, kind: Kind, subject: bytes) -> Failures:
    """What is remembered of one account or address; nothing by default."""
    row = tx.one(
        "select n, since_ms, locked_until_ms, locks, last_ms from sign_in_failure where kind = ? and subject = ?",
        (kind, subject),
    )
    return Failures() if row is None else Failures(*row)


def put(tx: Tx, kind: Kind, subject: bytes, failures: Failures) -> None:
    """Remembers it."""
    tx.run(
        "insert or replace into sign_in_failure (kind, subject, n, since_ms, locked_until_ms, locks, last_ms)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (
            kind,
            subject,
            failures.n,
            failures.since_ms,
            failures.locked_until_ms,
            failures.locks,
            failures.last_ms,
        ),
    )


def clear(tx: Tx, kind: Kind, subject: bytes) -> bool:
    """Forgets it; False where there was nothing."""
    return bool(tx.run("delete from sign_in_failure where kind = ? and subject = ?", (kind, subject)))


def prune(tx: Tx, before_ms: int) -> int:
    """Forgets what neither failed nor was locked since then; how many."""
    return tx.run("delete from sign_in_failure where last_ms < ? and locked_until_ms < ?", (before_ms, before_ms))
