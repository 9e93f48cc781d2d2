"""The audit log: verified, purged after its time, and kept whole for requests that wrote nothing down by themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain.group import SYSTEM, Actor
from signalcraft.errors import Invalid
from signalcraft.storage import audit as store
from signalcraft.storage import journal, retention, workspaces
from signalcraft.storage.audit import Head, Stored
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

_DAY_MS = 86_400_000
_BATCH = 1000


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of looking through one chain. `broken_seq`: the first row that is not as it was written, or is gone.

    `head`: where it ends, `SEQ:CHAIN`, to be kept elsewhere: `verify` given it later finds out whoever cut or rewrote
    the chain together with the key.
    """

    workspace: str
    holds: bool
    rows: int
    erased: int
    first_seq: int
    head: str
    broken_seq: int | None = None
    why: str = ""


class Audit:
    """One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now
        self._keep_ms = settings.audit.keep_days * _DAY_MS

    async def asked(self, workspace_id: int, actor: Actor, route: str) -> None:
        """A request that may change things was answered and wrote nothing down: that it was asked is a row too."""
        now_ms = self.now()
        await self.db.write(lambda tx: store.add(tx, now_ms, workspace_id, "asked", actor, {"route": route}))

    async def verify(self, workspace_id: int, expected: str = "") -> Verdict:
        """Looks through a workspace's chain. `expected`: a head that was told earlier. Raises Invalid."""
        seq, chain = _head(expected)
        return await self.db.read(lambda tx: verify(tx, workspace_id, seq, chain))

    async def tidy(self, *, purge: bool = True) -> None:
        """The nightly care: what is too old goes, and where each chain ends is told to the log, which is elsewhere.

        `purge`: whether the chains are shortened too; the clean-up has done so, and archived them, by each workspace's
        own time. What the journal has of them beside goes by the longest of these.
        """
        now_ms = self.now()
        before_ms = now_ms - self._keep_ms
        for workspace in await self.db.read(workspaces.every):
            if purge:
                await self._purge(workspace.id, now_ms, before_ms)
            else:
                before_ms = min(before_ms, now_ms - await self._own_ms(workspace.id))
            head = await self.db.read(lambda tx, number=workspace.id: store.head_of(tx, number))  # type: ignore[misc]
            if head is not None:
                log.info("the audit log ends here", extra={"workspace": workspace.name, "head": shown(head)})
        while await self.db.write(lambda tx: journal.forget_audited(tx, before_ms, _BATCH)) == _BATCH:
            continue

    async def _own_ms(self, workspace_id: int) -> int:
        own = await self.db.read(lambda tx: retention.own(tx, workspace_id))
        return self._keep_ms if own.audit_days is None else own.audit_days * _DAY_MS

    async def _purge(self, workspace_id: int, now_ms: int, before_ms: int) -> None:
        gone = 0
        while True:
            some = await self.db.write(lambda tx: store.purge(tx, workspace_id, before_ms, _BATCH))
            gone += some
            if some < _BATCH:
                break
        if gone:
            await self.purged(workspace_id, gone, now_ms)

    async def purged(self, workspace_id: int, rows: int, now_ms: int) -> None:
        """The log says itself that its oldest rows are gone."""
        said = {"rows": rows}
        await self.db.write(lambda tx: store.add(tx, now_ms, workspace_id, "audit.purged", SYSTEM, said))


def shown(head: Head) -> str:
    """A head as text: `SEQ:CHAIN`."""
    return f"{head.seq}:{head.chain.hex()}"


def _head(text: str) -> tuple[int, bytes]:
    if not text:
        return 0, b""
    number, _, chain = text.partition(":")
    try:
        seq, found = int(number), bytes.fromhex(chain)
    except ValueError:
        seq, found = 0, b""
    if seq < 1 or len(found) != len(store.NOTHING):
        raise Invalid("a head is the number of a row, a colon and 64 hexadecimal digits", path="head")
    return seq, found


def verify(tx: Tx, workspace_id: int, expected_seq: int = 0, expected_chain: bytes = b"") -> Verdict:
    """The same within a read."""
    name = workspaces.get(tx, workspace_id).name
    head = store.head_of(tx, workspace_id)
    end = head or Head()
    count = erased = 0
    before, seq = end.first_chain, end.first_seq - 1

    def verdict(broken: int | None = None, why: str = "") -> Verdict:
        return Verdict(
            workspace=name, holds=broken is None, rows=count, erased=erased, first_seq=end.first_seq,
            head=shown(end), broken_seq=broken, why=why,
        )  # fmt: skip

    if head is None:
        if journal.any_audited(tx, workspace_id):
            return verdict(1, "the whole log and its head are gone")
        return verdict() if not expected_seq else verdict(1, "the log is empty, and was not when that head was told")
    sealed = store.holds(head.mac, store.head_mac(tx.audit_key, workspace_id, head))
    for row in store.every(tx, workspace_id):
        seq += 1
        if row.seq != seq:
            return verdict(seq, "it is gone" if row.seq > seq else f"row {row.seq} stands before the first one kept")
        why = _fault(tx, workspace_id, row, before)
        if not why and row.seq == expected_seq and row.chain != expected_chain:
            why = "the log was another one up to here when that head was told"
        if why:
            return verdict(seq, why)
        count += 1
        erased += row.who is None or row.what is None
        before = row.chain
    if not sealed:
        return verdict(seq, "where the log begins and ends was changed by somebody without the key")
    if seq < head.seq:
        return verdict(seq + 1, f"it is gone, and every row behind it up to {head.seq}")
    if seq > head.seq or before != head.chain:
        return verdict(seq, "it was added past the end of the log")
    if expected_seq > seq:
        return verdict(seq + 1, f"it is gone: the log had {expected_seq} rows when that head was told")
    return verdict()


def _fault(tx: Tx, workspace_id: int, row: Stored, before: bytes) -> str:
    """What is wrong with a row, "" for nothing."""
    for part, text, salt, given in (
        ("who", row.who, row.who_salt, row.who_digest),
        ("what", row.what, row.what_salt, row.what_digest),
    ):
        if text is not None:
            if store.digest(salt, text) != given:
                return f"its {part} is not as it was written"
        elif not store.holds(salt, store.erasure(tx.audit_key, workspace_id, row.seq, part)):
            return f"its {part} was taken away, not erased by this program"
    chain = store.chained(before, workspace_id, row.seq, row.at_ms, row.verb, row.who_digest, row.what_digest)
    if chain != row.chain:
        return "it does not follow from the row before it: this row was changed, or one before it is gone"
    if not store.holds(row.mac, store.sealed(tx.audit_key, b"row", chain)):
        return "it was written by somebody without the key"
    return ""
