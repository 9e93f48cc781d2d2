"""A webhook becomes events, alert groups and owed messages.

Everything that needs no database (signature, reading, rules that look at the event alone, packing the bytes) happens
before the transaction; the work inside it is small and commits together with hundreds of others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids, routing
from signalcraft.domain.event import Event, HttpInbound, bounded
from signalcraft.domain.group import Actor, Policy
from signalcraft.errors import BadSignature, Busy, Conflict, DiskFull, Fault, NotFound, TooLarge, Unreadable
from signalcraft.services import absorbing, own
from signalcraft.services.heard import Heard
from signalcraft.services.refusals import Refusals
from signalcraft.services.registry import IntegrationLive, Registry, Snapshot
from signalcraft.storage import counts, events, groups, inbox, journal
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

CHUNK = 256
"""Members of one POST that go into one transaction."""


class Receipt(Struct, frozen=True):
    """What became of one statement. Ids as numbers."""

    event_id: int
    group_id: int | None
    duplicate: bool
    sampled: bool


class Ingest:
    """Takes webhooks in. One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, registry: Registry, now: Callable[[], int]) -> None:
        self.settings = settings
        self.db = db
        self.registry = registry
        self.now = now
        self.policy = policy_of(settings)
        self.told: Callable[[int, int, int], None] = lambda asked, matched, opened: None
        """From the writer's thread: so many rules were asked, so many held, so many groups were opened."""
        self.refusals = Refusals(db, now, settings.limits.webhooks_per_minute)
        self.heard = Heard()

    async def receive(self, kind: str, token: str, inbound: HttpInbound) -> list[Receipt]:
        """One webhook, durably: returns after the commit.

        Raises NotFound (unknown token), BadSignature, Unreadable (kept in quarantine), TooMany, Busy.
        """
        live = self.registry.by_token(kind, token, self.now())
        if live is None or not live.enabled:
            raise NotFound("no such webhook address")
        return await self.take(live, inbound)

    async def take(self, live: IntegrationLive, inbound: HttpInbound) -> list[Receipt]:
        """`receive` for an integration that is known already."""
        now_ms = self.now()
        snapshot = self.registry.snapshot
        self._verify(live, inbound, now_ms)
        over = not self.refusals.within_limit(live.workspace_id, now_ms)
        if over and self.settings.limits.overflow == "reject":
            self.refusals.note(live.workspace_id, live.id, "refused_limit", now_ms)
            problem = self.refusals.too_many(live.workspace_id)
            self.heard.sent_away(live.id, problem.detail, now_ms)
            raise problem
        try:
            try:
                said = self._said(snapshot, live, inbound, now_ms)
            except Unreadable as problem:
                return await self._quarantine(live, inbound, problem.detail, now_ms)
            receipts = await self._keep(snapshot, live, inbound, said, now_ms, over)
        except Busy as problem:
            why = "disk full" if isinstance(problem, DiskFull) else "overloaded"
            self.refusals.gap(live.workspace_id, why, now_ms)
            raise
        self.heard.took(live.id, now_ms)
        return receipts

    async def say(self, live: IntegrationLive, inbound: HttpInbound, to: Sequence[int] = ()) -> list[Receipt]:
        """`take` for what the appliance says of itself: no limit holds it back, and nobody counts it as heard.

        `to`: these channels are told, whatever the rules say. Raises Busy, and whatever keeps the database from being
        written.
        """
        now_ms, snapshot = self.now(), self.registry.snapshot
        statements = self._said(snapshot, live, inbound, now_ms)
        if to:
            rule = routing.compile_rule(routing.Rule(id=own.OWN_RULE_ID, name=own.LABEL, channels=list(to)))
            chosen = routing.Prepared(((rule, True),))
            statements = [msgspec.structs.replace(one, prepared=chosen) for one in statements]
        packed = inbox.pack(inbound)
        return await self.db.write(lambda tx: self._work(tx, snapshot, live, packed, statements, now_ms, False))

    def _said(
        self, snapshot: Snapshot, live: IntegrationLive, inbound: HttpInbound, now_ms: int
    ) -> list[absorbing.Statement]:
        """What a webhook says, ready for the transaction. Raises Unreadable, TooLarge."""
        most = self.settings.limits.events_per_post
        try:
            read = live.source.read(live.config, inbound, now_ms)
            if len(read) > most:
                raise TooLarge(f"more than {most} events in one webhook")
            rules = snapshot.workspaces[live.workspace_id].rules
            return [absorbing.statement(live, event, rules) for event in map(bounded, read)]
        except Fault:
            raise
        except Exception as problem:
            # A fault of ours must not cost the sender its alert: the bytes wait in quarantine for the fix.
            log.exception("a webhook could not be read", extra={"integration": live.name})
            raise Unreadable(f"it could not be read: {type(problem).__name__}") from problem

    def _verify(self, live: IntegrationLive, inbound: HttpInbound, now_ms: int) -> None:
        try:
            live.source.verify(live.config, inbound, now_ms)
        except BadSignature as problem:
            if live.previous_config is not None and now_ms < (live.previous_until_ms or 0):
                try:
                    live.source.verify(live.previous_config, inbound, now_ms)
                    return
                except BadSignature:
                    pass
            self.refusals.note(live.workspace_id, live.id, "refused_signature", now_ms)
            self.heard.sent_away(live.id, problem.detail, now_ms)
            raise

    async def _keep(
        self,
        snapshot: Snapshot,
        live: IntegrationLive,
        inbound: HttpInbound,
        statements: Sequence[absorbing.Statement],
        now_ms: int,
        over: bool,
    ) -> list[Receipt]:
        packed = inbox.pack(inbound)
        receipts: list[Receipt] = []
        for start in range(0, len(statements), CHUNK):
            chunk = statements[start : start + CHUNK]

            def work(tx: Tx, chunk: Sequence[absorbing.Statement] = chunk) -> list[Receipt]:
                tx.unasked = True
                return self._work(tx, snapshot, live, packed, chunk, now_ms, over)

            try:
                receipts += await self.db.submit(work)
            except Fault:
                raise
            except Exception as problem:
                log.exception("a webhook could not be stored", extra={"integration": live.name})
                why = f"it could not be stored: {type(problem).__name__}"
                return await self._quarantine(live, inbound, why, now_ms)
        return receipts

    def _work(
        self,
        tx: Tx,
        snapshot: Snapshot,
        live: IntegrationLive,
        packed: inbox.Packed,
        chunk: Sequence[absorbing.Statement],
        now_ms: int,
        over: bool,
    ) -> list[Receipt]:
        receipts = []
        inbox_id = tx.new_id(now_ms)
        keep = False
        fresh = matched = opened = 0
        for statement in chunk:
            event_id = tx.new_id(now_ms)
            if statement.key is not None:
                before = events.said_before(tx, statement.key_scope, statement.key, event_id)
                if before is not None:
                    receipts.append(Receipt(before, events.group_of(tx, before), True, False))
                    continue
            taken = absorbing.take(tx, snapshot, live, statement, event_id, now_ms, self.policy, self.settings)
            group_id, sampled = taken.group_id, over and taken.plain
            matched += taken.matched
            opened += taken.opened
            events.insert(
                tx,
                event_id,
                live.workspace_id,
                live.id,
                live.kind,
                group_id,
                None if sampled else inbox_id,
                statement.event,
                now_ms,
            )
            keep = keep or not sampled
            fresh += 1
            if sampled:
                counts.bump(tx, live.workspace_id, now_ms, "sampled", live.id)
            receipts.append(Receipt(event_id, group_id, False, sampled))
        if keep:
            inbox.keep(tx, inbox_id, live.workspace_id, live.id, now_ms, "read", packed)
        if fresh:
            counts.bump(tx, live.workspace_id, now_ms, "events", live.id, fresh)
        if fresh < len(chunk):
            counts.bump(tx, live.workspace_id, now_ms, "duplicates", live.id, len(chunk) - fresh)
        if live.workspace_id != own.CANARY_WORKSPACE_ID:
            asked = fresh * len(snapshot.workspaces[live.workspace_id].rules)
            tx.then(lambda: self.told(asked, matched, opened))
        return receipts

    async def _quarantine(self, live: IntegrationLive, inbound: HttpInbound, why: str, now_ms: int) -> list[Receipt]:
        packed = inbox.pack(inbound)

        def work(tx: Tx) -> int:
            inbox_id = tx.new_id(now_ms)
            inbox.keep(tx, inbox_id, live.workspace_id, live.id, now_ms, "quarantined", packed, why)
            counts.bump(tx, live.workspace_id, now_ms, "quarantined", live.id)
            return inbox_id

        inbox_id = await self.db.submit(work)
        self.heard.took(live.id, now_ms)
        raise Quarantined(why, inbox_id)

    async def replay(self, workspace_id: int, inbox_id: int, actor: Actor) -> list[Receipt]:
        """Reads a quarantined webhook again, without its signature (it was checked when it came).

        Raises NotFound, Conflict when it is not in quarantine, Unreadable when it still cannot be read.
        """
        now_ms = self.now()
        kept = await self.db.read(lambda tx: inbox.get(tx, workspace_id, inbox_id))
        if kept.state != "quarantined":
            raise Conflict(f"this webhook is not in quarantine but {kept.state}")
        snapshot = self.registry.snapshot
        live = snapshot.integrations.get(kept.integration_id)
        if live is None:
            raise Conflict("its integration is no more")
        try:
            statements = self._said(snapshot, live, kept.inbound, now_ms)
        except Unreadable as problem:
            why = problem.detail
            await self.db.write(lambda tx: inbox.still_unreadable(tx, inbox_id, why))
            raise
        packed = inbox.pack(kept.inbound)

        def work(tx: Tx) -> list[Receipt]:
            inbox.leave_quarantine(tx, workspace_id, inbox_id, "replayed")
            said = {"quarantine_id": ids.show(inbox_id)}
            journal.add(tx, now_ms, workspace_id, None, "quarantine_replayed", actor, said)
            return self._work(tx, snapshot, live, packed, statements, now_ms, False)

        return await self.db.write(work)

    def settle(self, tx: Tx, group_id: int, now_ms: int) -> None:
        """A group's wait for an environment is over: it is routed as it is. Called inside a work."""
        group = groups.load(tx, group_id)
        if group is None or group.settle_ms is None:
            return
        snapshot = self.registry.snapshot
        first = events.first_firing(tx, group_id)
        workspace = snapshot.workspaces[group.workspace_id]
        event = events.as_event(first) if first is not None else Event(title=group.title, tags=group.tags)
        prepared = routing.prepare(workspace.rules, event, group.source)
        absorbing.settle(tx, snapshot, group, prepared, event, first.id if first else None, now_ms, self.settings)


class Quarantined(Unreadable):
    """A body that was kept in quarantine under a number."""

    def __init__(self, why: str, inbox_id: int) -> None:
        super().__init__(why)
        self.inbox_id = inbox_id


def policy_of(settings: Settings) -> Policy:
    """The grouping policy that the settings spell out, in ms."""
    g = settings.grouping
    quiet = g.retell_after_minutes
    return Policy(
        window_ms=g.window_minutes * 60_000,
        after_quiet=g.after_quiet,
        retell_ms=(
            quiet.info * 60_000,
            quiet.low * 60_000,
            quiet.medium * 60_000,
            quiet.high * 60_000,
            quiet.critical * 60_000,
        ),
        ack_expires_ms=g.ack_expires_after_quiet_hours * 3_600_000,
        settle_ms=round(g.settle_seconds * 1000),
        spike_events=g.spike_events,
        spike_recent_minutes=g.spike_minutes,
        spike_baseline_minutes=g.spike_baseline_minutes,
        spike_factor=g.spike_factor,
        spike_environments=frozenset(e.lower() for e in g.spike_environments),
    )
