"""What happens when nobody answers: one chain for each alert group, rule and episode.

pending ─ due, still open ──→ fired
   └──── answered, resolved, overtaken by a new episode ──→ cancelled ─ the snooze ended, re-opened ──→ pending
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from signalcraft.domain.group import Status
from signalcraft.domain.routing import CompiledRule

State = Literal["pending", "fired", "cancelled"]
MINUTE_MS: Final = 60_000
STEP_MS: Final = 60_000
"""A clock that moves further than this between two looks, a second apart, has stepped."""
SPACING_MS: Final = 1_000
"""How far apart the messages of one channel are owed when a step made many due at once."""


class Chain(Struct, frozen=True):
    """An escalation to come."""

    rule_id: int
    due_ms: int
    channels: tuple[int, ...]
    after_minutes: int


def chains(matches: Sequence[CompiledRule], status: Status, now_ms: int) -> list[Chain]:
    """What the rules that hold want to happen when nobody answers: nothing once somebody did."""
    if status != "open":
        return []
    return [
        Chain(rule.id, due_ms(rule.escalate_after_minutes, now_ms), rule.escalate_to, rule.escalate_after_minutes)
        for rule in matches
        if rule.escalate_after_minutes is not None and rule.escalate_to
    ]


def due_ms(after_minutes: int, now_ms: int) -> int:
    """When an escalation that starts now is due."""
    return now_ms + after_minutes * MINUTE_MS


def fires(status: Status, group_episode: int, chain_episode: int) -> bool:
    """Whether a due escalation is carried out: only for a group that is open, and in the episode it was made for."""
    return status == "open" and group_episode == chain_episode


def late_ms(due_at_ms: int, now_ms: int) -> int:
    """How late it was carried out; never negative."""
    return max(now_ms - due_at_ms, 0)


def reason(after_minutes: int) -> str:
    """Why the next ones hear of it."""
    return f"nobody acknowledged for {span(after_minutes)}"


def repeat_reason(repeat_ms: int) -> str:
    """Why those who were told hear of it again."""
    return f"still unanswered {span(repeat_ms // MINUTE_MS)} after the last message"


def span(minutes: int) -> str:
    """A length of time for people: 1 minute, 90 minutes, 2 hours."""
    if minutes >= 120 and minutes % 60 == 0:
        return f"{minutes // 60} hours"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def stepped(last_ms: int | None, now_ms: int) -> int:
    """By how much the clock stepped since the last look (negative: back), 0 where it did not."""
    if last_ms is None or abs(now_ms - last_ms) <= STEP_MS:
        return 0
    return now_ms - last_ms
