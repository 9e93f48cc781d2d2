"""Links that show one alert group, for reading alone and for a while, to whoever holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from signalcraft.domain import ids, links
from signalcraft.domain.group import Actor, Group
from signalcraft.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from signalcraft.storage import groups, journal, shares
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.shares import Share
from signalcraft.storage.vault import Vault

HOURS_MAX: Final = 168
A_GROUP_MAX: Final = 50
"""Links of one group that work at a time."""
PURPOSE: Final = "share links"
_HOUR_MS: Final = 3_600_000


class Shares:
    """Gives links away, shows what they show, takes them back."""

    def __init__(self, base: str, db: Db, vault: Vault, now: Callable[[], int]) -> None:
        self.base = base
        self.db = db
        self.now = now
        self._vault = vault

    async def give(self, workspace_id: int, group_id: int, actor: Actor, hours: int) -> tuple[Share, str]:
        """A new link, with its address, which is told this once. Raises NotFound, Conflict where there are too many."""
        now_ms = self.now()

        def work(tx: Tx) -> Share:
            group = groups.get(tx, workspace_id, group_id)
            if sum(one.works(now_ms) for one in shares.of_group(tx, group.id, 10 * A_GROUP_MAX)) >= A_GROUP_MAX:
                raise Conflict(f"{A_GROUP_MAX} links to this alert group work already: take one back first")
            made = shares.add(tx, workspace_id, group.id, actor, now_ms, now_ms + hours * _HOUR_MS)
            data = {"share": ids.show(made.id), "hours": hours}
            journal.add(tx, now_ms, workspace_id, group.id, "shared", actor, data)
            return made

        made = await self.db.write(work)
        return made, f"{self.base}/share/{links.sign_share(self._key(), made.id, made.expires_ms)}"

    async def revoke(self, workspace_id: int, group_id: int, share_id: int, actor: Actor, *, admin: bool) -> None:
        """It shows nothing any more. Twice is no fault. Raises NotFound, Forbidden for another's (unless `admin`)."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            found = shares.get(tx, workspace_id, group_id, share_id)
            if not admin and (found.author.kind, found.author.id) != (actor.kind, actor.id):
                raise Forbidden(f"this link is {found.author.name}'s: only they and admins may take it back")
            if found.revoked_ms is None:
                shares.revoke(tx, share_id, now_ms)
                data = {"share": ids.show(share_id)}
                journal.add(tx, now_ms, workspace_id, group_id, "share_revoked", actor, data)

        await self.db.write(work)

    async def opened(self, token: str) -> tuple[Share, Group]:
        """What a link shows. Raises NotFound for one that we did not give, Gone for one that is over."""
        now_ms = self.now()
        try:
            share_id = links.read_share(self._key(), token, now_ms)
        except Invalid as fault:
            if fault.detail == links.EXPIRED:
                raise Gone("this link has expired") from None
            raise NotFound("this link is not one of ours") from None

        def read(tx: Tx) -> tuple[Share, Group]:
            share = shares.load(tx, share_id)
            group = None if share is None else groups.load(tx, share.group_id)
            if share is None or group is None:
                raise NotFound("what this link showed is no more")
            if not share.works(now_ms):
                raise Gone("this link was taken back" if share.revoked_ms is not None else "this link has expired")
            return share, group

        return await self.db.read(read)

    def _key(self) -> bytes:
        return self._vault.derive(PURPOSE)
