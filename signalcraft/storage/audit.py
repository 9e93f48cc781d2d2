"""The audit chain: who did what, from where; only added to, and whoever changes a row is found out.

Each workspace has a chain of its own. A row's two texts, `who` did it and `what` was done, enter the chain as digests
with a random salt beside each, so that a text can be erased and the chain still holds
(docs/decisions/0011-audit-chain.md). Rows come from the journal, in its transaction: see `take`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.storage.db import Row, Tx

NOTHING: Final = bytes(32)
"""What the first row of a chain is chained to."""
FIELDS: Final = "seq, at_ms, verb, who, who_salt, who_digest, what, what_salt, what_digest, chain, mac"
_ANSWERS: Final = frozenset(
    {
        *("acknowledged", "snoozed", "unsnoozed", "resolved", "reopened", "assigned"),
        *("delivery_retried", "delivery_dropped"),
        *("commented", "comment_edited", "comment_deleted"),
    }
)
"""What people do about alert groups; everything else about groups is their timeline's alone."""
_SHARES: Final = frozenset({"shared", "share_revoked"})
"""Shown to people outside: of interest, as sign-ins are."""
_OPERATION: Final = frozenset({"told", "delivery_failed", "told_by_fallback"})
_HEADLINES: Final = ("config.applied", "owner_made", "invitation_accepted", "password_reset")
_ALONE: Final = frozenset({"account_locked"})
_THINGS: Final = ("id", "person", "invitation", "session", "delivery", "quarantine_id")
_ORDINARY: Final = (
    *sorted(_ANSWERS),
    *("asked", "deliveries_retried", "gap", "clock_stepped", "quarantine_dropped", "quarantine_replayed"),
)
_SECURITY: Final = (
    f"verb not in ({', '.join(map(repr, _ORDINARY))}) and verb not glob 'rule*.*' and verb not glob 'channel.*'"
    " and verb not glob 'integration.*' and verb not glob 'workspace.*' and verb not glob 'config.*'"
)
"""What nobody has called ordinary is of interest: a new verb is shown."""
_ENCODER: Final = msgspec.json.Encoder()


class Line(Struct, frozen=True):
    """One thing that was done, before it is a row."""

    entry_id: int
    workspace_id: int
    at_ms: int
    group_id: int | None
    verb: str
    actor: Actor
    data: Mapping[str, Any]


class Stored(Struct, frozen=True):
    """A row as it is kept; texts that were erased are None."""

    seq: int
    at_ms: int
    verb: str
    who: str | None
    who_salt: bytes
    who_digest: bytes
    what: str | None
    what_salt: bytes
    what_digest: bytes
    chain: bytes
    mac: bytes


class Head(Struct, frozen=True):
    """Where a chain begins and ends."""

    first_seq: int = 1
    first_chain: bytes = NOTHING
    seq: int = 0
    chain: bytes = NOTHING
    mac: bytes = b""


# -- adding -----------------------------------------------------------------------------------------------------------


def is_audited(group_id: int | None, verb: str, actor: Actor) -> bool:
    """Whether a line of the journal belongs into the audit log too."""
    if group_id is None:
        return verb not in _OPERATION
    if verb not in _ANSWERS | _SHARES or actor.kind == "source":
        return False
    return actor.kind != "system" or verb == "resolved"


def take(tx: Tx, line: Line) -> None:
    """A line of the journal is to be audited: it becomes a row when the present work ends, in its transaction.

    What one request writes in one work, is one row in each workspace: its headline, and the rest under `also`.
    """
    for call in tx.endings:
        if isinstance(call, _Ending):
            call.lines.append(line)
            return
    tx.at_end(_Ending(tx, line))


class _Ending:
    """What is to be done with the lines of a work when it ends."""

    def __init__(self, tx: Tx, first: Line) -> None:
        self._tx = tx
        self.lines = [first]

    def __call__(self) -> None:
        tx = self._tx
        # A savepoint may have been rolled back meanwhile, and its lines of the journal with it.
        stay = [line for line in self.lines if tx.value("select 1 from journal where id = ?", (line.entry_id,))]
        if tx.origin is None:
            for line in stay:
                _append(tx, line, [])
            return
        for workspace_id in dict.fromkeys(line.workspace_id for line in stay):
            here = [line for line in stay if line.workspace_id == workspace_id]
            together = [line for line in here if line.verb not in _ALONE]
            if together:
                lead = min(together, key=lambda one: one.verb not in _HEADLINES)
                _append(tx, lead, [one for one in together if one is not lead])
            for line in here:
                if line.verb in _ALONE:
                    _append(tx, line, [])
            tx.then(tx.origin.counted)


def add(tx: Tx, now_ms: int, workspace_id: int, verb: str, actor: Actor, data: Mapping[str, Any] | None = None) -> None:
    """A row that has no line in the journal: a request that changed nothing, the chain's own care."""
    _append(tx, Line(0, workspace_id, now_ms, None, verb, actor, data or {}), [])
    if tx.origin is not None:
        tx.then(tx.origin.counted)


def _append(tx: Tx, line: Line, rest: list[Line]) -> None:
    who: dict[str, Any] = {"kind": line.actor.kind, "id": line.actor.id, "name": line.actor.name}
    if tx.origin is not None:
        origin = tx.origin
        who |= {"address": origin.address, "user_agent": origin.user_agent, "request_id": origin.request_id}
    what = _said(line)
    if rest:
        what["also"] = [{"verb": one.verb, **_said(one)} for one in rest]
    who_text, what_text = _ENCODER.encode(who).decode(), _ENCODER.encode(what).decode()
    who_salt, what_salt = secrets.token_bytes(16), secrets.token_bytes(16)
    who_digest, what_digest = digest(who_salt, who_text), digest(what_salt, what_text)
    head = head_of(tx, line.workspace_id) or Head()
    seq = head.seq + 1
    chain = chained(head.chain, line.workspace_id, seq, line.at_ms, line.verb, who_digest, what_digest)
    tx.run(
        "insert into audit (workspace_id, seq, at_ms, verb, who, who_salt, who_digest, what, what_salt, what_digest,"
        " chain, mac) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(line.workspace_id, seq, line.at_ms, line.verb),
            *(who_text, who_salt, who_digest, what_text, what_salt, what_digest),
            *(chain, sealed(tx.audit_key, b"row", chain)),
        ),
    )
    put_head(tx, line.workspace_id, Head(head.first_seq, head.first_chain, seq, chain))


def _said(line: Line) -> dict[str, Any]:
    data = dict(line.data)
    if line.group_id is not None:
        return {"id": ids.show(line.group_id), "data": data}
    thing = next((str(data[name]) for name in _THINGS if data.get(name)), None)
    return {**({"id": thing} if thing is not None else {}), "data": data}


# -- the chain --------------------------------------------------------------------------------------------------------


def digest(salt: bytes, text: str) -> bytes:
    """What of a text enters the chain."""
    return hashlib.sha256(salt + text.encode()).digest()


def chained(before: bytes, workspace_id: int, seq: int, at_ms: int, verb: str, who: bytes, what: bytes) -> bytes:
    """The chain behind a row: over the chain before it, its place and time, its verb and the digests of its texts."""
    numbers = b"".join(max(number, 0).to_bytes(8, "big") for number in (workspace_id, seq, at_ms))
    named = verb.encode()
    return hashlib.sha256(before + numbers + len(named).to_bytes(2, "big") + named + who + what).digest()


def sealed(key: bytes, *parts: bytes) -> bytes:
    """16 bytes that nobody makes without the key."""
    return hashlib.blake2b(b"\0".join(parts), key=key, digest_size=16).digest()


def erasure(key: bytes, workspace_id: int, seq: int, part: str) -> bytes:
    """What stands in the place of a salt once its text was erased by us."""
    return sealed(key, b"erased", f"{workspace_id}/{seq}/{part}".encode())


def head_mac(key: bytes, workspace_id: int, head: Head) -> bytes:
    """The seal of a head."""
    numbers = f"{workspace_id}/{head.first_seq}/{head.seq}".encode()
    return sealed(key, b"head", numbers, head.first_chain, head.chain)


def head_of(tx: Tx, workspace_id: int) -> Head | None:
    """Where a chain begins and ends; None for one that has not begun."""
    row = tx.one(
        "select first_seq, first_chain, seq, chain, mac from audit_head where workspace_id = ?", (workspace_id,)
    )
    return None if row is None else Head(*row)


def put_head(tx: Tx, workspace_id: int, head: Head) -> None:
    """Seals and stores it."""
    tx.run(
        "insert into audit_head values (?, ?, ?, ?, ?, ?) on conflict do update set first_seq = excluded.first_seq,"
        " first_chain = excluded.first_chain, seq = excluded.seq, chain = excluded.chain, mac = excluded.mac",
        (
            *(workspace_id, head.first_seq, head.first_chain, head.seq, head.chain),
            head_mac(tx.audit_key, workspace_id, head),
        ),
    )


def holds(given: bytes, expected: bytes) -> bool:
    """Whether two seals are the same."""
    return hmac.compare_digest(given, expected)


# -- reading ----------------------------------------------------------------------------------------------------------


def stored(row: Row) -> Stored:
    """A row of FIELDS."""
    return Stored(*row)


def rows(tx: Tx, workspace_id: int, after: int = 0, limit: int = 1000) -> list[Stored]:
    """Rows behind the row `after`, the oldest first."""
    sql = f"select {FIELDS} from audit where workspace_id = ? and seq > ? order by seq limit ?"
    return [stored(row) for row in tx.all(sql, (workspace_id, after, limit))]


def every(tx: Tx, workspace_id: int) -> Iterator[Stored]:
    """All rows, the oldest first, a thousand at a time."""
    after = -(1 << 62)
    while True:
        some = rows(tx, workspace_id, after)
        if not some:
            return
        yield from some
        after = some[-1].seq


class Filter(Struct, frozen=True, kw_only=True):
    """What to look for; empty: everything. `actor`, `thing`: ids as text. Times in ms, from ≤ at < until.

    `security`: only what is about accounts, sessions, keys and people.
    """

    actor: str = ""
    thing: str = ""
    verbs: tuple[str, ...] = ()
    from_ms: int | None = None
    until_ms: int | None = None
    security: bool = False


def page(
    tx: Tx, workspace_id: int, wanted: Filter, *, before: int | None = None, after: int | None = None, limit: int = 50
) -> list[Stored]:
    """Rows that fit: the newest first below `before`, or the oldest first behind `after`."""
    questions = ["workspace_id = ?"]
    values: list[Any] = [workspace_id]
    for sql, value in (
        ("actor_id = ?", wanted.actor or None),
        ("thing_id = ?", wanted.thing or None),
        ("at_ms >= ?", wanted.from_ms),
        ("at_ms < ?", wanted.until_ms),
        ("seq < ?", before),
        ("seq > ?", after),
    ):
        if value is not None:
            questions.append(sql)
            values.append(value)
    if wanted.verbs:
        questions.append(f"verb in ({', '.join('?' * len(wanted.verbs))})")
        values += wanted.verbs
    if wanted.security:
        questions.append(_SECURITY)
    order = "desc" if after is None else "asc"
    sql = f"select {FIELDS} from audit where {' and '.join(questions)} order by seq {order} limit ?"
    return [stored(row) for row in tx.all(sql, (*values, limit))]


def count(tx: Tx, workspace_id: int, verbs: tuple[str, ...], from_ms: int, until_ms: int) -> int:
    """How many rows of these verbs there are in [from, until)."""
    marks = ", ".join("?" * len(verbs))
    sql = f"select count(*) from audit where workspace_id = ? and verb in ({marks}) and at_ms >= ? and at_ms < ?"
    return int(tx.value(sql, (workspace_id, *verbs, from_ms, until_ms)))


# -- erasing ----------------------------------------------------------------------------------------------------------


def forget(tx: Tx, now_ms: int, person_id: int, email: str, name: str = "") -> int:
    """Erases what tells of a person, in every workspace; how many rows it touched. The chains still hold.

    Who they are goes from the rows of what they did, and both texts of what was done to them, or names them. The rows
    stay, with their time and verb, and so does what they did, where it does not name them.
    """
    shown, address = ids.show(person_id), email.lower()
    marks = [quoted(text) for text in (shown, name) if text]
    named = f"what is not null and (instr(lower(what), ?) > 0 or {' or '.join('instr(what, ?) > 0' for _ in marks)})"
    found = tx.all(
        f"with seen as (select workspace_id, seq, who, what, {named} as named from audit)"
        " select workspace_id, seq, who is not null and (json_extract(who, '$.id') is ? or instr(lower(who), ?) > 0"
        # Done by nobody we know, and about them: the address it came from may be theirs.
        " or (named and json_extract(who, '$.kind') = 'system')) as who_names, named from seen"
        " where who_names or named",
        (address, *marks, shown, address),
    )
    for workspace_id, seq, who_names, what_names in found:
        for part, names in (("who", who_names), ("what", what_names)):
            if names:
                _erase(tx, workspace_id, seq, part)
    tx.run("delete from security_count where actor = ?", (f"user:{shown}",))
    return len(found)


def quoted(text: str) -> str:
    """A text as it stands in JSON."""
    return _ENCODER.encode(text).decode()


def _erase(tx: Tx, workspace_id: int, seq: int, part: str) -> None:
    salt = erasure(tx.audit_key, workspace_id, seq, part)
    tx.run(
        f"update audit set {part} = null, {part}_salt = ? where workspace_id = ? and seq = ?",
        (salt, workspace_id, seq),
    )


def purge(tx: Tx, workspace_id: int, before_ms: int, limit: int) -> int:
    """Deletes the oldest rows, at most `limit`, up to the first that is not older; how many. The rest still holds."""
    head = head_of(tx, workspace_id)
    if head is None:
        return 0
    last: Stored | None = None
    gone = 0
    for row in rows(tx, workspace_id, 0, limit):
        if row.at_ms >= before_ms:
            break
        last, gone = row, gone + 1
    if last is not None:
        put_head(tx, workspace_id, Head(last.seq + 1, last.chain, head.seq, head.chain))
        tx.run("delete from audit where workspace_id = ? and seq <= ?", (workspace_id, last.seq))
    return gone
