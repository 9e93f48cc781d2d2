"""Reading the long-range numbers: a series, what leads, and how many people took part."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from signalcraft.storage.rollups.asking import DIMENSIONS, Analyse, Analysis, Held, Leader, Point
from signalcraft.storage.rollups.counting import middle_ms
from signalcraft.storage.rollups.file import LEVELS, Numbers, Unusable

DAY_MS: Final = 86_400_000
_COUNTS: Final = (
    "events", "duplicates", "groups", "notifications", "edits", "failures", "acknowledged", "resolved",
    "acknowledgements", "acts",
)  # fmt: skip
_OF_POINT: Final = _COUNTS[:8]
_SUMS: Final = ", ".join(f"coalesce(sum(n) filter (where what = '{what}'), 0)" for what in _COUNTS)
_MEAN: Final = "sum(ms) filter (where what = '{0}') / nullif(sum(n) filter (where what = '{0}'), 0)"


def analysed(path: Path, ask: Analyse) -> Analysis:
    """The answer. Raises Unusable."""
    if ask.by not in DIMENSIONS or ask.step not in ("hours", "days"):
        raise Unusable("no such dimension or step")
    if not path.exists():
        raise Unusable("they were not made yet")
    numbers = Numbers(path)
    try:
        return _Reading(numbers, ask).analysis()
    finally:
        numbers.close()


class _Reading:
    def __init__(self, numbers: Numbers, ask: Analyse) -> None:
        self._duck = numbers.duck
        self._ask = ask
        self._from = (
            f"{ask.step} where workspace_id = {int(ask.workspace_id)}"
            f" and bucket >= make_timestamp({int(ask.from_ms)} * 1000)"
            f" and bucket < make_timestamp({int(ask.until_ms)} * 1000)"
        )

    def analysis(self) -> Analysis:
        points = self._points()
        (whole,) = self._points(whole=True) or [Point(at_ms=self._ask.from_ms)]
        escalations, closed = self._rows(
            "select coalesce(sum(n) filter (where what = 'escalations'), 0),"
            f" coalesce(sum(n) filter (where what = 'closed'), 0) from {self._from} and dimension = 'all'"
        )[0]
        return Analysis(
            whole=whole,
            points=points,
            leaders=self._leaders(),
            day_users=self._users(self._ask.until_ms - DAY_MS),
            week_users=self._users(self._ask.until_ms - 7 * DAY_MS),
            escalations=int(escalations),
            closed=int(closed),
        )

    def _rows(self, sql: str, args: list[Any] | None = None) -> list[Any]:
        return self._duck.execute(sql, args or []).fetchall()

    def _points(self, *, whole: bool = False) -> list[Point]:
        at = str(int(self._ask.from_ms)) if whole else "epoch_ms(bucket)"
        rows = self._rows(
            f"select {at} as moment, {_SUMS}, {_MEAN.format('acknowledged')}, {_MEAN.format('resolved')},"
            f" from {self._from} and dimension = 'all' group by moment order by moment"
        )
        acked, ended = (self._medians(what, at, "dimension = 'all'") for what in ("acknowledged", "resolved"))
        users = dict(
            self._rows(
                f"select {at} as moment, count(distinct name) from {self._from}"
                " and what = 'acts' and dimension = 'user' group by moment"
            )
        )
        return [
            Point(
                at_ms=row[0],
                **{what: int(n) for what, n in zip(_OF_POINT, row[1:], strict=False)},
                ack_mean_ms=row[-2],
                resolve_mean_ms=row[-1],
                ack_median_ms=acked.get(row[0]),
                resolve_median_ms=ended.get(row[0]),
                users=users.get(row[0], 0),
            )
            for row in rows
        ]

    def _medians(self, what: str, of: str, where: str) -> dict[Any, float]:
        """{what `of` says: the median}: the first bin at which half of all have been counted."""
        rows = self._rows(
            "select key, min(bin) from (select key, bin, sum(n) over (partition by key order by bin) as upto,"
            " sum(n) over (partition by key) as every from"
            f" (select {of} as key, bin, sum(n) as n from {self._from} and {where} and what = ? and bin >= 0"
            " group by 1, 2)) where 2 * upto >= every group by key",
            [what],
        )
        return {key: middle_ms(number) for key, number in rows}

    def _leaders(self) -> list[Leader]:
        by = self._ask.by
        rows = self._rows(
            f"select name, {_SUMS} from {self._from} and dimension = ? group by name"
            " having sum(n) filter (where what <> 'reopened') > 0",
            [by],
        )
        where = f"dimension = '{by}'"
        acked, ended = (self._medians(what, "name", where) for what in ("acknowledged", "resolved"))
        leaders = [
            Leader(
                name=row[0],
                **{what: int(n) for what, n in zip(_COUNTS, row[1:], strict=True)},
                ack_median_ms=acked.get(row[0]),
                resolve_median_ms=ended.get(row[0]),
            )
            for row in rows
        ]
        leading = {"channel": "notifications", "rule": "notifications", "user": "acts"}.get(by, "events")
        leaders.sort(key=lambda one: (-getattr(one, leading), one.name))
        return leaders[: self._ask.most]

    def _users(self, since_ms: int) -> int:
        # A day's people are those of whole hours, a week's those of whole days: both up to now.
        level = "hours" if self._ask.until_ms - since_ms <= DAY_MS else "days"
        width = LEVELS[level]
        return int(
            self._rows(
                f"select count(distinct name) from {level} where workspace_id = ? and what = 'acts'"
                " and dimension = 'user' and bucket >= make_timestamp(? * 1000) and bucket < make_timestamp(? * 1000)",
                [self._ask.workspace_id, -(-since_ms // width) * width, self._ask.until_ms],
            )[0][0]
        )


def held(path: Path) -> Held:
    """What the file holds."""
    if not path.exists():
        return Held(there=False, why="it was not made yet")
    try:
        numbers = Numbers(path)
    except Unusable as problem:
        return Held(there=False, why=str(problem), bytes=path.stat().st_size)
    try:
        first, last = numbers.duck.execute(
            "select epoch_ms(min(bucket)), epoch_ms(max(bucket)) from days"
        ).fetchone() or (None, None)
        newest = numbers.duck.execute("select epoch_ms(max(bucket)) from minutes").fetchone()
        rows = {
            level: int((numbers.duck.execute(f"select count(*) from {level}").fetchone() or (0,))[0])
            for level in LEVELS
        }
        return Held(
            there=True,
            from_ms=first,
            until_ms=newest[0] if newest and newest[0] is not None else last,
            bytes=path.stat().st_size,
            built_ms=numbers.mark("built") or None,
            minutes=rows["minutes"],
            hours=rows["hours"],
            days=rows["days"],
        )
    finally:
        numbers.close()
