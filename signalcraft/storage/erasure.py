"""Everything that is kept about a person: found row by row, told, and replaced by what tells of nobody.

Which tables may hold what about people is declared in `KEPT`; tests walk the schema for columns of text that are
neither there nor said to hold nothing about people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import zstandard

from signalcraft.domain import ids
from signalcraft.domain.subject import Subject
from signalcraft.storage import audit, inbox, rotation
from signalcraft.storage.db import Tx

Rewrite = Callable[[Subject, Any], Any]
SCANNED: Final = 500
"""Rows that one step looks at."""


class Place(NamedTuple):
    """A table: the column that names its rows, and how each column is rewritten."""

    table: str
    key: str
    columns: dict[str, Rewrite]
    of_workspace: bool = True


def _text(subject: Subject, value: Any) -> Any:
    return subject.text(value)


def _name(subject: Subject, value: Any) -> Any:
    return subject.name(value)


def _sentence(subject: Subject, value: Any) -> Any:
    return subject.sentence(value)


def _who(subject: Subject, value: Any) -> Any:
    return subject.who(value)


def _data(subject: Subject, value: Any) -> Any:
    return subject.data(value)


KEPT: Final = (
    Place("journal", "id", {"actor": _who, "data": _data}),
    Place(
        "alert_group",
        "id",
        {
            **dict.fromkeys(("title", "message", "link", "tags", "runbook_url", "fingerprint"), _text),
            **dict.fromkeys(("acknowledged_by", "resolved_by"), _name),
            **dict.fromkeys(("resolution_note", "memory"), _sentence),
            "assignee": _who,
        },
    ),
    Place("comment", "id", {"author": _who, "text": _sentence}),
    Place("share", "id", {"author": _who}),
    Place(
        "event",
        "id",
        {
            **dict.fromkeys(("title", "message", "link", "tags", "source_event_id", "dedup_key"), _text),
            "actor": _name,
        },
    ),
    Place("inbox", "id", dict.fromkeys(("why", "rest", "query", "headers", "body"), _text)),
    Place("delivery", "id", {"reason": _sentence, "last_error": _text, "mention": _text}),
    Place("invitation", "id", {"inviter": _who}),
    Place("saved_view", "id", {"name": _sentence, "search": _sentence}),
    Place("fault", "fingerprint", {"message": _text, "trace": _text}, of_workspace=False),
)
"""Where people are spoken of. Configuration is not here: who is told is for people to change (`named`)."""


class Found(NamedTuple):
    """A row that tells of them: its key, what it says, and what it would say."""

    key: Any
    before: dict[str, Any]
    after: dict[str, Any]


def scan(tx: Tx, subject: Subject, place: Place, only: int | None, after: Any) -> tuple[list[Found], Any]:
    """The rows of the next stretch of a table that tell of them, and where to go on; None at its end.

    `only`: of one workspace; None: of the whole box.
    """
    if only is not None and not place.of_workspace:
        return [], None
    columns = list(place.columns)
    extra = ["codec"] if place.table == "inbox" else []
    conditions = [("workspace_id = ?", only)] if only is not None else []
    conditions += [(f"{place.key} > ?", after)] if after is not None else []
    where = " where " + " and ".join(sql for sql, _ in conditions) if conditions else ""
    rows = tx.all(
        f"select {place.key}, {', '.join(columns + extra)} from {place.table}{where} order by {place.key} limit ?",
        (*(value for _, value in conditions), SCANNED),
    )
    found = []
    for row in rows:
        before = dict(zip(columns + extra, row[1:], strict=True))
        now = rewritten(subject, place, before)
        if now:
            found.append(Found(row[0], {name: _shown(before, name) for name in columns}, now))
    return found, rows[-1][0] if len(rows) == SCANNED else None


def rewritten(subject: Subject, place: Place, row: dict[str, Any]) -> dict[str, Any]:
    """What of a row has to change, {} for nothing. `row` has every column of the place, and `codec` of a webhook."""
    now = {}
    for name, rewrite in place.columns.items():
        value = row[name]
        if value is None or name == "body":
            continue
        clean = rewrite(subject, value)
        if clean != value:
            now[name] = clean
    if place.table == "journal" and "actor" in now and subject.is_actor(msgspec.json.decode(row["actor"])):
        now["data"] = subject.data(row["data"], theirs=True)
    if place.table == "inbox":
        body = _unpacked(row)
        clean = subject.bytes(body)
        if clean != body:
            now |= {"body": clean, "codec": inbox.RAW}
    return now


def _unpacked(row: dict[str, Any]) -> bytes:
    body: bytes = row["body"]
    return body if row["codec"] == inbox.RAW else zstandard.ZstdDecompressor().decompress(body, 64 * 1024 * 1024)


def _shown(row: dict[str, Any], name: str) -> Any:
    value = _unpacked(row) if name == "body" else row[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def erase(tx: Tx, subject: Subject, place: Place, keys: list[Any]) -> int:
    """Rewrites these rows, as they are now; how many there were. Rewritten bodies are packed as they were."""
    rotation.overwritten(tx)
    columns = [*place.columns, *(["codec"] if place.table == "inbox" else [])]
    done = 0
    for key in keys:
        row = tx.one(f"select {', '.join(columns)} from {place.table} where {place.key} = ?", (key,))
        now = rewritten(subject, place, dict(zip(columns, row, strict=True))) if row is not None else {}
        if "body" in now and len(now["body"]) > 200:
            now |= {"body": zstandard.ZstdCompressor(level=1).compress(now["body"]), "codec": inbox.ZSTD}
        if now:
            sets = ", ".join(f"{name} = ?" for name in now)
            done += tx.run(f"update {place.table} set {sets} where {place.key} = ?", (*now.values(), key))
    return done


def forget(tx: Tx, subject: Subject, person_id: int, now_ms: int) -> None:
    """The rest, at the end: the account with all that hangs on it, invitations, and what the audit log says."""
    rotation.overwritten(tx)
    for mark in subject.marks:
        tx.run("delete from invitation where email = ?", (mark,))
    tx.run("update invitation set inviter_id = null where inviter_id = ?", (person_id,))
    tx.run("delete from person where id = ?", (person_id,))
    for mark in subject.marks or (ids.show(person_id),):
        audit.forget(tx, now_ms, person_id, mark)
    for name in subject.names:
        # The log is searched for parts of texts: a name of one word would be found in others' words.
        audit.forget(tx, now_ms, person_id, name if " " in name else ids.show(person_id), name)
    tx.then(lambda: rotation.emptied(tx))


# -- telling ----------------------------------------------------------------------------------------------------------

_RECORD: Final = {
    "person": ("id", "id, email, name, password_changed_ms, disabled_ms, totp is not null as totp, created_ms"),
    "membership": ("person_id", "workspace_id, role, created_ms"),
    "session": (
        "person_id",
        "id, method, address, user_agent, created_ms, last_seen_ms, expires_ms, step_up_ms, revoked_ms",
    ),
    "recovery_code": ("person_id", "used_ms"),
    "identity": ("person_id", "issuer, subject, email, created_ms, last_used_ms"),
    "saved_view": (
        "person_id",
        "id, workspace_id, name, search, sort, descending, group_by, shared, created_ms, updated_ms",
    ),
    "passkey": ("person_id", "id, rp_id, name, transports, synced, created_ms, last_used_ms"),
}


def record(tx: Tx, person_id: int) -> dict[str, list[dict[str, Any]]]:
    """What is kept for their account, without what proves who they are (hashes, keys, sealed secrets)."""
    return {table: _dicts(tx, table, fields, key, person_id) for table, (key, fields) in _RECORD.items()}


def invited(tx: Tx, email: str, only: int | None) -> list[dict[str, Any]]:
    """Their own invitations."""
    found = _dicts(tx, "invitation", "id, workspace_id, role, created_ms, expires_ms, accepted_ms", "email", email)
    return [one for one in found if only in (None, one["workspace_id"])]


def _dicts(tx: Tx, table: str, fields: str, key: str, value: Any) -> list[dict[str, Any]]:
    names = [field.rpartition(" as ")[2].strip() for field in fields.split(",")]
    return [
        dict(zip(names, row, strict=True))
        for row in tx.all(f"select {fields} from {table} where {key} = ? order by 1", (value,))
    ]


def audited(tx: Tx, subject: Subject, workspace_ids: list[int], limit: int) -> list[dict[str, Any]]:
    """The rows of the audit log that tell of them, the oldest first."""
    found = []
    for workspace_id in workspace_ids:
        for row in audit.every(tx, workspace_id):
            said = f"{row.who or ''}{row.what or ''}"
            if any(f'"{one}"' in said for one in subject.ids) or subject.text(said) != said:
                who, what = (msgspec.json.decode(t) if t else None for t in (row.who, row.what))
                found.append({"at_ms": row.at_ms, "verb": row.verb, "who": who, "what": what})
            if len(found) >= limit:
                return found
    return found


def namesakes(tx: Tx, name: str, person_id: int) -> int:
    """How many others have this name."""
    return int(tx.value("select count(*) from person where name = ? and id <> ?", (name, person_id)))


_NAMED: Final = (
    ("channel", "name", "config"),
    ("rule", "name", "body"),
    ("integration", "name", "config"),
    ("workspace", "name", "settings"),
    ("api_key", "name", "name"),
)


def named(tx: Tx, subject: Subject, only: int | None) -> list[str]:
    """Where the configuration names them: for people to change, since somebody else has to be told instead."""
    found = []
    for table, name, column in _NAMED:
        workspace = "id" if table == "workspace" else "workspace_id"
        for shown, text, workspace_id in tx.all(f"select {name}, {column}, {workspace} from {table} order by 1"):
            if only not in (None, workspace_id):
                continue
            if subject.text(text) != text or any(f'"{one}"' in text for one in subject.ids):
                found.append(f'{table.replace("_", " ")} "{subject.text(shown)}"')
    return found
