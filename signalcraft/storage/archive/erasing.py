"""What tells of a person is taken out of archived rows, by the same rules as out of the database."""

from __future__ import annotations

import base64
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
    subject = Subject(ask.ids, ask.marks, ask.names, ask.code)
    key = TABLES[ask.table].key
    places = {place.table: place for place in erasure.KEPT}
    if ask.table != "audit" and ask.table not in places:
        return 0
    changed, after = 0, -1
    while True:
        rows = duck.execute(f"select * from t where {key} > ? order by {key} limit {_STEP}", [after]).fetchall()
        for row in rows:
            held = dict(zip(names, row, strict=True))
            if ask.table == "audit":
                now = _audit(subject, ask, held)
            else:
                now = erasure.rewritten(subject, places[ask.table], held)
            if now:
                _set(duck, key, held[key], now)
                changed += 1
        if len(rows) < _STEP:
            return changed
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
