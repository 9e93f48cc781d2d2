"""/api/audit: who did what, and whether anybody changed it since; /api/admin/security/audit: what was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct

from signalcraft.errors import Invalid
from signalcraft.http.auth import TheCaller, needs
from signalcraft.http.wire import ActorOut, Cursor, Limit, TheHouse, cursor_of, read_cursor, read_time, split, time_of
from signalcraft.services import auditfile, security
from signalcraft.services.audit import Verdict
from signalcraft.services.house import House
from signalcraft.storage import audit as store
from signalcraft.storage import counts
from signalcraft.storage import security as counted
from signalcraft.storage.audit import Filter, Stored
from signalcraft.storage.db import Tx

TAG: Final = ["audit"]
_DAY_MS: Final = 86_400_000
_SEEN_MAX: Final = 200
_LAST: Final = 2**63 - 1

Actor = Annotated[str | None, QueryParameter(name="actor", description="The id of who did it.")]
Thing = Annotated[str | None, QueryParameter(name="thing", description="The id of what it was done to.")]
Verbs = Annotated[list[str] | None, QueryParameter(name="verb", description="What was done; several with commas.")]
From = Annotated[str | None, QueryParameter(name="from", description="Not before this time (RFC 3339).")]
Until = Annotated[str | None, QueryParameter(name="until", description="Before this time (RFC 3339).")]


class Also(Struct, frozen=True):
    """One more thing that the same request did."""

    verb: str
    id: str | None
    data: dict[str, Any]


class AuditRow(Struct, frozen=True, kw_only=True):
    """One thing that was done. `erased`: texts that were erased with a person: who, what. `chain`: behind this row."""

    seq: int
    at: str
    verb: str
    actor: ActorOut | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    thing: str | None
    data: dict[str, Any]
    also: list[Also]
    erased: list[str]
    chain: str


class AuditPage(Struct, frozen=True):
    """Newest first."""

    items: list[AuditRow]
    next: str | None


class SecuritySummary(Struct, frozen=True, kw_only=True):
    """How often, between `from` and `until`."""

    failed_sign_ins: int
    locked_out: int
    accounts_locked: int
    limit_violations: int
    suspicious: int
    webhooks_with_bad_signature: int
    webhooks_over_limit: int


class SeenOut(Struct, frozen=True, kw_only=True):
    """What was refused in one hour to one address. kind: sign_in_failed, locked_out, limit, bad_credential, denied,
    forged_request, bad_signature. `route` and `request_id` are of the latest one.
    """

    kind: str
    address: str
    actor: str
    times: int
    first_at: str
    last_at: str
    route: str
    request_id: str


class SecurityPage(Struct, frozen=True, kw_only=True):
    """The summary, what was refused (newest first, at most 200), and the security rows of the audit log, in pages."""

    start: str = msgspec.field(name="from")
    until: str
    summary: SecuritySummary
    refused: list[SeenOut]
    items: list[AuditRow]
    next: str | None


class VerdictOut(Struct, frozen=True, kw_only=True):
    """Whether a workspace's log is as it was written. `broken_seq`: the first row that is not; `why`: what is wrong.

    `head`: where the log ends. Keep it elsewhere and give it to a later verification.
    """

    workspace: str
    holds: bool
    rows: int
    erased: int
    first_seq: int
    head: str
    broken_seq: int | None
    why: str


def _wanted(
    actor: str | None, thing: str | None, verbs: list[str] | None, start: str | None, until: str | None
) -> Filter:
    return Filter(
        actor=actor or "",
        thing=thing or "",
        verbs=tuple(split(verbs)),
        from_ms=read_time(start, "from") if start else None,
        until_ms=read_time(until, "until") if until else None,
    )


def row_out(row: Stored) -> AuditRow:
    """A row as it leaves."""
    who: dict[str, Any] = msgspec.json.decode(row.who) if row.who is not None else {}
    what: dict[str, Any] = msgspec.json.decode(row.what) if row.what is not None else {}
    return AuditRow(
        seq=row.seq,
        at=time_of(row.at_ms),
        verb=row.verb,
        actor=ActorOut(who["kind"], who["id"], who["name"]) if who else None,
        address=who.get("address"),
        user_agent=who.get("user_agent"),
        request_id=who.get("request_id"),
        thing=what.get("id"),
        data=what.get("data", {}),
        also=[Also(one["verb"], one.get("id"), one.get("data", {})) for one in what.get("also", ())],
        erased=[name for name, text in (("who", row.who), ("what", row.what)) if text is None],
        chain=row.chain.hex(),
    )


def _page(found: list[Stored], limit: int) -> tuple[list[AuditRow], str | None]:
    more = cursor_of(found[limit - 1].seq) if len(found) > limit else None
    return [row_out(row) for row in found[:limit]], more


@get(
    "/api/audit",
    guards=[needs("audit", "read")],
    summary="Who did what",
    operation_id="list_audit",
    tags=TAG,
)
async def list_audit(
    house: TheHouse,
    caller: TheCaller,
    actor: Actor = None,
    thing: Thing = None,
    verb: Verbs = None,
    start: From = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditPage:
    """The audit log of the workspace, newest first."""
    wanted = _wanted(actor, thing, verb, start, until)
    before = (read_cursor(cursor, 1) or (None,))[0]
    workspace_id = caller.workspace_id

    def read(tx: Tx) -> AuditPage:
        return AuditPage(*_page(store.page(tx, workspace_id, wanted, before=before, limit=limit + 1), limit))

    return await house.db.read(read)


@get(
    "/api/audit/export",
    guards=[needs("audit", "read")],
    summary="The audit log as a file",
    operation_id="export_audit",
    tags=TAG,
)
async def export_audit(
    house: TheHouse,
    caller: TheCaller,
    form: Annotated[
        Literal["csv", "jsonl"], QueryParameter(name="format", description="csv, or jsonl: one object a line.")
    ] = "jsonl",
    actor: Actor = None,
    thing: Thing = None,
    verb: Verbs = None,
    start: From = None,
    until: Until = None,
    after: Annotated[
        int, QueryParameter(name="after", ge=0, le=2**63 - 1, description="Only rows behind this number.")
    ] = 0,
    most: Annotated[
        int | None, QueryParameter(name="most", ge=1, le=1_000_000, description="At most so many rows.")
    ] = None,
) -> Stream:
    """Oldest first. Cells of the CSV that a spreadsheet would take for a formula begin with an apostrophe."""
    wanted = _wanted(actor, thing, verb, start, until)
    media = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    name = f"audit.{form}"
    return Stream(
        _lines(house, caller.workspace_id, wanted, form, after, most or _LAST),
        media_type=media,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _lines(
    house: House, workspace_id: int, wanted: Filter, form: str, after: int, most: int
) -> AsyncIterator[bytes]:
    if form == "csv" and not after:
        yield auditfile.CSV_HEAD
    while most > 0:
        limit = min(most, 500)
        some = await house.db.read(
            lambda tx, behind=after, at_most=limit: store.page(  # type: ignore[misc]
                tx, workspace_id, wanted, after=behind, limit=at_most
            )
        )
        if not some:
            return
        line = auditfile.csv_line if form == "csv" else auditfile.json_line
        yield b"".join(line(workspace_id, row, time_of(row.at_ms)) for row in some)
        after, most = some[-1].seq, most - len(some)


@get(
    "/api/audit/verification",
    guards=[needs("audit", "read")],
    summary="Is the audit log as it was written?",
    operation_id="verify_audit",
    tags=TAG,
)
async def verify_audit(
    house: TheHouse,
    caller: TheCaller,
    head: Annotated[
        str | None, QueryParameter(name="head", max_length=100, description="`head` of an earlier verification.")
    ] = None,
) -> VerdictOut:
    """Looks through the whole chain; the first row that was changed or is gone is named."""
    verdict: Verdict = await house.audit.verify(caller.workspace_id, head or "")
    return msgspec.convert(msgspec.structs.asdict(verdict), VerdictOut)


@get(
    "/api/admin/security/audit",
    guards=[needs("audit", "read")],
    summary="Security events",
    operation_id="list_security_events",
    tags=TAG,
)
async def list_security(
    house: TheHouse,
    caller: TheCaller,
    start: From = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SecurityPage:
    """Failed sign-ins, limits, lockouts and what looks suspicious; the last 24 hours by default.

    What was refused to somebody unknown belongs to the box and is told to its first workspace.
    """
    until_ms = read_time(until, "until") if until else house.now() + 1
    from_ms = read_time(start, "from") if start else until_ms - _DAY_MS
    if from_ms >= until_ms:
        raise Invalid("must be before `until`", path="from")
    before = (read_cursor(cursor, 1) or (None,))[0]
    workspace_id = caller.workspace_id
    await house.security.flush()

    def read(tx: Tx) -> SecurityPage:
        wanted = Filter(from_ms=from_ms, until_ms=until_ms, security=True)
        items, more = _page(store.page(tx, workspace_id, wanted, before=before, limit=limit + 1), limit)
        refused = counted.since(tx, workspace_id, from_ms, until_ms, _SEEN_MAX)
        return SecurityPage(
            start=time_of(from_ms),
            until=time_of(until_ms),
            summary=_summary(tx, workspace_id, from_ms, until_ms),
            refused=[_seen(one) for one in refused],
            items=items,
            next=more,
        )

    return await house.db.read(read)


def _summary(tx: Tx, workspace_id: int, from_ms: int, until_ms: int) -> SecuritySummary:
    totals = counted.totals(tx, workspace_id, from_ms, until_ms)
    return SecuritySummary(
        failed_sign_ins=totals.get("sign_in_failed", 0),
        locked_out=totals.get("locked_out", 0),
        accounts_locked=store.count(tx, workspace_id, ("account_locked",), from_ms, until_ms),
        limit_violations=totals.get("limit", 0),
        suspicious=sum(totals.get(kind, 0) for kind in security.SUSPICIOUS),
        webhooks_with_bad_signature=counts.total(tx, workspace_id, "refused_signature", from_ms, until_ms),
        webhooks_over_limit=counts.total(tx, workspace_id, "refused_limit", from_ms, until_ms),
    )


def _seen(one: counted.Seen) -> SeenOut:
    return SeenOut(
        kind=one.kind,
        address=one.address,
        actor=one.actor,
        times=one.n,
        first_at=time_of(one.first_ms),
        last_at=time_of(one.last_ms),
        route=one.route,
        request_id=one.request_id,
    )


ROUTES: Final = [list_audit, export_audit, verify_audit, list_security]
