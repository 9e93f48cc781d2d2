"""/api/hold: a restored box is held; what would be sent, dropped or kept, and the word to go on."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.domain.resuming import Choice, Fate
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid
from signalcraft.http.auth import Caller, TheCaller, needs
from signalcraft.http.wire import TheHouse, read_time, show_id, show_time, time_of
from signalcraft.services.care.hold import Message, Plan, Rung
from signalcraft.services.house import House

TAG: Final = ["health"]
ROWS_MAX: Final = 500
"""Rows that one answer lists; the counts are of all."""


class HeldMessageOut(Struct, frozen=True, kw_only=True):
    """A message that is owed. `fate`: send or drop, and `why`."""

    id: str
    channel: str
    kind: str
    owed_at: str
    group_id: str | None
    group_title: str | None
    group_severity: str | None
    group_status: str | None
    fate: Fate
    why: str


class HeldEscalationOut(Struct, frozen=True, kw_only=True):
    """An escalation that is to come. `fate`: send (it is due at once), later (at `due_at`), or drop, and `why`."""

    id: str
    channels: list[str]
    was_due_at: str
    due_at: str
    group_id: str
    group_title: str | None
    group_severity: str | None
    group_status: str | None
    fate: Fate
    why: str


class ResumePlanOut(Struct, frozen=True, kw_only=True):
    """What a resume does. Counts are of all; the lists hold at most 500 rows each, those of this workspace.

    `elsewhere`: messages of other workspaces, to which the same is done. `repeats` that were due wait their time again;
    `snoozes` end at once.
    """

    send: int
    drop: int
    messages: list[HeldMessageOut]
    escalations_send: int
    escalations_later: int
    escalations_drop: int
    escalations: list[HeldEscalationOut]
    repeats: int
    snoozes: int
    elsewhere: int


class HoldOut(Struct, frozen=True, kw_only=True):
    """Whether the box is held. `copy_at`: up to when the copy that it was restored from tells; `lost_at`: until when
    the earlier box may have gone on sending. `plan`: what a resume without options would do.
    """

    held: bool
    since_at: str | None = None
    why: str | None = None
    copy_at: str | None = None
    lost_at: str | None = None
    plan: ResumePlanOut | None = None


class ResumeIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to go on. `dry_run`: only show it. `drop_older_minutes`: nothing that was owed in the copy for longer.
    `keep`: ids of messages that are sent all the same. `keep_all`: also what the earlier box may have sent.
    `drop_all`: nothing that was owed in the copy. `lost_at`: when the earlier box stopped, where that is known better.
    """

    dry_run: bool = False
    drop_older_minutes: Annotated[int, Meta(ge=1, le=527_040)] | None = None
    keep: Annotated[list[str], Meta(max_length=ROWS_MAX)] = []
    keep_all: bool = False
    drop_all: bool = False
    lost_at: str | None = None


class ResumedOut(Struct, frozen=True, kw_only=True):
    """What was done, or with `dry_run` would be."""

    resumed: bool
    plan: ResumePlanOut


@get(
    "/api/hold",
    guards=[needs("settings", "read")],
    summary="Is the box held after a restore?",
    operation_id="get_hold",
    tags=TAG,
)
async def get_hold(house: TheHouse, caller: TheCaller) -> HoldOut:
    """A restored box takes alerts and tells nobody until it is resumed."""
    held = house.hold.state
    if held is None:
        return HoldOut(held=False)
    return HoldOut(
        held=True,
        since_at=time_of(held.since_ms),
        why=held.why,
        copy_at=time_of(held.copy_ms),
        lost_at=show_time(held.lost_ms),
        plan=_plan(await house.hold.plan(Choice()), caller),
    )


@post(
    "/api/hold/resume",
    guards=[needs("settings", "write")],
    summary="Go on after a restore",
    operation_id="resume",
    tags=TAG,
    status_code=200,
)
async def resume(house: TheHouse, caller: TheCaller, data: JSONBody[ResumeIn]) -> ResumedOut:
    """Drops what is to be dropped, then messages leave again. 409: the box is not held."""
    plan = await _done(house, caller, _choice(data), dry=data.dry_run)
    return ResumedOut(resumed=not data.dry_run, plan=_plan(plan, caller))


async def _done(house: House, caller: Caller, choice: Choice, *, dry: bool) -> Plan:
    return await (house.hold.plan(choice) if dry else house.hold.resume(choice, caller.actor))


def _choice(asked: ResumeIn) -> Choice:
    if asked.keep_all and asked.drop_all:
        raise Invalid("keep_all and drop_all contradict each other", path="keep_all")
    return Choice(
        drop_older_ms=None if asked.drop_older_minutes is None else asked.drop_older_minutes * 60_000,
        keep=frozenset(ids.parse(one) for one in asked.keep),
        keep_all=asked.keep_all,
        drop_all=asked.drop_all,
        lost_ms=None if asked.lost_at is None else read_time(asked.lost_at, "lost_at"),
    )


def _plan(plan: Plan, caller: Caller) -> ResumePlanOut:
    own = [one for one in plan.messages if one.waiting.workspace_id == caller.workspace_id]
    rungs = [one for one in plan.escalations if one.coming.workspace_id == caller.workspace_id]
    fates = [one.verdict.fate for one in rungs]
    return ResumePlanOut(
        send=sum(one.verdict.fate == "send" for one in own),
        drop=sum(one.verdict.fate == "drop" for one in own),
        messages=[_message(one) for one in own[:ROWS_MAX]],
        escalations_send=fates.count("send"),
        escalations_later=fates.count("later"),
        escalations_drop=fates.count("drop"),
        escalations=[_rung(one, plan.at_ms) for one in rungs[:ROWS_MAX]],
        repeats=plan.repeats,
        snoozes=plan.snoozes,
        elsewhere=len(plan.messages) - len(own),
    )


def _severity(number: int | None) -> str | None:
    return None if number is None else Severity(number).label


def _message(one: Message) -> HeldMessageOut:
    waiting = one.waiting
    return HeldMessageOut(
        id=ids.show(waiting.id),
        channel=one.channel,
        kind=waiting.kind,
        owed_at=time_of(waiting.owed_ms),
        group_id=show_id(waiting.group_id),
        group_title=waiting.title,
        group_severity=_severity(waiting.severity),
        group_status=waiting.status,
        fate=one.verdict.fate,
        why=one.verdict.why,
    )


def _rung(one: Rung, now_ms: int) -> HeldEscalationOut:
    coming, verdict = one.coming, one.verdict
    due_ms = now_ms if verdict.due_ms is None else verdict.due_ms
    return HeldEscalationOut(
        id=ids.show(coming.id),
        channels=list(one.channels),
        was_due_at=time_of(coming.due_ms),
        due_at=time_of(due_ms),
        group_id=ids.show(coming.group_id),
        group_title=coming.title,
        group_severity=_severity(coming.severity),
        group_status=coming.status,
        fate=verdict.fate,
        why=verdict.why,
    )


ROUTES: Final[list[Any]] = [get_hold, resume]
