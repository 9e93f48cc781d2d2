"""Alert groups that may have to do with one: what began about the same time, bears its title, or shares its tags."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from msgspec import Struct

from signalcraft.domain.escalation import span
from signalcraft.domain.group import Group
from signalcraft.storage import behind
from signalcraft.storage.db import Tx

RELATED_MAX: Final = 20
_LOOKED_AT: Final = 200
_TITLES: Final = 50
_MINUTE_MS: Final = 60_000
_COMMON: Final = frozenset({"level", "environment", "severity", "logger", "handled", "mechanism", "rule"})
"""Tags that half of all alerts share: they relate nothing."""


class Reason(Struct, frozen=True):
    """Why a group is related, in words."""

    kind: Literal["same_project", "same_title", "same_tags"]
    detail: str


class Related(Struct, frozen=True):
    """A group, and every reason."""

    group: Group
    reasons: list[Reason]


def of(tx: Tx, group: Group, window_ms: int) -> list[Related]:
    """Related groups, those with more reasons first, then the latest begun; never one of the same key.

    About the same time: begun at most `window_ms` before or after this one began.
    """
    began, workspace_id = group.first_seen_ms, group.workspace_id
    near = behind.began_between(tx, workspace_id, began - window_ms, began + window_ms + 1, _LOOKED_AT)
    near = [one for one in near if one.group_key != group.group_key]
    titled = [one for one in behind.with_title(tx, workspace_id, group.title, _TITLES) if one.id != group.id]
    reasons: dict[int, list[Reason]] = {}
    known: dict[int, Group] = {}

    def add(one: Group, reason: Reason) -> None:
        known[one.id] = one
        reasons.setdefault(one.id, []).append(reason)

    for one in titled:
        where = _elsewhere(group, one)
        if where and one.group_key != group.group_key:
            add(one, Reason("same_title", f"the same title {where}"))
    for one in near:
        if group.project is not None and one.project == group.project:
            add(one, Reason("same_project", f"the same project, began {_apart(one.first_seen_ms - began)}"))
    for one, shared in _tagged(group, near):
        add(one, Reason("same_tags", f"the same {', '.join(shared)}"))
    found = [Related(known[number], why) for number, why in reasons.items()]
    found.sort(key=lambda one: (-len(one.reasons), -one.group.id))
    return found[:RELATED_MAX]


def _elsewhere(group: Group, one: Group) -> str:
    """What of environment, project and source is another; "" where nothing is."""
    if one.environment != group.environment:
        return f"in {one.environment}" if one.environment else "without an environment"
    if one.project != group.project:
        return f"in project {one.project}" if one.project else "without a project"
    return f"from {one.source}" if one.source != group.source else ""


def _apart(ms: int) -> str:
    minutes = abs(ms) // _MINUTE_MS
    if minutes == 0:
        return "within the same minute"
    return f"{span(minutes)} {'before' if ms < 0 else 'after'} it"


def _tagged(group: Group, near: list[Group]) -> list[tuple[Group, list[str]]]:
    """Those that share a tag which not most of their neighbours have, with the tags they share."""
    wanted = {(k, v) for k, v in group.tags.items() if v and k not in _COMMON}
    spread = Counter(pair for one in near for pair in one.tags.items() if pair in wanted)
    telling = {pair for pair, n in spread.items() if len(near) < 4 or n <= len(near) // 2}
    found = []
    for one in near:
        shared = [f"{k}={v}" for k, v in sorted(one.tags.items()) if (k, v) in telling]
        if shared:
            found.append((one, shared[:5]))
    return found
