"""Other companies' servers, as far as deliveries are concerned: they do what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec

from signalcraft.domain.delivery import HttpCall, Reply, Step


class Call(msgspec.Struct, kw_only=True):
    """One call that reached the outside: to whom, what it was, whether it was taken."""

    at_ms: int
    where: str
    what: str  # post, reply, edit, hook
    title: str
    text: str
    taken: bool
    token: str = ""


class Outside:
    """The other companies' servers: Slack's Web API and a webhook receiver. Scripted by flags and by `next`."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.calls: list[Call] = []
        self.down = False
        self.revoked: set[str] = set()
        self.errors: dict[str, str] = {}  # channel or method -> Slack's error code
        self.next: list[Reply | str] = []  # replies, or Slack error codes, for the next calls, whatever they are
        self.next_of: dict[str, list[Reply | str]] = {}  # the same for a method alone
        self.hangs = False  # takes the message and never answers
        self.slow: asyncio.Event | None = None  # answers when this is set
        self.hook_status = 200
        self.messages = 0
        self.lost_answers = 0
        self._arrived = asyncio.Event()

    async def asked(self, calls: int) -> None:
        """Waits until so many calls have arrived."""
        while len(self.calls) < calls:
            self._arrived.clear()
            await self._arrived.wait()

    async def send(self, step: Step) -> Reply:
        assert isinstance(step, HttpCall)
        reply = self._answer(step)
        if self.hangs:
            await asyncio.Event().wait()
        if self.slow is not None:
            await self.slow.wait()
        return reply

    def _answer(self, step: HttpCall) -> Reply:
        body = json.loads(step.body)
        if "chat." not in step.url:
            taken = not self.down and self.hook_status == 200
            what = body["type"].removeprefix("alert_group.")
            self._log(step.url, what, body["data"]["group"]["title"], body["data"]["reason"], taken)
            return Reply(status=0, error="refused") if self.down else Reply(status=self.hook_status)
        method = step.url.rsplit("/", 1)[1]
        what = "edit" if method == "chat.update" else "reply" if "thread_ts" in body else "post"
        token = step.headers["Authorization"].removeprefix("Bearer ")
        planned = self.next_of.get(method) or self.next
        told = planned.pop(0) if planned else None
        error = (
            self.errors.get(body["channel"])
            or self.errors.get(method)
            or ("token_revoked" if token in self.revoked else "")
        )
        if isinstance(told, str):
            error = told
        reply = told if isinstance(told, Reply) else Reply(status=0, error="connection refused") if self.down else None
        text = body["text"] + (json.dumps(body["blocks"], ensure_ascii=False) if "blocks" in body else "")
        taken = not error and (reply is None or reply.sent_maybe)
        self.lost_answers += taken and reply is not None
        self._log(body["channel"], what, body["text"], text, taken, token)
        if reply is not None:
            return reply
        if error:
            return Reply(status=200, body=msgspec.json.encode({"ok": False, "error": error}))
        ts = body.get("ts")
        if ts is None:
            self.messages += 1
            ts = f"{self._now() // 1000}.{self.messages:06}"
        return Reply(status=200, body=msgspec.json.encode({"ok": True, "channel": body["channel"], "ts": ts}))

    def _log(self, where: str, what: str, title: str, text: str, taken: bool, token: str = "") -> None:
        call = Call(at_ms=self._now(), where=where, what=what, title=title, text=text, taken=taken, token=token)
        self.calls.append(call)
        self._arrived.set()

    def taken(self, what: str | None = None, where: str | None = None) -> list[Call]:
        """The calls that were taken."""
        return [c for c in self.calls if c.taken and what in (None, c.what) and where in (None, c.where)]

    def told(self) -> list[tuple[str, str]]:
        """(where, what) of everything that made a sound."""
        return [(c.where, c.what) for c in self.taken() if c.what != "edit"]


def too_many(after_s: int) -> Reply:
    """Slack's 429."""
    return Reply(status=429, headers={"retry-after": str(after_s)}, body=b'{"ok":false,"error":"ratelimited"}')


def lost() -> Reply:
    """The message was taken, the answer never came."""
    return Reply(status=0, error="the connection was closed", sent_maybe=True)
