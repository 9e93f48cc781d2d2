"""Sessions: who is signed in where. The token of the cookie is never stored, only its hash."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, person_id, token_hash, method, address, user_agent, created_ms, last_seen_ms, expires_ms, step_up_ms"
)


class Session(Struct, frozen=True, kw_only=True):
    """One row of session (see 0002_people.sql) that was not revoked."""

    id: int
    person_id: int
    token_hash: bytes
    method: str
    address: str
    user_agent: str
    created_ms: int
    last_seen_ms: int
    expires_ms: int
    step_up_ms: int


class Signed(Struct, frozen=True, kw_only=True):
    """A session with what every request needs to know of its person."""

    session: Session
    email: str
    name: str
    has_password: bool
    two_factor: bool


def _session(row: Row) -> Session:
    return Session(
        id=row[0],
        person_id=row[1],
        token_hash=row[2],
        method=row[3],
        address=row[4],
        user_agent=row[5],
        created_ms=row[6],
        last_seen_ms=row[7],
        expires_ms=row[8],
        step_up_ms=row[9],
    )


def insert(tx: Tx, session: Session) -> None:
    """Stores a new session."""
    tx.run(
        f"insert into session ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.id,
            session.person_id,
            session.token_hash,
            session.method,
            session.address,
            session.user_agent,
            session.created_ms,
            session.last_seen_ms,
            session.expires_ms,
            session.step_up_ms,
        ),
    )


def live(tx: Tx, now_ms: int) -> list[Signed]:
    """Every session that is neither revoked nor past its end, of people who may sign in."""
    rows = tx.all(
        "select session.id, person_id, token_hash, method, address, user_agent, session.created_ms, last_seen_ms,"
        " expires_ms, step_up_ms, email, name, password_hash is not null, totp is not null"
        " from session join person on person.id = session.person_id"
        " where revoked_ms is null and expires_ms > ? and disabled_ms is null",
        (now_ms,),
    )
    return [
        Signed(session=_session(row), email=row[10], name=row[11], has_password=bool(row[12]), two_factor=bool(row[13]))
        for row in rows
    ]


def of_person(tx: Tx, person_id: int) -> list[Session]:
    """A person's sessions that were not revoked, the newest first."""
    rows = tx.all(
        f"select {_FIELDS} from session where person_id = ? and revoked_ms is null order by id desc", (person_id,)
    )
    return [_session(row) for row in rows]


def seen(tx: Tx, session_id: int, now_ms: int) -> None:
    """It was used just now."""
    tx.run("update session set last_seen_ms = max(last_seen_ms, ?) where id = ?", (now_ms, session_id))


def stepped_up(tx: Tx, session_id: int, now_ms: int) -> None:
    """A password or code was entered just now."""
    tx.run("update session set step_up_ms = ? where id = ?", (now_ms, session_id))


def revoke(tx: Tx, person_id: int, session_id: int, now_ms: int) -> bool:
    """Ends one session of a person; False where there is none."""
    return bool(
        tx.run(
            "update session set revoked_ms = ? where id = ? and person_id = ? and revoked_ms is null",
            (now_ms, session_id, person_id),
        )
    )


def revoke_token(tx: Tx, token_hash: bytes, now_ms: int) -> bool:
    """Ends the session of a token; False where there is none."""
    return bool(
        tx.run(
            "update session set revoked_ms = ? where token_hash = ? and revoked_ms is null",
            (now_ms, token_hash),
        )
    )


def revoke_all(tx: Tx, person_id: int, now_ms: int, but: int = 0) -> int:
    """Ends every session of a person, except one; how many."""
    return tx.run(
        "update session set revoked_ms = ? where person_id = ? and id <> ? and revoked_ms is null",
        (now_ms, person_id, but),
    )


def revoke_oldest(tx: Tx, person_id: int, now_ms: int, keep: int) -> int:
    """Ends the oldest sessions of a person beyond so many; how many."""
    return tx.run(
        "update session set revoked_ms = ? where person_id = ? and revoked_ms is null and id not in"
        " (select id from session where person_id = ? and revoked_ms is null order by id desc limit ?)",
        (now_ms, person_id, person_id, keep),
    )


def prune(tx: Tx, before_ms: int) -> int:
    """Forgets sessions that ended before then; how many."""
    return tx.run("delete from session where expires_ms < ? or revoked_ms < ?", (before_ms, before_ms))
