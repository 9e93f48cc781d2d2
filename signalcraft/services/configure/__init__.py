"""Changing the configuration: one write transaction each, journalled, in use before the answer.

The verbs are functions of an `Edit` in the modules beside this one; `Configure.change` runs them:

    row, once = await configure.change(workspace_id, actor, lambda edit: integrations.create(edit, draft))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from signalcraft.config import Settings
from signalcraft.domain.group import Actor
from signalcraft.errors import Fault
from signalcraft.services.configure import channels, integrations
from signalcraft.services.configure.channels import mark_broken, mark_ok
from signalcraft.services.configure.edit import Edit
from signalcraft.services.registry import Registry
from signalcraft.storage.db import Db, Reader, Tx
from signalcraft.storage.vault import Vault

T = TypeVar("T")

__all__ = ["Configure", "Edit", "mark_broken", "mark_ok"]


class Configure:
    """Runs changes. One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, registry: Registry, vault: Vault, now: Callable[[], int]) -> None:
        self.settings = settings
        self.db = db
        self.registry = registry
        self.vault = vault
        self.now = now

    async def change(self, workspace_id: int, actor: Actor, work: Callable[[Edit], T], *, rehearse: bool = False) -> T:
        """Runs a change: all of it or nothing, and what it made is in use when this returns.

        `rehearse`: nothing stays of it; only its answer is of use. Raises what the work raises.
        """
        now_ms = self.now()

        def run(tx: Tx) -> T | Fault:
            # A refusal must not roll back the webhooks that share this transaction: a savepoint of its own.
            tx.run("savepoint configure")
            try:
                answer: T | Fault = work(Edit(tx, self.registry, workspace_id, actor, now_ms))
            except Fault as fault:
                answer = fault
            if rehearse or isinstance(answer, Fault):
                tx.run("rollback to configure")
                tx.run("release configure")
                return answer
            tx.run("release configure")
            snapshot = self.registry.build(tx)
            tx.then(lambda: self.registry.swap(snapshot))
            return answer

        answer = await self.db.write(run)
        if isinstance(answer, Fault):
            raise answer
        return answer

    async def look(self, work: Callable[[Reader], T]) -> T:
        """Runs a read."""
        return await self.db.read(work)

    async def tidy(self) -> None:
        """Ends overlaps of rotations that ran out. Costs nothing where there are none; call it once a minute."""
        now_ms = self.now()

        def run(tx: Tx) -> None:
            ended = integrations.forget_previous(tx, now_ms)
            if channels.forget_previous(tx, self.registry, now_ms) or ended:
                snapshot = self.registry.build(tx)
                tx.then(lambda: self.registry.swap(snapshot))

        await self.db.write(run)
