"""Routing rules: one row each; what they ask and do is one JSON object."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain.matcher import read_condition, show_condition
from signalcraft.domain.routing import Rule
from signalcraft.errors import NotFound
from signalcraft.storage import events
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, name, priority, enabled, body, created_ms, updated_ms"


class _Body(Struct, omit_defaults=True):
    """The JSON of a rule."""

    when: dict[str, Any] = {}
    channels: list[int] = []
    mention: str | None = None
    stop: bool = False
    escalate_after_minutes: int | None = None
    escalate_to: list[int] = []
    repeat_minutes: int | None = None
    runbook_url: str | None = None
    runbook: str | None = None


class Stored(Struct, frozen=True):
    """One row, its body still as text: the registry compiles a text once."""

    id: int
    workspace_id: int
    name: str
    priority: int
    enabled: bool
    body: str
    created_ms: int
    updated_ms: int

    @property
    def version(self) -> str:
        """A word that is another one after the rule was changed. Moving it in the order is no change of it."""
        text = msgspec.json.encode((self.name, self.enabled, self.body))
        return hashlib.blake2b(text, digest_size=9).hexdigest()

    def rule(self) -> Rule:
        """The rule itself. Raises Invalid for a body that a newer version wrote."""
        body = msgspec.json.decode(self.body, type=_Body)
        return Rule(
            id=self.id, name=self.name, priority=self.priority, enabled=self.enabled, when=read_condition(body.when),
            channels=body.channels, mention=body.mention, stop=body.stop,
            escalate_after_minutes=body.escalate_after_minutes, escalate_to=body.escalate_to,
            repeat_minutes=body.repeat_minutes, runbook_url=body.runbook_url, runbook=body.runbook,
        )  # fmt: skip


def _from_row(row: Row) -> Stored:
    return Stored(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], row[7])


def _body_of(rule: Rule) -> str:
    body = _Body(
        show_condition(rule.when), rule.channels, rule.mention, rule.stop, rule.escalate_after_minutes,
        rule.escalate_to, rule.repeat_minutes, rule.runbook_url, rule.runbook,
    )  # fmt: skip
    return msgspec.json.encode(body).decode()


def every(reader: Tx, workspace_id: int | None = None) -> list[Stored]:
    """All rules (of a workspace) in the order in which they are asked."""
    if workspace_id is None:
        rows = reader.all(f"select {_FIELDS} from rule order by priority, id")
    else:
        rows = reader.all(f"select {_FIELDS} from rule where workspace_id = ? order by priority, id", (workspace_id,))
    return [_from_row(row) for row in rows]


def get(reader: Tx, workspace_id: int, rule_id: int) -> Stored:
    """Raises NotFound, also for another workspace's."""
    row = reader.one(f"select {_FIELDS} from rule where id = ? and workspace_id = ?", (rule_id, workspace_id))
    if row is None:
        raise NotFound("no such routing rule")
    return _from_row(row)


def find(reader: Tx, workspace_id: int, name: str) -> Stored | None:
    """The rule of a name."""
    row = reader.one(f"select {_FIELDS} from rule where workspace_id = ? and name = ?", (workspace_id, name))
    return None if row is None else _from_row(row)


def count(reader: Tx, workspace_id: int) -> int:
    """How many rules a workspace has."""
    return int(reader.value("select count(*) from rule where workspace_id = ?", (workspace_id,)))


def last_priority(reader: Tx, workspace_id: int) -> int:
    """The priority of the rule that is asked last; 0 where there is none."""
    return int(reader.value("select coalesce(max(priority), 0) from rule where workspace_id = ?", (workspace_id,)))


def insert(tx: Tx, workspace_id: int, rule: Rule, now_ms: int) -> None:
    """Stores a new rule."""
    tx.run(
        f"insert into rule ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?)",
        (rule.id, workspace_id, rule.name, rule.priority, int(rule.enabled), _body_of(rule), now_ms, now_ms),
    )


def store(tx: Tx, rule: Rule, now_ms: int) -> None:
    """Stores what a rule became."""
    tx.run(
        "update rule set name = ?, priority = ?, enabled = ?, body = ?, updated_ms = ? where id = ?",
        (rule.name, rule.priority, int(rule.enabled), _body_of(rule), now_ms, rule.id),
    )


def set_priority(tx: Tx, rule_id: int, priority: int, now_ms: int) -> None:
    """Moves a rule."""
    tx.run(
        "update rule set priority = ?1, updated_ms = ?2 where id = ?3 and priority <> ?1", (priority, now_ms, rule_id)
    )


def delete(tx: Tx, rule_id: int) -> None:
    """Deletes a rule. What it made owed stays owed, escalations that wait among it."""
    tx.run("delete from rule where id = ?", (rule_id,))


def event_of(reader: Tx, workspace_id: int, event_id: int) -> events.Stored:
    """The event that a rule is tried on. Raises NotFound, also for another workspace's."""
    row = reader.one(f"select {events.FIELDS} from event where id = ? and workspace_id = ?", (event_id, workspace_id))
    if row is None:
        raise NotFound("no such event")
    return events.from_row(row)
