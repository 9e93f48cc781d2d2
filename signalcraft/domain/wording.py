"""The words every channel says of an alert group, so that Slack, mail and pages tell the same story."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

from signalcraft.domain.delivery import GroupView, Note
from signalcraft.domain.event import clip

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST_MS = 253_402_214_400_000  # 9999-12-31: past it there is no date to show

_JOINER = "\u200d"  # holds the parts of one emoji together

MARKS = {"critical": "🔴", "high": "🟠", "medium": "🟡", "low": "🔵", "info": "⚪"}
"""One mark a severity; its order of alarm is that of the original: red, orange, yellow, blue, white."""

STATUS_MARKS = {"acknowledged": "👀", "snoozed": "💤", "resolved": "✅"}


def mark(group: GroupView) -> str:
    """The mark in front of a title: that of the severity, of the status once somebody or something acted."""
    return STATUS_MARKS.get(group.status) or MARKS.get(group.severity, "⚪")


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line, visibly cut, without control characters: for titles, subjects and headers."""
    # A title can be 100 kB: what is far behind the cut need not be looked at.
    near = text[: limit * 4]
    plain = "".join(c if c.isprintable() or c == _JOINER else " " for c in near)
    line = " ".join(plain.split())
    return clip(line if len(near) == len(text) else f"{line} …".strip(), limit)


def title(group: GroupView, limit: int = 300) -> str:
    """The title on one line; never empty."""
    return one_line(group.title, limit) or "(no title)"


def place(group: GroupView) -> str:
    """Where it happens: "shop/production", "shop", "production", "" where nobody said."""
    return "/".join(one_line(part, 100) for part in (group.project, group.environment) if part)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return dt.UTC


def _instant(at_ms: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=min(max(at_ms, 0), _LAST_MS))


def moment(at_ms: int, timezone: str) -> str:
    """A time for people: "2026-03-01 10:00 CET". An unknown zone is UTC; times outside 1970 … 9999 are their ends."""
    return _instant(at_ms).astimezone(_zone(timezone)).strftime("%Y-%m-%d %H:%M %Z")


def rfc3339(at_ms: int) -> str:
    """A time for machines: "2026-03-01T10:00:00.123Z"."""
    return _instant(at_ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{_instant(at_ms).microsecond // 1000:03d}Z"


def rfc5322(at_ms: int) -> str:
    """A time for a mail's Date header: "Sun, 01 Mar 2026 10:00:00 +0000"."""
    # strftime's names of days and months follow the locale; the header's must not.
    at = _instant(at_ms)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {at.day:02d} {names[at.month - 1]} {at.year:04d} {at:%H:%M:%S} +0000"


def duration(ms: int) -> str:
    """A length of time in its two largest units: "45 s", "12 min", "3 h 20 min", "2 d 4 h"."""
    seconds = max(ms, 0) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def person(name: str | None) -> str:
    """Somebody's name on one line, "somebody" where it is empty."""
    return one_line(name or "", 80) or "somebody"


def status(note: Note) -> str:
    """Where the group stands and by whom: "open", "acknowledged by Ann", "snoozed until …", "resolved by Ann"."""
    group = note.group
    if group.status == "acknowledged":
        return f"acknowledged by {person(group.acknowledged_by)}" if group.acknowledged_by else "acknowledged"
    if group.status == "snoozed":
        until = group.snoozed_until_ms
        return "snoozed" if until is None else f"snoozed until {moment(until, note.timezone)}"
    if group.status == "resolved":
        return f"resolved by {person(group.resolved_by)}" if group.resolved_by else "resolved"
    return "open"


def lead(note: Note) -> str:
    """Why people hear of it now, in one sentence without its full stop; "" for a first message without a reason."""
    reason = one_line(note.reason, 300)
    if note.kind == "escalation":
        return f"Escalated: {reason}" if reason else "Escalated"
    if note.kind == "repeat":
        return f"Again: {reason}" if reason else "Again"
    if note.kind == "resolved":
        said = status(note) if note.group.status == "resolved" else "resolved"
        took = note.group.resolved_ms
        if took is not None:
            said += f" after {duration(took - note.group.first_seen_ms)}"
        return (said[0].upper() + said[1:]) + (f": {reason}" if reason else "")
    return reason


def counted(group: GroupView) -> str:
    """How often: "1", "1,204", "37 (episode 3)"."""
    return f"{group.count:,}" + (f" (episode {group.episode})" if group.episode > 1 else "")


def facts(note: Note) -> list[tuple[str, str]]:
    """What a message lists, as (label, value) pairs of one line each; what is unknown is left out."""
    group = note.group
    pairs = [
        ("Severity", one_line(group.severity, 40) or "unknown"),
        ("Status", status(note)),
        ("Project", one_line(group.project or "", 200)),
        ("Environment", one_line(group.environment or "", 200)),
        ("Count", counted(group)),
        ("Users affected", f"{group.users_affected:,}" if group.users_affected else ""),
        ("First seen", moment(group.first_seen_ms, note.timezone)),
        ("Last seen", moment(group.last_seen_ms, note.timezone)),
        ("Assigned to", one_line(group.assignee or "", 100)),
        ("Source", one_line(group.source, 100)),
    ]
    return [(label, value) for label, value in pairs if value]


def web_link(url: str | None) -> str:
    """The address if a browser may open it (http, https, printable, without spaces), else ""."""
    if not url or not url.startswith(("http://", "https://")):
        return ""
    return url if url.isprintable() and not any(c.isspace() for c in url) else ""
