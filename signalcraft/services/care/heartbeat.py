"""A sign of life to somebody else, who tells people when it stops: sent only after a self-check that went well.

It stops when the process is gone, when nothing can be written, when the pipeline does not carry an alert to its end,
when nobody takes the messages of some channel, and while the box is held after a restore.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Literal, Protocol

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain.delivery import HttpCall, Reply, Step
from signalcraft.services.care.canary import Canary, Check
from signalcraft.services.deliver import Deliver
from signalcraft.storage.db import Db

log = logging.getLogger(__name__)

FRESH_MS: Final = 5_000
"""How old a self-check may be that a sign of life stands on."""

State = Literal["off", "waiting", "sent", "withheld", "refused"]


class Carrier(Protocol):
    """Who carries it: the postman."""

    async def send(self, step: Step) -> Reply: ...


class Beat(Struct, frozen=True):
    """How it stands. `sent_ms`: when one was taken last; `why`: why the last one was withheld or not taken."""

    state: State
    sent_ms: int | None = None
    why: str = ""


class Heartbeat:
    """One instance, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        deliver: Deliver,
        canary: Canary,
        postman: Carrier,
        held: Callable[[], bool],
        now: Callable[[], int],
    ) -> None:
        self._settings = settings.heartbeat
        self._canary_ms = settings.monitoring.canary_seconds * 1000
        self._db = db
        self._deliver = deliver
        self._canary = canary
        self._postman = postman
        self._held = held
        self._now = now
        self._due_ms = 0
        self._check_due_ms = 0
        self.beat = Beat("waiting" if self._settings.url else "off")

    async def tick(self) -> None:
        """Checks, and beats, where either is due. Called every second."""
        now_ms = self._now()
        beats = bool(self._settings.url) and self._is_due(self._due_ms, self._settings.every_seconds * 1000, now_ms)
        checks = self._canary_ms > 0 and self._is_due(self._check_due_ms, self._canary_ms, now_ms)
        if beats:
            self._due_ms = now_ms + self._settings.every_seconds * 1000
        if checks and not self._held():
            self._check_due_ms = now_ms + self._canary_ms
            await self._canary.check()
        if beats:
            await self._beat()

    @staticmethod
    def _is_due(due_ms: int, every_ms: int, now_ms: int) -> bool:
        return now_ms >= due_ms or due_ms - now_ms > every_ms  # the clock was set back

    async def _beat(self) -> None:
        why = await self.wrong()
        if why:
            self._said(Beat("withheld", self.beat.sent_ms, why))
            return
        url = self._settings.url.reveal()
        reply = await self._postman.send(
            HttpCall(method="GET", url=url, headers={}, body=b"", timeout_s=10.0, private_ok=True)
        )
        if 200 <= reply.status < 300:
            self._said(Beat("sent", self._now()))
        else:
            self._said(Beat("refused", self.beat.sent_ms, reply.error or f"it was answered {reply.status}"))

    def _said(self, beat: Beat) -> None:
        if (beat.state, beat.why) != (self.beat.state, self.beat.why):
            level = logging.INFO if beat.state == "sent" else logging.ERROR
            log.log(level, "the heartbeat", extra={"state": beat.state, "why": beat.why})
        self.beat = beat

    async def wrong(self) -> str:
        """Why no sign of life may be given now, "" where one may."""
        if self._held():
            return "the box is held after a restore: nobody is told anything until it is resumed"
        last = self._canary.last
        if last is None or not 0 <= self._now() - last.at_ms <= FRESH_MS:
            last = await self._canary.check()
        if last.wrong:
            return f"the self-check failed: {last.wrong}"
        try:
            status = await self._db.read(self._deliver.status)
        except Exception as problem:
            return f"the database cannot be read: {type(problem).__name__}"
        if status.cannot_deliver:
            return f"nobody takes the messages for {', '.join(status.cannot_deliver[:5])}"
        return ""


__all__ = ["Beat", "Check", "Heartbeat"]
