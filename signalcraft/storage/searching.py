"""Alert groups as the inbox lists them: found by filters and a search, in any order, page by page, and counted.

Every condition is one constant piece of SQL; values are always bound. Pages go on behind the place where the one before
ended (a key, never an offset), so that a row that has not changed is neither left out nor shown twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.domain import ids, search
from signalcraft.domain.group import Group
from signalcraft.domain.search import Search, Term, Value
from signalcraft.errors import Invalid, NotFound
from signalcraft.storage import groups
from signalcraft.storage.db import Tx
from signalcraft.storage.lists import Where

Sort = Literal["last_seen", "first_seen", "count", "severity", "status", "title"]
GroupBy = Literal["project", "environment", "source", "severity", "assignee"]
COUNT_MAX: Final = 10_000
"""How many groups are looked at to count those that a search finds."""


class GroupFilter(Struct, frozen=True, kw_only=True):
    """Which alert groups. Empty lists and None filter nothing; times in ms, both ends included.

    `text`: the title holds it in any case, or it is the id. `assignees`: ids or names; `none` for nobody.
    `since_ms` and `until_ms`: the group was active between them. `me`: id and name of who asks, for `assignee:me`.
    """

    statuses: Sequence[str] = ()
    severities: Sequence[int] = ()
    environments: Sequence[str] = ()
    projects: Sequence[str] = ()
    sources: Sequence[str] = ()
    assignees: Sequence[str] = ()
    text: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    search: Search = Search()
    me: tuple[str, str] = ("", "")
    now_ms: int = 0


class _Order(Struct, frozen=True):
    """What is sorted by, and what decides between equals, the latest first."""

    by: str
    ties: tuple[str, ...] = ("id",)


_ORDERS: Final[dict[Sort, _Order]] = {
    "last_seen": _Order("last_seen_ms"),
    "first_seen": _Order("first_seen_ms"),
    "count": _Order("count"),
    "severity": _Order("severity", ("last_seen_ms", "id")),
    "status": _Order(
        "case status when 'open' then 0 when 'acknowledged' then 1 when 'snoozed' then 2 else 3 end",
        ("last_seen_ms", "id"),
    ),
    "title": _Order("title collate nocase"),
}
SORTS: Final = tuple(_ORDERS)
_LAST: Final = "char(1114111)"  # behind every name: those who have none come last
_GROUPED: Final[dict[GroupBy, str]] = {
    "project": f"coalesce(project, {_LAST})",
    "environment": f"coalesce(environment, {_LAST})",
    "source": "source",
    "severity": "-severity",
    "assignee": f"coalesce(json_extract(assignee, '$.name'), {_LAST})",
}
GROUPINGS: Final = tuple(_GROUPED)


class Place(Struct, frozen=True):
    """Where a page ended: the number that it was sorted by (0 for a title), and what decided between equals."""

    number: int
    last_seen_ms: int
    id: int


def groups_page(
    tx: Tx,
    workspace_id: int,
    wanted: GroupFilter,
    after: Place | None,
    limit: int,
    *,
    sort: Sort = "last_seen",
    descending: bool = True,
    group_by: GroupBy | None = None,
) -> tuple[list[Group], Place | None]:
    """Alert groups behind a place, and the place behind which more of them are; None at the end.

    `group_by`: those with the same one stand together, the worst severity or the first name before the others. Raises
    Invalid at `cursor` where the group that a page by title or in groups ended with is no more.
    """
    statuses = _statuses(wanted)
    if not statuses:
        return [], None
    order = _ORDERS[sort]
    way = "desc" if descending else "asc"
    # One way throughout where an index can follow it; elsewhere the latest comes first among equals.
    tie = way if sort == "last_seen" else "desc"
    where = _where(workspace_id, wanted)
    if after is not None:
        _go_on(tx, where, sort, group_by, after, way, tie)
    ordering = ", ".join([f"{order.by} {way}", *(f"{column} {tie}" for column in order.ties)])
    if group_by is not None:
        ordering = f"{_GROUPED[group_by]}, {ordering}"
    everything = len(statuses) == len(search.STATUSES)
    number = "0" if sort == "title" else order.by
    fields = f"{groups.FIELDS}, {number} as place"
    if everything or sort != "last_seen" or group_by is not None:
        if not everything:
            where.among("status", statuses)
        # Ids are sorted, not whole rows.
        sql = (
            f"select {fields} from alert_group where id in"
            f" (select id from alert_group where {where} order by {ordering} limit ?) order by {ordering}"
        )
        rows = tx.all(sql, (*where.args, limit + 1))
    else:
        # The latest of each status from its own stretch of the index: nothing is sorted but what may be on the page.
        stretch = f"select * from (select {fields} from alert_group where status = ? and {where} order by {ordering}"
        sql = " union all ".join([f"{stretch} limit ?)"] * len(statuses)) + f" order by {ordering} limit ?"
        args = [one for status in statuses for one in (status, *where.args, limit + 1)]
        rows = tx.all(sql, (*args, limit + 1))
    found = [groups.from_row(row[:-1]) for row in rows[:limit]]
    if len(rows) <= limit:
        return found, None
    return found, Place(rows[limit - 1][-1], found[-1].last_seen_ms, found[-1].id)


def _go_on(tx: Tx, where: Where, sort: Sort, group_by: GroupBy | None, after: Place, way: str, tie: str) -> None:
    order = _ORDERS[sort]
    first: int | str = after.number
    if sort == "title":
        first = _ended_with(tx, "title", after)
    values = {"last_seen_ms": after.last_seen_ms, "id": after.id}
    beyond, behind = (">" if way == "asc" else "<"), (">" if tie == "asc" else "<")
    ties = ", ".join(order.ties)
    marks = ", ".join("?" for _ in order.ties)
    of_ties = [values[name] for name in order.ties]
    if way == tie:
        sql, args = f"({order.by}, {ties}) {beyond} (?, {marks})", [first, *of_ties]
    else:
        sql = f"({order.by} {beyond} ? or ({order.by} = ? and ({ties}) {behind} ({marks})))"
        args = [first, first, *of_ties]
    if group_by is not None:
        group, at = _GROUPED[group_by], _ended_with(tx, _GROUPED[group_by], after)
        sql, args = f"({group} > ? or ({group} = ? and {sql}))", [at, at, *args]
    where.add(sql, *args)


def _ended_with(tx: Tx, column: str, after: Place) -> int | str:
    found: int | str | None = tx.value(f"select {column} from alert_group where id = ?", (after.id,))
    if found is None:
        raise Invalid("the page that this cursor goes on from is no more; leave it out to start over", path="cursor")
    return found


def count(tx: Tx, workspace_id: int, wanted: GroupFilter) -> tuple[int, bool]:
    """How many there are, and whether that is all: no more than COUNT_MAX groups of their statuses are looked at."""
    statuses = _statuses(wanted)
    if not statuses:
        return 0, True
    among, where = Where("workspace_id = ?", workspace_id), _where(workspace_id, wanted)
    if len(statuses) < len(search.STATUSES):
        among.among("status", statuses)
    row = tx.one(
        f"select count(*), coalesce(sum(hit), 0) from"
        f" (select {where} as hit from alert_group where {among} limit {COUNT_MAX + 1})",
        (*where.args, *among.args),
    )
    looked_at, found = row or (0, 0)
    return min(found, COUNT_MAX), looked_at <= COUNT_MAX


# -- conditions -------------------------------------------------------------------------------------------------------


def _statuses(wanted: GroupFilter) -> list[str]:
    """The statuses in which a group can be at all."""
    left = [status for status in search.STATUSES if not wanted.statuses or status in wanted.statuses]
    for term in wanted.search.terms:
        if term.key == "status":
            named = {value.text for value in term.values}
            left = [status for status in left if (status in named) != term.negated]
    return left


def _where(workspace_id: int, wanted: GroupFilter) -> Where:
    where = Where("workspace_id = ?", workspace_id)
    where.among("severity", wanted.severities)
    where.among("environment", wanted.environments)
    where.among("project", wanted.projects)
    where.among("source", wanted.sources)
    if wanted.assignees:
        named = _json(wanted.assignees)
        where.add(
            "(coalesce(json_extract(assignee, '$.id'), 'none') in (select value from json_each(?))"
            " or json_extract(assignee, '$.name') in (select value from json_each(?)))",
            named,
            named,
        )
    if wanted.text:
        sql, pattern = _holds("title", wanted.text)
        where.add(f"({sql} or id = ?)", pattern, _as_id(wanted.text))
    if wanted.since_ms is not None:
        where.add("last_seen_ms >= ?", wanted.since_ms)
    if wanted.until_ms is not None:
        where.add("first_seen_ms <= ?", wanted.until_ms)
    for term in wanted.search.terms:
        if term.key != "status":
            sql, args = _condition(term, wanted)
            where.add(f"not {sql}" if term.negated else sql, *args)
    return where


_NUMBERS: Final = {"severity": "severity", "count": "count", "users": "coalesce(users_affected, 0)"}
_SPANS: Final = {"seen": "last_seen_ms", "age": "first_seen_ms"}
_NAMES: Final = {"project": "project", "environment": "environment", "source": "source"}
_FLIPPED: Final = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


def _condition(term: Term, wanted: GroupFilter) -> tuple[str, list[str | int]]:
    """A term as SQL that is true or false, never null, without its minus."""
    key = term.key
    if key in _NUMBERS:
        if term.op == "in":
            return f"{_NUMBERS[key]} in (select value from json_each(?))", [_json([v.number for v in term.values])]
        return f"{_NUMBERS[key]} {term.op} ?", [term.values[0].number]
    if key in _SPANS:  # longer ago is a smaller time
        return f"{_SPANS[key]} {_FLIPPED[term.op]} ?", [wanted.now_ms - term.values[0].number]
    if key in _NAMES:
        return _named(f"coalesce({_NAMES[key]}, '')", f"{_NAMES[key]} is null", term.values)
    if key == "assignee":
        return _assigned(term.values, wanted.me)
    if key == "tag":
        return _tagged(term)
    texts = [value.text for value in term.values]
    if key in ("title", "message"):
        return _any([_holds(key, text) for text in texts])
    columns = ("title", "coalesce(project, '')", "message")
    sql, args = _any([_holds(column, texts[0]) for column in columns])
    return f"({sql} or id = ?)", [*args, _as_id(texts[0])]


def _any(parts: Sequence[tuple[str, str]]) -> tuple[str, list[str | int]]:
    return f"({' or '.join(sql for sql, _ in parts)})", [arg for _, arg in parts]


def _named(column: str, missing: str, values: Sequence[Value]) -> tuple[str, list[str | int]]:
    """Any of the values, in any case of ASCII letters; `none` where the column is empty."""
    parts: list[str] = []
    args: list[str | int] = []
    same = [_folded(value.text) for value in values if value.kind == "is"]
    if same:
        parts.append(f"lower({column}) in (select value from json_each(?))")
        args.append(_json(same))
    for value in values:
        if value.kind == "like":
            parts.append(f"({column} glob ? and not {missing})")
            args.append(_pattern(value.text))
        elif value.kind == "none":
            parts.append(missing)
    return f"({' or '.join(parts)})", args


def _assigned(values: Sequence[Value], me: tuple[str, str]) -> tuple[str, list[str | int]]:
    sql, args = (
        _named("coalesce(json_extract(assignee, '$.name'), '')", "assignee is null", values)
        if any(value.kind != "me" for value in values)
        else ("", [])
    )
    parts = [sql] if sql else []
    same = [value.text for value in values if value.kind == "is"]
    if same:
        parts.append("coalesce(json_extract(assignee, '$.id'), '') in (select value from json_each(?))")
        args.append(_json(same))
    if any(value.kind == "me" for value in values):
        parts.append("(coalesce(json_extract(assignee, '$.id'), '') = ?")
        parts[-1] += " or coalesce(json_extract(assignee, '$.name'), '') = ?)"
        args += me
    return f"({' or '.join(parts)})", args


def _tagged(term: Term) -> tuple[str, list[str | int]]:
    has = "exists (select 1 from json_each(tags) as tag where tag.key = ?"
    parts: list[str] = []
    args: list[str | int] = []
    with_value = [value for value in term.values if value.kind != "none"]
    if with_value:
        sql, found = _named("coalesce(tag.value, '')", "tag.value is null", with_value)
        parts.append(f"{has} and {sql})")
        args += [term.tag, *found]
    if len(with_value) < len(term.values):
        parts.append(f"not {has})")
        args.append(term.tag)
    return f"({' or '.join(parts)})", args


def _json(values: Sequence[str] | Sequence[int]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _folded(text: str) -> str:
    """As SQLite's `lower` does it: the letters of ASCII alone."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def _holds(column: str, text: str) -> tuple[str, str]:
    """SQL and its value for "holds this text, in any case": LIKE folds the case of ASCII letters alone, but fast."""
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} like ? escape '\\'", f"%{escaped}%"
    return f"{column} glob ?", f"*{_letters(text)}*"


def _pattern(text: str) -> str:
    """A GLOB pattern of a text in which `*` stands for anything, in any case."""
    return "*".join(map(_letters, text.split("*")))


def _letters(text: str) -> str:
    out = []
    for c in text:
        lower, upper = c.lower(), c.upper()
        if c in "*?[":
            out.append(f"[{c}]")
        elif lower != upper and len(lower) == len(upper) == 1:
            out.append(f"[{lower}{upper}]")
        else:
            out.append(c)
    return "".join(out)


def _as_id(text: str) -> int:
    try:
        return ids.parse(text)
    except NotFound:
        return -1
