"""People, what they are in which workspace, their passwords and second factors."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.roles import Role
from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

VAULT_WORKSPACE: Final = 0
"""People belong to no workspace: their secrets are sealed with the key of the box itself."""

_FIELDS: Final = (
    "person.id, email, name, password_hash, password_changed_ms, disabled_ms, totp, totp_new, totp_step,"
    " person.created_ms"
)


class Person(Struct, frozen=True, kw_only=True):
    """One row of person (see 0002_people.sql)."""

    id: int
    email: str
    name: str
    password_hash: str | None = None
    password_changed_ms: int | None = None
    disabled_ms: int | None = None
    totp: bytes | None = None
    totp_new: bytes | None = None
    totp_step: int = 0
    created_ms: int


class Member(Struct, frozen=True, kw_only=True):
    """A person in a workspace. `last_seen_ms`: of their latest session, None when they never signed in."""

    person: Person
    role: Role
    joined_ms: int
    last_seen_ms: int | None

    @property
    def id(self) -> int:
        """The person's."""
        return self.person.id


def _person(row: Row) -> Person:
    return Person(
        id=row[0],
        email=row[1],
        name=row[2],
        password_hash=row[3],
        password_changed_ms=row[4],
        disabled_ms=row[5],
        totp=row[6],
        totp_new=row[7],
        totp_step=row[8],
        created_ms=row[9],
    )


def _one(row: Row | None) -> Person | None:
    return None if row is None else _person(row)


def totp_place(person_id: int) -> str:
    """What the vault binds the secret of a second factor to."""
    return f"person/{ids.show(person_id)}/totp"


def insert(tx: Tx, person: Person) -> None:
    """Stores a new person: id, address, name and password."""
    tx.run(
        "insert into person (id, email, name, password_hash, password_changed_ms, created_ms)"
        " values (?, ?, ?, ?, ?, ?)",
        (person.id, person.email, person.name, person.password_hash, person.password_changed_ms, person.created_ms),
    )


def find(tx: Tx, person_id: int) -> Person | None:
    """A person by id."""
    return _one(tx.one(f"select {_FIELDS} from person where id = ?", (person_id,)))


def get(tx: Tx, person_id: int) -> Person:
    """The same. Raises NotFound."""
    found = find(tx, person_id)
    if found is None:
        raise NotFound("no such person")
    return found


def by_email(tx: Tx, email: str) -> Person | None:
    """A person by their address in lower case."""
    return _one(tx.one(f"select {_FIELDS} from person where email = ?", (email,)))


def remove(tx: Tx, person_id: int) -> None:
    """The person and everything that hangs on them is gone."""
    tx.run("delete from person where id = ?", (person_id,))


def set_name(tx: Tx, person_id: int, name: str) -> None:
    """Another name."""
    tx.run("update person set name = ? where id = ?", (name, person_id))


def set_disabled(tx: Tx, person_id: int, disabled_ms: int | None) -> None:
    """From now on they cannot sign in; None: they can."""
    tx.run("update person set disabled_ms = ? where id = ?", (disabled_ms, person_id))


# -- membership -------------------------------------------------------------------------------------------------------


def join(tx: Tx, workspace_id: int, person_id: int, role: Role, now_ms: int) -> None:
    """The person is part of the workspace."""
    tx.run("insert into membership values (?, ?, ?, ?)", (workspace_id, person_id, role, now_ms))


def leave(tx: Tx, workspace_id: int, person_id: int) -> None:
    """The person is no part of it any more."""
    tx.run("delete from membership where workspace_id = ? and person_id = ?", (workspace_id, person_id))


def set_role(tx: Tx, workspace_id: int, person_id: int, role: Role) -> None:
    """Another role."""
    tx.run("update membership set role = ? where workspace_id = ? and person_id = ?", (role, workspace_id, person_id))


def roles(tx: Tx, person_id: int) -> dict[int, Role]:
    """What a person is, by workspace; the one they joined first comes first."""
    rows = tx.all(
        "select workspace_id, role from membership where person_id = ? order by created_ms, workspace_id", (person_id,)
    )
    return {row[0]: row[1] for row in rows}


def all_roles(tx: Tx) -> dict[int, dict[int, Role]]:
    """The same of everybody, by person."""
    found: dict[int, dict[int, Role]] = {}
    for person_id, workspace_id, role in tx.all(
        "select person_id, workspace_id, role from membership order by created_ms, workspace_id"
    ):
        found.setdefault(person_id, {})[workspace_id] = role
    return found


def members(tx: Tx, workspace_id: int) -> list[Member]:
    """Everybody in a workspace, who joined first coming first."""
    rows = tx.all(
        f"select {_FIELDS}, role, membership.created_ms,"
        " (select max(last_seen_ms) from session where session.person_id = person.id)"
        " from membership join person on person.id = membership.person_id"
        " where workspace_id = ? order by membership.created_ms, person.id",
        (workspace_id,),
    )
    return [_member(row) for row in rows]


def member(tx: Tx, workspace_id: int, person_id: int) -> Member:
    """One of them. Raises NotFound."""
    row = tx.one(
        f"select {_FIELDS}, role, membership.created_ms,"
        " (select max(last_seen_ms) from session where session.person_id = person.id)"
        " from membership join person on person.id = membership.person_id"
        " where workspace_id = ? and person_id = ?",
        (workspace_id, person_id),
    )
    if row is None:
        raise NotFound("no such person")
    return _member(row)


def _member(row: Row) -> Member:
    return Member(person=_person(row), role=row[10], joined_ms=row[11], last_seen_ms=row[12])


def owners(tx: Tx, workspace_id: int) -> int:
    """How many owners of a workspace can sign in."""
    return int(
        tx.value(
            "select count(*) from membership join person on person.id = membership.person_id"
            " where workspace_id = ? and role = 'owner' and disabled_ms is null",
            (workspace_id,),
        )
    )


def any_owner(tx: Tx) -> bool:
    """Whether anybody owns anything here."""
    return bool(tx.value("select exists (select 1 from membership where role = 'owner')"))


# -- passwords --------------------------------------------------------------------------------------------------------


def set_password(tx: Tx, person_id: int, password_hash: str, now_ms: int, remembered: int) -> None:
    """A new password; the earlier one is remembered, and so many in all."""
    tx.run(
        "insert into password_history (id, person_id, password_hash)"
        " select ?, id, password_hash from person where id = ? and password_hash is not null",
        (tx.new_id(now_ms), person_id),
    )
    tx.run(
        "update person set password_hash = ?, password_changed_ms = ? where id = ?", (password_hash, now_ms, person_id)
    )
    tx.run(
        "delete from password_history where person_id = ? and id not in"
        " (select id from password_history where person_id = ? order by id desc limit ?)",
        (person_id, person_id, remembered),
    )


def rehash(tx: Tx, person_id: int, before: str, after: str) -> None:
    """The same password under today's parameters, unless it was changed meanwhile."""
    tx.run("update person set password_hash = ? where id = ? and password_hash = ?", (after, person_id, before))


def earlier_passwords(tx: Tx, person_id: int, limit: int) -> list[str]:
    """The hashes of the present password and of those before it, the latest first."""
    rows = tx.all(
        "select password_hash from person where id = ? and password_hash is not null union all"
        " select * from (select password_hash from password_history where person_id = ? order by id desc)",
        (person_id, person_id),
    )
    return [row[0] for row in rows[:limit]]


# -- the second factor ------------------------------------------------------------------------------------------------


def offer_totp(tx: Tx, person_id: int, sealed: bytes) -> None:
    """A secret that was shown and waits for its first code."""
    tx.run("update person set totp_new = ? where id = ?", (sealed, person_id))


def begin_totp(tx: Tx, person_id: int, sealed: bytes, step: int) -> None:
    """From now on signing in needs its codes."""
    tx.run("update person set totp = ?, totp_new = null, totp_step = ? where id = ?", (sealed, step, person_id))


def use_totp_step(tx: Tx, person_id: int, step: int) -> None:
    """A code of this step was used; it and those before it work no more."""
    tx.run("update person set totp_step = max(totp_step, ?) where id = ?", (step, person_id))


def end_totp(tx: Tx, person_id: int) -> None:
    """No second factor, no recovery codes."""
    tx.run("update person set totp = null, totp_new = null where id = ?", (person_id,))
    tx.run("delete from recovery_code where person_id = ?", (person_id,))


def set_recovery_codes(tx: Tx, person_id: int, hashes: list[bytes]) -> None:
    """New codes instead of all earlier ones."""
    tx.run("delete from recovery_code where person_id = ?", (person_id,))
    tx.many("insert into recovery_code (person_id, code_hash) values (?, ?)", [(person_id, one) for one in hashes])


def use_recovery_code(tx: Tx, person_id: int, code_hash: bytes, now_ms: int) -> bool:
    """Uses a code up; False where it is none, or was used."""
    args: Any = (now_ms, person_id, code_hash)
    return bool(
        tx.run("update recovery_code set used_ms = ? where person_id = ? and code_hash = ? and used_ms is null", args)
    )


def recovery_codes_left(tx: Tx, person_id: int) -> int:
    """How many were not used yet."""
    return int(tx.value("select count(*) from recovery_code where person_id = ? and used_ms is null", (person_id,)))


# -- the first owner --------------------------------------------------------------------------------------------------


def set_setup_code(tx: Tx, code_hash: bytes, now_ms: int) -> None:
    """The one code that makes the first owner; an earlier one works no more."""
    tx.run("delete from setup_code")
    tx.run("insert into setup_code values (?, ?)", (code_hash, now_ms))


def is_setup_code(tx: Tx, code_hash: bytes) -> bool:
    """Whether it is the code."""
    return bool(tx.value("select exists (select 1 from setup_code where code_hash = ?)", (code_hash,)))


def use_setup_code(tx: Tx, code_hash: bytes) -> bool:
    """Uses it up; False for a wrong one."""
    return bool(tx.run("delete from setup_code where code_hash = ?", (code_hash,)))


def drop_setup_code(tx: Tx) -> None:
    """There is an owner: no code works."""
    tx.run("delete from setup_code")
