"""Counters of any stretch of time, read from the widest roll-ups that fit: days, hours, quarters, and minutes at the
edges.

The writer folds closed minutes into them each minute; what is counted for a folded minute later goes into them by a
trigger, in the same transaction (migration 0012), so that they are exact at any moment. docs/reference/figures.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from signalcraft.storage.db import Tx

WIDTHS: Final = (1440, 60, 15)
"""Of a bucket, in minutes."""
FOREVER: Final = 2**40
"""A minute that never comes."""
FOLDED_AT_ONCE: Final = 15
"""Minutes that one transaction folds: some milliseconds."""


class Mark(Struct, frozen=True):
    """Minutes before `minute` are rolled up; `late`: how often something was added to one of them afterwards."""

    minute: int
    late: int


class Part(Struct, frozen=True):
    """[start, until) minutes, made of whole buckets of `width` minutes; 1: of minutes themselves."""

    width: int
    start: int
    until: int


def mark(tx: Tx) -> Mark:
    """How far the roll-ups reach."""
    row = tx.one("select minute, late from rolled_mark where id = 1")
    return Mark(0, 0) if row is None else Mark(*row)


# -- folding ----------------------------------------------------------------------------------------------------------


def fold(tx: Tx, until_minute: int) -> int:
    """Rolls up the next closed minutes before `until_minute`, a few at once; how many counters it read.

    Call it until `mark` reaches `until_minute`. Done twice, or cut off before its commit, it changes nothing.
    """
    start = mark(tx).minute
    workspaces = [row[0] for row in tx.all("select id from workspace")]
    if start == 0 or until_minute - start > FOLDED_AT_ONCE:
        start = _next_counted(tx, workspaces, start, until_minute)
    until = min(until_minute, start - start % 15 + FOLDED_AT_ONCE)
    read = 0
    for workspace_id in workspaces if start < until else ():
        read += _fold(tx, workspace_id, start, until)
    tx.run("update rolled_mark set minute = ? where id = 1 and minute < ?", (until, until))
    return read


def _next_counted(tx: Tx, workspaces: list[int], start: int, until_minute: int) -> int:
    """The first minute from `start` on with a counter: years without any are passed in one step."""
    found = [
        tx.value(
            "select min(minute) from minute_count where workspace_id = ? and minute >= ? and minute < ?",
            (number, start, until_minute),
        )
        for number in workspaces
    ]
    return min((minute for minute in found if minute is not None), default=until_minute)


def _fold(tx: Tx, workspace_id: int, start: int, until: int) -> int:
    sums: Counter[tuple[str, int]] = Counter()
    totals: Counter[str] = Counter()
    rows = tx.all(
        "select what, subject, n from minute_count where workspace_id = ? and minute >= ? and minute < ?",
        (workspace_id, start, until),
    )
    for what, subject, n in rows:
        sums[what, subject] += n
        totals[what] += n
    tx.many(
        "insert into rolled_key values (?, ?, ?) on conflict do nothing",
        [(workspace_id, what, subject) for what, subject in sums],
    )
    # [start, until) lies inside one quarter of an hour, so inside one bucket of every width.
    for width in WIDTHS:
        at = start - start % width
        tx.many(
            "insert into rolled_count values (?, ?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n",
            [(workspace_id, width, at, what, subject, n) for (what, subject), n in sums.items()],
        )
        tx.many(
            "insert into rolled_total values (?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n",
            [(workspace_id, width, at, what, n) for what, n in totals.items()],
        )
    return len(rows)


# -- reading ----------------------------------------------------------------------------------------------------------


def parts(start: int, until: int, folded: int, widest: int = WIDTHS[0]) -> Iterator[Part]:
    """[start, until) minutes from the widest buckets that fit into it and lie before `folded`."""
    whole = min(until, folded)
    yield from _parts(start, max(whole, start), [width for width in WIDTHS if width <= widest])
    if until > max(folded, start):
        yield Part(1, max(folded, start), until)


def _parts(start: int, until: int, widths: list[int]) -> Iterator[Part]:
    if start >= until:
        return
    if not widths:
        yield Part(1, start, until)
        return
    width = widths[0]
    first, last = -(-start // width) * width, until // width * width
    if first >= last:
        yield from _parts(start, until, widths[1:])
        return
    yield from _parts(start, first, widths[1:])
    yield Part(width, first, last)
    yield from _parts(last, until, widths[1:])


def _over(tx: Tx, workspace_id: int, start: int, until: int, minutes: str, buckets: str) -> Iterator[tuple[Any, ...]]:
    """What is asked of minutes, and of wider buckets, in each part of [start, until) minutes.

    `minutes` takes the workspace, the first minute and the one after the last; `buckets` their width as ?2 too.
    """
    for part in parts(start, until, mark(tx).minute):
        if part.width == 1:
            yield from tx.all(minutes, (workspace_id, part.start, part.until))
        else:
            yield from tx.all(buckets, (workspace_id, part.width, part.start, part.until))


def sums(tx: Tx, workspace_id: int, start: int, until: int) -> Counter[tuple[str, int]]:
    """{(what, subject): n} over [start, until) minutes."""
    found: Counter[tuple[str, int]] = Counter()
    for what, subject, n in _over(
        tx, workspace_id, start, until,
        "select what, subject, n from minute_count where workspace_id = ? and minute >= ? and minute < ?",
        "select what, subject, (select sum(n) from rolled_count c where c.workspace_id = ?1 and c.width = ?2"
        " and c.what = k.what and c.subject = k.subject and c.at >= ?3 and c.at < ?4)"
        " from rolled_key k where workspace_id = ?1",
    ):  # fmt: skip
        if n:
            found[what, subject] += n
    return found


def words(tx: Tx, workspace_id: int, start: int, until: int) -> Counter[str]:
    """{what: n} of all subjects over [start, until) minutes."""
    found: Counter[str] = Counter()
    for what, n in _over(
        tx, workspace_id, start, until,
        "select what, sum(n) from minute_count where workspace_id = ? and minute >= ? and minute < ? group by what",
        "select what, (select sum(n) from rolled_total t where t.workspace_id = ?1 and t.width = ?2"
        " and t.what = k.what and t.at >= ?3 and t.at < ?4)"
        " from (select distinct what from rolled_key where workspace_id = ?1) k",
    ):  # fmt: skip
        found[what] += n or 0
    return found


def totals(tx: Tx, workspace_id: int, what: str, start: int, until: int, step: int | None = None) -> Counter[int]:
    """{bucket: n} of all subjects over [start, until) minutes; buckets are multiples of `step` minutes since 1970.

    Without a step everything is in bucket 0.
    """
    found: Counter[int] = Counter()
    widest = WIDTHS[0] if step is None else max((width for width in WIDTHS if step % width == 0), default=1)
    for part in parts(start, until, mark(tx).minute, widest):
        if part.width == 1:
            rows = tx.all(
                "select minute, sum(n) from minute_count"
                " where workspace_id = ? and minute >= ? and minute < ? and what = ? group by minute",
                (workspace_id, part.start, part.until, what),
            )
        else:
            rows = tx.all(
                "select at, n from rolled_total where workspace_id = ? and width = ? and what = ?"
                " and at >= ? and at < ?",
                (workspace_id, part.width, what, part.start, part.until),
            )
        for at, n in rows:
            found[0 if step is None else at // step * step] += n
    return found


def first_minute(tx: Tx, workspace_id: int) -> int | None:
    """The minute of the oldest counter, as exactly as it is still known; None where nothing was ever counted."""
    first: int | None = tx.value("select min(minute) from minute_count where workspace_id = ?", (workspace_id,))
    for width in reversed(WIDTHS):
        at = tx.value(
            "select min((select min(at) from rolled_total t where t.workspace_id = ?1 and t.width = ?2"
            " and t.what = k.what)) from (select distinct what from rolled_key where workspace_id = ?1) k",
            (workspace_id, width),
        )
        if at is not None and (first is None or at <= first - width):
            first = at
    return first


def last_minute(tx: Tx, workspace_id: int, what: str, subject: int) -> int | None:
    """The last minute in which a counter moved, as exactly as it is still known."""
    folded = mark(tx).minute
    at = tx.value(
        "select max(minute) from minute_count where workspace_id = ? and minute >= ? and what = ? and subject = ?",
        (workspace_id, folded, what, subject),
    )
    if at is not None:
        return int(at)
    found: int | None = None
    for width in WIDTHS:
        row = tx.value(
            "select max(at) from rolled_count where workspace_id = ? and width = ? and subject = ? and what = ?"
            " and at >= ?",
            (workspace_id, width, subject, what, 0 if found is None else found),
        )
        if row is None:
            return found
        found = int(row)
    exact = tx.value(
        "select max(minute) from minute_count where workspace_id = ? and minute >= ? and minute < ?"
        " and what = ? and subject = ?",
        (workspace_id, found, (found or 0) + WIDTHS[-1], what, subject),
    )
    return found if exact is None else int(exact)


# -- forgetting -------------------------------------------------------------------------------------------------------


def prune(tx: Tx, workspace_id: int, before_minute: int, before_hour: int, limit: int) -> int:
    """Forgets folded minutes and quarters before one minute and hours before another, oldest first; how many rows.

    Days are kept for ever. What was not folded yet is not forgotten.
    """
    before_minute = min(before_minute, mark(tx).minute)
    gone = tx.run(
        "delete from minute_count where (workspace_id, minute, what, subject) in (select workspace_id, minute, what,"
        " subject from minute_count where workspace_id = ? and minute < ? limit ?)",
        (workspace_id, before_minute, limit),
    )
    for width, before in ((15, before_minute), (60, before_hour)):
        for what, subject in tx.all("select what, subject from rolled_key where workspace_id = ?", (workspace_id,)):
            if gone < limit:
                gone += tx.run(
                    "delete from rolled_count where workspace_id = ? and width = ? and what = ? and subject = ?"
                    " and at in (select at from rolled_count where workspace_id = ? and width = ? and what = ?"
                    " and subject = ? and at < ? order by at limit ?)",
                    (*(workspace_id, width, what, subject) * 2, before, limit - gone),
                )
        for (what,) in tx.all("select distinct what from rolled_key where workspace_id = ?", (workspace_id,)):
            if gone < limit:
                gone += tx.run(
                    "delete from rolled_total where workspace_id = ? and width = ? and what = ? and at in"
                    " (select at from rolled_total where workspace_id = ? and width = ? and what = ? and at < ?"
                    " order by at limit ?)",
                    (*(workspace_id, width, what) * 2, before, limit - gone),
                )
    return gone
