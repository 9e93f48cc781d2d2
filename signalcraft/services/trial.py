"""A test alert: one that goes the whole way of a real one, from an integration to whoever its rules tell."""

from __future__ import annotations

from signalcraft.domain import ids
from signalcraft.domain.event import Event, bounded
from signalcraft.domain.group import Actor
from signalcraft.domain.severity import Severity
from signalcraft.errors import Conflict, NotFound
from signalcraft.services import absorbing
from signalcraft.services.ingest import Ingest, Receipt
from signalcraft.storage import events, journal
from signalcraft.storage.db import Tx

ENVIRONMENT = "test"


async def tell(ingest: Ingest, workspace_id: int, integration_id: int, actor: Actor) -> Receipt:
    """Opens an alert group of its own and owes the messages that its rules, or the default route, ask for.

    Raises NotFound, Conflict where the integration is switched off.
    """
    now_ms = ingest.now()
    snapshot = ingest.registry.snapshot
    live = snapshot.integrations.get(integration_id)
    if live is None or live.workspace_id != workspace_id:
        raise NotFound("no such integration")
    if not live.enabled:
        raise Conflict(f'the integration "{live.name}" is switched off')
    rules = snapshot.workspaces[workspace_id].rules

    def work(tx: Tx) -> Receipt:
        event_id = tx.new_id(now_ms)
        event = Event(
            kind="test",
            status="firing",
            severity=Severity.LOW,
            title=f"Test alert of {live.name}",
            message=f"{actor.name} asked for it, to see where alerts of {live.name} go. Nothing is wrong.",
            # Its group is its own: a second test is told too. With an environment nothing has to be waited for.
            fingerprint=f"test/{ids.show(event_id)}",
            environment=ENVIRONMENT,
            action="test",
            actor=actor.name,
            occurred_ms=now_ms,
        )
        said = absorbing.statement(live, bounded(event), rules)
        group_id = absorbing.take(tx, snapshot, live, said, event_id, now_ms, ingest.policy, ingest.settings).group_id
        events.insert(tx, event_id, workspace_id, live.id, live.kind, group_id, None, event, now_ms)
        line = {"id": ids.show(live.id), "name": live.name, "event_id": ids.show(event_id)}
        journal.add(tx, now_ms, workspace_id, None, "integration.tested", actor, line)
        return Receipt(event_id, group_id, False, False)

    return await ingest.db.write(work)
