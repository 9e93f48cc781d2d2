"""The master key while the box works: shown, replaced, handed out for escrow; and whether what it sealed opens."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain.group import SYSTEM, Actor
from signalcraft.errors import Conflict, Fault
from signalcraft.services.errands import Errands
from signalcraft.services.health import Component
from signalcraft.storage import journal, masterkey, rotation, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.vault import KEY_BYTES, KEY_FILE, Vault, shown

log = logging.getLogger(__name__)

BATCH: Final = 50
"""Rows that one transaction seals anew: webhooks wait for none longer than that takes."""
GRACE_S: Final = 0.5
"""Readers that began before the end may still open what the earlier key sealed for so long."""
_DAY_MS: Final = 86_400_000
_LOOK_EVERY_MS: Final = 3_600_000
_NAMED_MAX: Final = 5

BY_SETTING: Final = (
    "the master key comes from security.master_key, which SignalCraft cannot write: put the present key into "
    "security.master_key_previous and a new one (openssl rand -base64 32) into security.master_key, then start it again"
)


class Shown(Struct, frozen=True, kw_only=True):
    """The master key as it may be shown. `coming`: the id of the one it is being replaced by.

    `sealed`: rows that hang on it; `behind`: those still sealed with the earlier one; `damaged`: places of secrets that
    do not open.
    """

    id: str
    source: Literal["file", "setting"]
    file: str | None
    since_ms: int | None
    coming: str | None
    sealed: int
    behind: int
    damaged: list[str]


class Rotated(Struct, frozen=True, kw_only=True):
    """A master key that was replaced. `damaged`: places of secrets that opened with neither, left as they were."""

    id: str
    earlier: str
    resealed: int
    damaged: list[str]


class Keyring:
    """One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, vault: Vault, data_dir: Path, now: Callable[[], int]) -> None:
        self.db = db
        self.vault = vault
        self.data_dir = data_dir
        self.now = now
        self.age_ms = settings.security.master_key_days * _DAY_MS
        self.source: Literal["file", "setting"] = "setting" if settings.security.master_key.reveal() else "file"
        self._one = asyncio.Lock()
        self._errands: Errands[Rotated] = Errands(now)
        self._looked_ms = 0
        self._damaged: list[str] = []

    async def shown(self) -> Shown:
        """What may be shown of it."""
        state = await self.db.read(rotation.state)
        self._damaged = await self.db.read(lambda tx: rotation.damaged(tx, self.vault))
        return Shown(
            id=shown(self.vault.current),
            source=self.source,
            file=str(self.data_dir / KEY_FILE) if self.source == "file" else None,
            since_ms=state.since_ms,
            coming=shown(state.coming) if state.coming else None,
            sealed=state.sealed,
            behind=state.behind,
            damaged=self._damaged,
        )

    async def handed_out(self, actor: Actor, workspace_id: int) -> dict[str, bytes]:
        """Every master key in use by its check value, for escrow; the journal says who took them."""
        keys = self.vault.master_keys()
        said = {"keys": [shown(check) for check in keys]}
        now_ms = self.now()
        await self.db.write(lambda tx: journal.add(tx, now_ms, workspace_id, None, "master_key_exported", actor, said))
        return keys

    async def exported(self, actor: Actor, workspace_id: int, export: Callable[[Tx], str]) -> str:
        """A configuration with its secrets; the journal says who took it."""
        text = await self.db.read(export)
        now_ms = self.now()
        await self.db.write(lambda tx: journal.add(tx, now_ms, workspace_id, None, "secrets_exported", actor))
        return text

    # -- replacing it -------------------------------------------------------------------------------------------------

    async def rotate(self, actor: Actor, workspace_id: int) -> Rotated:
        """A new master key; everything is sealed with it when this returns, and the earlier one opens nothing.

        Goes on with a rotation that was interrupted. Raises Conflict where the key comes from the settings.
        """
        async with self._one:
            if await self.db.read(rotation.coming) is None:
                if self.source == "setting":
                    raise Conflict(BY_SETTING)
                await self._begin()
            return await self._go_on(actor, workspace_id)

    async def rotate_for(self, seconds: float, actor: Actor, workspace_id: int) -> Rotated | None:
        """The same, waiting no longer than that; None while it goes on, and the next call waits for it too."""
        return await self._errands.within(seconds, "rotation", lambda: self.rotate(actor, workspace_id))

    async def resume(self) -> Rotated | None:
        """Goes on with what was interrupted, or with what new settings began; None where there is nothing to do."""
        async with self._one:
            if await self.db.read(rotation.coming) is None:
                return None
            return await self._go_on(SYSTEM, workspaces.DEFAULT_ID)

    async def _begin(self) -> None:
        strangers = await self.db.read(rotation.undeclared)
        if strangers:
            raise Fault(f"nobody has said whether these columns are sealed, so the key stays: {', '.join(strangers)}")
        key = secrets.token_bytes(KEY_BYTES)
        logs.redact.add(base64.b64encode(key).decode(), key.hex())
        await asyncio.to_thread(masterkey.write_file, self.data_dir / masterkey.NEXT_FILE, key)
        check = self.vault.learn(key)
        now_ms = self.now()
        await self.db.write(lambda tx: rotation.begin(tx, self.vault, check, now_ms))
        log.info("a new master key is being taken into use", extra={"key": shown(check)})

    async def _go_on(self, actor: Actor, workspace_id: int) -> Rotated:
        check = await self.db.read(rotation.coming)
        if check is None or check not in self.vault.known:
            raise Fault("the new master key is not known to this process: start it again")
        resealed, damaged = 0, list[str]()
        for column in rotation.SEALED:
            step = await self._step(column, None)
            while True:
                resealed += step.resealed
                damaged += step.damaged
                if step.last is None:
                    break
                step = await self._step(column, step.last)
        earlier = self.vault.current
        done = Rotated(id=shown(check), earlier=shown(earlier), resealed=resealed, damaged=damaged)
        await self.db.write(lambda tx: self._finish(tx, check, done, actor, workspace_id))
        if self.source == "file":
            await asyncio.to_thread(masterkey.tidy_files, self.data_dir, check)
        await asyncio.sleep(GRACE_S)
        self.vault.keep_only(check)
        self._damaged = damaged
        log.info("the master key was replaced", extra={"key": done.id, "earlier": done.earlier, "resealed": resealed})
        return done

    async def _step(self, column: rotation.Sealed, after: object) -> rotation.Step:
        now_ms = self.now()
        return await self.db.write(lambda tx: rotation.reseal(tx, self.vault, column, after, BATCH, now_ms))

    def _finish(self, tx: Tx, check: str, done: Rotated, actor: Actor, workspace_id: int) -> None:
        now_ms = self.now()
        rotation.finish(tx, check, now_ms)
        said = {"key": done.id, "earlier": done.earlier, "resealed": done.resealed, "damaged": len(done.damaged)}
        journal.add(tx, now_ms, workspace_id, None, "master_key_rotated", actor, said)

    # -- how it is ----------------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Once a minute: goes on with an interrupted rotation; once an hour: looks at every sealed secret."""
        await self.resume()
        if not self._looked_ms or abs(self.now() - self._looked_ms) >= _LOOK_EVERY_MS:
            await self.look()

    async def look(self) -> None:
        """Tries whether every sealed secret opens; `health` tells what does not."""
        self._looked_ms = self.now()
        self._damaged = await self.db.read(lambda tx: rotation.damaged(tx, self.vault))
        if self._damaged:
            log.error("sealed secrets do not open", extra={"places": self._damaged[:_NAMED_MAX]})

    async def health(self) -> Component:
        """The part of the health report that is about keys."""
        facts = await self.db.read(rotation.facts)
        told = []
        if self._damaged:
            more = f" and {len(self._damaged) - _NAMED_MAX} more" if len(self._damaged) > _NAMED_MAX else ""
            told.append(
                f"these secrets do not open, they were changed outside this program: "
                f"{', '.join(self._damaged[:_NAMED_MAX])}{more}; set them again"
            )
        if facts.coming is not None:
            told.append("a new master key is being taken into use: signalcraft keys rotate goes on with it")
        days = None if facts.since_ms is None else (self.now() - facts.since_ms) // _DAY_MS
        if self.age_ms and days is not None and days * _DAY_MS >= self.age_ms:
            told.append(f"the master key is {days} days old: signalcraft keys rotate")
        detail = f"the master key {shown(self.vault.current)} opens what it sealed"
        return Component("degraded", " | ".join(told)) if told else Component("ok", detail)
