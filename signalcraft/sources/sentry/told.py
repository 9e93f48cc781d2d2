"""What every Sentry resource has in common: the envelope, the levels, the keys of statements."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

import msgspec

from signalcraft.domain.reading import obj, text, whole
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable


class Told(NamedTuple):
    """One webhook of the integration platform: `resource` and `action` in lower case, `data` maybe empty."""

    resource: str
    action: str
    data: dict[str, Any]
    body: dict[str, Any]
    actor: str | None

    @property
    def name(self) -> str:
        """Sentry's own name of it: "issue.resolved"."""
        return f"{self.resource}.{self.action}" if self.action else self.resource


# "critical" and "log" are what Sentry's Relay takes for fatal and info; the numbers are those of Sentry 8 and 9
# (Python's logging levels).
_LEVELS: Final = {
    "fatal": Severity.CRITICAL, "critical": Severity.CRITICAL, "50": Severity.CRITICAL,
    "error": Severity.HIGH, "40": Severity.HIGH,
    "warning": Severity.MEDIUM, "30": Severity.MEDIUM,
    "info": Severity.INFO, "log": Severity.INFO, "20": Severity.INFO,
    "debug": Severity.INFO, "10": Severity.INFO,
}  # fmt: skip


def level_of(value: object) -> Severity | None:
    """The severity of a level, None for a word that is none."""
    word = text(value)
    return None if word is None else _LEVELS.get(word.lower())


def title_of(metadata: object) -> str | None:
    """The title that Sentry makes of an event's or issue's metadata: its title, else "Type: value"."""
    meta = obj(metadata)
    title = text(meta.get("title"))
    if title is not None:
        return title
    sort, value = text(meta.get("type")), text(meta.get("value"))
    return f"{sort}: {value}" if sort and value else sort or value


def users_of(*values: object) -> int | None:
    """The first of the values that is a count."""
    for value in values:
        if value is not None:
            count = whole(value)
            if count is not None:
                return max(count, 0)
    return None


def kept(**tags: object) -> dict[str, str]:
    """Those of the values that are text, as tags."""
    out = {}
    for name, value in tags.items():
        if value is not None:
            held = text(value)
            if held is not None:
                out[name] = held
    return out


def statement_key(subject: str, *state: object) -> str:
    """The key of a statement about a subject: one for each telling of one state, whatever the order of its keys.

    Raises Unreadable for a state that is nested as deeply as can be.
    """
    try:
        canonical = msgspec.json.encode(state, order="sorted")
    except RecursionError:  # decoding had a little more room than this
        raise Unreadable("the JSON is nested too deeply") from None
    return f"{subject}:{hashlib.blake2b(canonical, digest_size=16).hexdigest()}"


def actor_of(value: object) -> str | None:
    """Who did it, of a webhook's `actor`."""
    actor = obj(value)
    return text(actor.get("name")) or text(actor.get("id"))


def unknown_action(resource: str, action: str) -> Unreadable:
    """The fault for an action that its resource has not."""
    return Unreadable(f"unknown Sentry action {resource}.{action[:80]}", path="action")
