"""What the child process for long-range numbers is asked, and what it answers: one line of JSON each."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

FILE: Final = "metrics.duckdb"
DIMENSIONS: Final = ("integration", "project", "severity", "rule", "channel", "user")


class Fold(Struct, frozen=True, tag="fold", kw_only=True):
    """Count what is new. `tidy`: forget old minutes and hours too, and pack the file."""

    now_ms: int
    tidy: bool = False


class Rebuild(Struct, frozen=True, tag="rebuild", kw_only=True):
    """Count everything anew, from the database and the archive, into a new file that takes the old one's place."""

    now_ms: int


class State(Struct, frozen=True, tag="state", kw_only=True):
    """How far it is."""


class Analyse(Struct, frozen=True, tag="analyse", kw_only=True):
    """Numbers of one workspace over [from, until), in hours or days, and what leads in one dimension."""

    workspace_id: int
    from_ms: int
    until_ms: int
    step: str
    by: str
    most: int = 20


Ask = Fold | Rebuild | State | Analyse


class Progress(Struct, frozen=True, kw_only=True):
    """What a fold or rebuild did. `number`: of this fold, which the database is told. `rebuilt`: why the file was made
    anew, empty where it was not. `filled_days`: days of which the rows are gone, taken from the database's counters.
    """

    number: int = 0
    events: int = 0
    groups: int = 0
    lines: int = 0
    archived_events: int = 0
    filled_days: int = 0
    seconds: float = 0.0
    bytes: int = 0
    rebuilt: str = ""


class Held(Struct, frozen=True, kw_only=True):
    """What the file holds. `until_ms`: the newest thing in it; rows by table."""

    there: bool
    why: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    minutes: int = 0
    hours: int = 0
    days: int = 0
    bytes: int = 0
    built_ms: int | None = None


class Point(Struct, frozen=True, kw_only=True):
    """One bucket. Times in ms; means and medians None where nothing was measured; medians are within 2.5 %."""

    at_ms: int
    events: int = 0
    duplicates: int = 0
    groups: int = 0
    notifications: int = 0
    edits: int = 0
    failures: int = 0
    acknowledged: int = 0
    ack_mean_ms: float | None = None
    ack_median_ms: float | None = None
    resolved: int = 0
    resolve_mean_ms: float | None = None
    resolve_median_ms: float | None = None
    users: int = 0


class Leader(Struct, frozen=True, kw_only=True):
    """What one integration, rule, channel, person, project or severity adds up to. `name`: its key."""

    name: str
    events: int = 0
    duplicates: int = 0
    groups: int = 0
    notifications: int = 0
    edits: int = 0
    failures: int = 0
    acknowledged: int = 0
    acknowledgements: int = 0
    acts: int = 0
    ack_median_ms: float | None = None
    resolved: int = 0
    resolve_median_ms: float | None = None


class Analysis(Struct, frozen=True, kw_only=True):
    """An answer to Analyse. `day_users`, `week_users`: people who did anything in the last day, the last seven days."""

    whole: Point
    points: list[Point]
    leaders: list[Leader]
    day_users: int
    week_users: int
    escalations: int
    closed: int


class Answer(Struct, frozen=True, kw_only=True):
    """`wrong` says why there is none."""

    wrong: str = ""
    progress: Progress | None = None
    held: Held | None = None
    analysis: Analysis | None = None
    extra: dict[str, Any] = field(default_factory=dict)
