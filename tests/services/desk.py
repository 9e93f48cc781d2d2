"""Where configuration is changed in tests: a real database, vault and registry, a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from signalcraft.config import Settings
from signalcraft.config.model import Http
from signalcraft.domain.group import Actor
from signalcraft.services import applyfile
from signalcraft.services.configure import Configure, Edit, channels, integrations, rules
from signalcraft.services.registry import CANARY, OWN, IntegrationLive, Registry, Snapshot
from signalcraft.storage import journal, migrate, workspaces
from signalcraft.storage.db import Db, Reader
from signalcraft.storage.vault import Vault

T = TypeVar("T")
SAM = Actor("user", "u1", "Sam")
KEY = bytes(range(32))
START_MS = 1_772_442_000_000
SLACK = {"bot_token": "xoxb-1-canary", "channel": "C0ONCALL"}


class Desk:
    """Everything that changing the configuration needs. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(http=Http(public_url="https://alerts.example.com"))
        self.now_ms = START_MS
        self.db = Db(folder / "signalcraft.db")
        migrate.up(self.db)
        self.vault = Vault(KEY)
        self.vault.check(self.db)
        with self.db.direct() as tx:
            workspaces.ensure_default(tx, self.now_ms)
        self.db.start()
        self.registry = Registry(self.settings, self.vault)
        self.configure = Configure(self.settings, self.db, self.registry, self.vault, lambda: self.now_ms)
        with self.db.reading() as reader:
            self.registry.reload(reader)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.stop()

    @property
    def snapshot(self) -> Snapshot:
        """Without the appliance's own sender and its self-check, which nobody configures."""
        whole = self.registry.snapshot
        return msgspec.structs.replace(
            whole,
            integrations={n: one for n, one in whole.integrations.items() if one not in (OWN, CANARY)},
            channels={n: one for n, one in whole.channels.items() if one.workspace_id},
        )

    def change(self, work: Callable[[Edit], T], *, rehearse: bool = False) -> T:
        return asyncio.run(self.configure.change(1, SAM, work, rehearse=rehearse))

    def look(self, work: Callable[[Reader], T]) -> T:
        with self.db.reading() as reader:
            return work(reader)

    def channel(self, name: str = "oncall", kind: str = "slack", **config: Any) -> Any:
        given = {**SLACK, **config} if kind == "slack" else config
        return self.change(lambda edit: channels.create(edit, channels.Draft(name=name, kind=kind, config=given)))

    def integration(self, name: str = "sentry-prod", kind: str = "sentry", token: str = "", **config: Any) -> Any:
        draft = integrations.Draft(name=name, kind=kind, config=config)
        if token:
            draft.token = token
        return self.change(lambda edit: integrations.create(edit, draft))

    def rule(self, name: str = "all", **fields: Any) -> Any:
        draft = rules.Draft(name=name, **{"channels": ["oncall"], **fields})
        return self.change(lambda edit: rules.create(edit, draft))

    def by_token(self, token: str, kind: str = "sentry") -> IntegrationLive | None:
        return self.registry.by_token(kind, token, self.now_ms)

    def apply(self, text: str, *, prune: bool = False, rehearse: bool = False) -> applyfile.Applied:
        doc = applyfile.parse(text)
        return self.change(lambda edit: applyfile.apply(edit, doc, prune=prune), rehearse=rehearse)

    def export(self) -> str:
        return self.look(lambda reader: applyfile.export(reader, self.registry, 1))

    def journal(self) -> list[tuple[str, dict[str, Any]]]:
        return [(entry.verb, entry.data) for entry in self.look(lambda reader: journal.since(reader, 1, 0))]

    def everything(self) -> list[Any]:
        """Every row of what is configured, to see that nothing changed."""
        tables = ("integration", "channel", "rule", "workspace", "journal")
        return [self.look(lambda reader, t=t: reader.all(f"select * from {t} order by id")) for t in tables]  # type: ignore[misc]
