"""What goes into a backup and lies in no file: settings as run, keys for the recipient, and who may open it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nacl.public import PublicKey

from signalcraft import __version__
from signalcraft.config import Loaded, Settings
from signalcraft.config.fields import fields
from signalcraft.errors import BadSetting, Invalid
from signalcraft.storage import bundlekeys, facts, versions
from signalcraft.storage.backup import gather
from signalcraft.storage.backup.job import Make
from signalcraft.storage.bundle import KEYS, Opener
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.vault import Vault, shown

log = logging.getLogger(__name__)

BOX: Final = "box_id"
"""The fact that tells this box from others, in its backups too."""


class Materials:
    """One instance, on the event loop. `recipient`: the public part of the settings' recipient, None without one.

    Raises BadSetting for a recipient that is none.
    """

    def __init__(self, settings: Settings, db: Db, vault: Vault, data_dir: Path, now: Callable[[], int]) -> None:
        self._db = db
        self._vault = vault
        self._data_dir = data_dir
        self._now = now
        self._box = ""
        self._loaded = Loaded(settings=settings, origin=dict.fromkeys(fields(), "the start"))
        self._file: bytes | None = None
        self.recipient = _recipient(settings.backup.recipient)

    def ran_with(self, loaded: Loaded) -> None:
        """The settings file that this start read, as it was then, is what goes into backups."""
        self._loaded = loaded
        if loaded.file is not None:
            try:
                self._file = loaded.file.read_bytes()
            except OSError:
                log.warning("the settings file cannot be read again: it will not be in backups")

    async def box_id(self) -> str:
        """What tells this box from others; made at its first use."""
        if not self._box:

            def work(tx: Tx) -> str:
                found = facts.get(tx, BOX)
                if found is None:
                    facts.put(tx, BOX, found := secrets.token_hex(8))
                return found

            self._box = await self._db.write(work)
        return self._box

    def openers(self, recipient: bytes | None) -> list[Opener]:
        """Whom a backup is sealed to: this box (by its master key), and the recipient."""
        master = self._vault.master_keys()[self._vault.current]
        box = Opener("box", bytes(bundlekeys.of_master(master).public_key), shown(self._vault.current))
        if recipient is None:
            return [box]
        public = PublicKey(recipient)
        return [box, Opener("recipient", recipient, bundlekeys.key_id(public))]

    def outside(self) -> list[str]:
        """Sentences about secrets that no backup holds, because they come from outside of the files."""
        said = gather.from_outside(self._loaded.table())
        return [one for one in said if self.recipient is None or not one.startswith("security.master_key ")]

    def keys(self) -> list[bytes]:
        """Private parts of what opens this box's backups."""
        return [bytes(bundlekeys.of_master(key)) for key in self._vault.master_keys().values()]

    async def job(self, folder: Path, recipient: bytes | None, copy_to: str) -> Make:
        """What the making of one backup needs to know: no private key is in it."""
        table = self._loaded.table()
        files: dict[str, bytes] = {gather.SETTINGS: gather.settings(table), **await asyncio.to_thread(gather.units)}
        if self._file is not None:
            files[gather.CONFIG] = self._file
        current, left_out = self._vault.current, gather.from_outside(table)
        if recipient is not None:
            publics = [PublicKey(recipient)]
            files[KEYS] = bundlekeys.seal_masters(current, self._vault.master_keys(), publics)
            left_out = [one for one in left_out if not one.startswith("security.master_key ")]
        return Make(
            data_dir=str(self._data_dir), folder=str(folder), copy_to=copy_to,
            box=await self.box_id(), created_ms=self._now(), program=__version__, build=versions.build(),
            master=current, config_file=str(self._loaded.file) if self._loaded.file else None, files=files,
            openers=self.openers(recipient), left_out=left_out,
        )  # fmt: skip


def _recipient(text: str) -> bytes | None:
    if not text:
        return None
    try:
        return bytes(bundlekeys.read_public(text))
    except Invalid as fault:
        raise BadSetting(f"backup.recipient: {fault.detail}", path="backup.recipient") from None


def recipient_given(text: str) -> bytes:
    """A recipient that somebody named. Raises Invalid."""
    try:
        return bytes(bundlekeys.read_public(text))
    except Invalid as fault:
        raise Invalid(fault.detail, path="recipient") from None
