"""What tells of a person is taken out of archived rows, by the same rules as out of the database."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from signalcraft.domain.subject import Subject
from signalcraft.storage import audit, erasure
from signalcraft.storage.archive.asking import TABLES, Erase

if TYPE_CHECKING:
    import duckdb

_STEP = 500


def erased(duck: duckdb.DuckDBPyConnection, ask: Erase, names: list[str]) -> int:
    """Rewrites rows of the table `t`; how many."""
    key = TABLES[ask.table].key
    found = [(held[key], now) for held, now in _found(duck, ask, names)]
    for number, now in found:
        _set(duck, key, number, now)
    return len(found)


def telling(duck: duckdb.DuckDBPyConnection, ask: Erase, names: list[str]) -> list[tuple[Any, ...]]:
    """The rows of the table `t` that tell of them."""
    return [tuple(held.values()) for held, _ in _found(duck, ask, names)]


def _found(
    duck: duckdb.DuckDBPyConnection, ask: Erase, names: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(a row, what of it has to change)."""
    subject = Subject(ask.ids, ask.marks, ask.names, ask.code)
    key = TABLES[ask.table].key
    places = {place.table: place for place in erasure.KEPT}
    after = -1
    while ask.table == "audit" or ask.table in places:
        rows = duck.execute(f"select * from t where {key} > ? order by {key} limit {_STEP}", [after]).fetchall()
        for row in rows:
            held = dict(zip(names, row, strict=True))
            if ask.table == "audit":
                now = _audit(subject, ask, held)
            else:
                now = erasure.rewritten(subject, places[ask.table], held)
            if now:
                yield held, now
        if len(rows) < _STEP:
            return
        after = rows[-1][names.index(key)]


def _set(duck: duckdb.DuckDBPyConnection, key: str, number: int, now: dict[str, Any]) -> None:
    sets, values = [], list[Any]()
    for name, value in now.items():
        sets.append(f'"{name}" = ' + ("from_base64(?)" if isinstance(value, bytes) else "?"))
        values.append(base64.b64encode(value).decode() if isinstance(value, bytes) else value)
    duck.execute(f"update t set {', '.join(sets)} where {key} = ?", [*values, number])


def _audit(subject: Subject, ask: Erase, held: dict[str, Any]) -> dict[str, Any]:
    """Its two texts go as they go from the log itself: what stands in place of the salt says who took them."""
    now: dict[str, Any] = {}
    by_nobody = False
    for part in ("what", "who"):
        text = held[part]
        if text is None:
            continue
        value = msgspec.json.decode(text)
        tells = any(f'"{one}"' in text for one in subject.ids) or subject.sentence(text) != text
        if part == "what":
            by_nobody = tells
        if tells or (part == "who" and by_nobody and isinstance(value, dict) and value.get("kind") == "system"):
            now[part] = None
            now[f"{part}_salt"] = audit.erasure(ask.audit_key, held["workspace_id"], held["seq"], part)
    return now
