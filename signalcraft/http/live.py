"""/api/live: one stream of server-sent events a browser, so that a screen shows what is, without asking.

One task looks at the database for all streams, and only when something was committed. A stream ends with the house:
the server would wait for an open one for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get
from litestar.params import QueryParameter
from litestar.response import Stream

from signalcraft.domain import ids
from signalcraft.domain.roles import Access
from signalcraft.errors import Busy
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.feed import Feed, IntegrationHeard, Reset, catch_up, sse
from signalcraft.http.states import integrations_health
from signalcraft.http.wire import TheHouse
from signalcraft.services.health import Report
from signalcraft.services.house import House
from signalcraft.storage.db import Tx

log = logging.getLogger(__name__)

LOOK_S: Final = 0.1
KEEP_ALIVE_S: Final = 15.0
CHECK_S: Final = 1.0
"""How often a stream asks whether its key or session still holds."""
COUNTS_S: Final = 1.0
"""How often counts that rise are told, at most; what changes a group is told at once."""
HEALTH_S: Final = 5.0
MOVING: Final = (
    "database", "queue", "deliveries", "disk", "memory", "clock", "loop", "self_check", "certificate", "rollups",
    "replica", "backup",
)  # fmt: skip
"""Parts of health whose words hold figures, or ages, also while nothing is wrong with them."""
STREAMS_MAX: Final = 1000
WAITING_MAX: Final = 2000


class Subscriber:
    """One open stream. `waiting` holds what its client has not taken yet; None ends it."""

    def __init__(self, caller: Caller, last_event_id: str) -> None:
        self.caller = caller
        self.last_event_id = last_event_id
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, events: list[bytes], cursor: int) -> None:
        """Hands over events; a client that is too slow is told to read everything anew."""
        if self.waiting.qsize() + len(events) > WAITING_MAX:
            while not self.waiting.empty():
                self.waiting.get_nowait()
            events = [sse("reset", Reset("this stream fell too far behind"), cursor)]
        for event in events:
            self.waiting.put_nowait(event)

    def end(self) -> None:
        """The stream ends when it comes to this."""
        self.waiting.put_nowait(None)


class Live:
    """All open streams of one app."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._joining: list[Subscriber] = []
        self._open: set[Subscriber] = set()
        self._feeds: dict[int, Feed] = {}
        self._task: asyncio.Task[None] | None = None
        self._commits = -1
        self._counts_s = 0.0
        self._counts_wait = False
        self._health = b""
        self._health_s = 0.0
        self._heard = 0
        self._heard_s = 0.0
        self._holds: dict[str, asyncio.Task[bool]] = {}
        self._holds_s = 0.0

    async def may_listen(self, caller: Caller) -> bool:
        """Whether a caller's session or key still holds. Asked once in CHECK_S for all the streams that one has."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._holds_s >= CHECK_S:
            self._holds_s = loop.time()
            self._holds.clear()
        who = f"{caller.session.id} {caller.role}" if caller.session is not None else f"key {caller.actor.id}"
        asked = self._holds.get(f"{who} {caller.workspace_id}")
        if asked is None:
            asked = self._holds[f"{who} {caller.workspace_id}"] = loop.create_task(_may_listen(self._house, caller))
        return await asyncio.shield(asked)

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._open) + len(self._joining)

    def join(self, caller: Caller, last_event_id: str) -> Subscriber:
        """A new stream. Raises Busy when there are too many."""
        if self.streams >= STREAMS_MAX or self._house.leaving:
            raise Busy("no more event streams can be opened now", retry_after_s=10)
        one = Subscriber(caller, last_event_id)
        self._joining.append(one)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow(), name="live")
        return one

    def leave(self, one: Subscriber) -> None:
        """The client went away."""
        self._open.discard(one)
        if one in self._joining:
            self._joining.remove(one)

    async def close(self) -> None:
        """Ends every stream, and the task that feeds them."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=2)

    async def _follow(self) -> None:
        try:
            while (self._open or self._joining) and not self._house.leaving:
                try:
                    await self._look()
                except Exception:
                    log.exception("the event streams could not be fed")
                    await asyncio.sleep(1)
                await asyncio.sleep(LOOK_S)
        finally:
            for one in (*self._open, *self._joining):
                one.end()
            self._feeds.clear()
            self._commits = -1

    async def _look(self) -> None:
        house = self._house
        commits, loop_s = house.db.commits, asyncio.get_running_loop().time()
        counts = loop_s - self._counts_s >= COUNTS_S
        if commits != self._commits or (counts and self._counts_wait):
            self._commits = commits
            self._counts_s = loop_s if counts else self._counts_s
            self._counts_wait = not counts
            await self._feed(counts)
        await self._tell_heard()
        await self._tell_health()
        joining, self._joining = self._joining, []
        for one in joining:
            await self._begin(one)

    async def _feed(self, counts: bool) -> None:
        now_ms = self._house.now()
        wanted = {one.caller.workspace_id for one in self._open}
        self._feeds = {workspace_id: feed for workspace_id, feed in self._feeds.items() if workspace_id in wanted}
        for workspace_id, feed in self._feeds.items():
            events = await self._house.db.read(partial(feed.read, now_ms=now_ms, counts=counts))
            if events:
                for one in self._open:
                    if one.caller.workspace_id == workspace_id:
                        one.put(events, feed.cursor)

    async def _tell_heard(self) -> None:
        """Whose integrations spoke or were sent away since the last look, once a second at most."""
        heard, loop_s = self._house.ingest.heard, asyncio.get_running_loop().time()
        if heard.version == self._heard or loop_s - self._heard_s < COUNTS_S:
            return
        spoke, self._heard, self._heard_s = heard.since(self._heard), heard.version, loop_s
        known = self._house.registry.snapshot.integrations
        listening = [one for one in self._open if one.caller.may(Access("integrations", "read"))]
        for workspace_id in {one.caller.workspace_id for one in listening}:
            own = [number for number in spoke if number in known and known[number].workspace_id == workspace_id]
            if not own:
                continue
            found = await self._house.db.read(
                partial(integrations_health, house=self._house, workspace_id=workspace_id, integration_ids=own)
            )
            events = [sse("integration", IntegrationHeard(ids.show(number), one)) for number, one in found.items()]
            for one in listening:
                if one.caller.workspace_id == workspace_id:
                    one.put(events, 0)

    async def _begin(self, one: Subscriber) -> None:
        """A stream begins with how everything is, and with what it missed; from there on it gets what all get."""
        workspace_id = one.caller.workspace_id
        feed = self._feeds.get(workspace_id)
        fresh = feed is None
        if feed is None:
            feed = Feed(workspace_id)
        now_ms = self._house.now()

        def read(tx: Tx) -> list[bytes]:
            if fresh:
                feed.begin(tx)
            if not one.last_event_id:
                return []
            return catch_up(tx, workspace_id, one.last_event_id, feed.cursor, now_ms)

        missed = await self._house.db.read(read)
        self._feeds[workspace_id] = feed
        self._open.add(one)
        if not self._health:
            await self._tell_health(at_once=True)
        hello = [b"retry: 2000\nid: " + ids.show(feed.cursor).encode() + b"\n" + self._health]
        one.put([*missed, *hello], feed.cursor)

    async def _tell_health(self, *, at_once: bool = False) -> None:
        loop_s = asyncio.get_running_loop().time()
        if loop_s - self._health_s < HEALTH_S and not at_once:
            return
        self._health_s = loop_s
        house = self._house
        report = await house.health.report(ready=house.ready, stopping=house.stopping, warnings=house.warnings)
        now = sse("health", _without_figures(report))
        if now != self._health:
            self._health = now
            for one in self._open:
                one.put([now], 0)


def _without_figures(report: Report) -> dict[str, Any]:
    """A report without what moves by itself, so that it is only told when something changed."""
    told = msgspec.to_builtins(report)
    for name in MOVING:
        if name in told["components"] and told["components"][name]["status"] == "ok":
            told["components"][name]["detail"] = ""
    return dict(told)


@get(
    "/api/live",
    guards=[scopes("alerts:read")],
    summary="What happens, as it happens",
    operation_id="follow",
    tags=["live"],
    media_type="text/event-stream",
)
async def live(
    house: TheHouse,
    caller: TheCaller,
    request: Request[Any, Any, Any],
    last_event_id: Annotated[
        str | None, QueryParameter(name="last_event_id", description="Where the header Last-Event-ID cannot be set.")
    ] = None,
) -> Stream:
    """Server-sent events: `group`, `delivery`, `integration`, `health`, `reset`.

    Ids are journal numbers; Last-Event-ID catches up. After a `reset` the lists are to be read anew. A comment every 15
    seconds keeps the connection open.
    """
    if request.scope["state"].get("head"):
        return Stream(_nothing(), media_type="text/event-stream")
    streams: Live = request.app.state.live
    last = request.headers.get("last-event-id") or last_event_id or ""
    one = streams.join(caller, last)
    return Stream(_events(house, streams, one), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _nothing() -> AsyncIterator[bytes]:
    for part in (b"",):
        yield part


async def _events(house: House, streams: Live, one: Subscriber) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    said_s = checked_s = clock()
    try:
        yield b": SignalCraft\n\n"
        while not house.leaving:
            event: bytes | None = b""
            try:
                event = await asyncio.wait_for(one.waiting.get(), CHECK_S)
            except TimeoutError:
                if clock() - said_s >= KEEP_ALIVE_S:
                    event = b": still here\n\n"
            if clock() - checked_s >= CHECK_S:
                checked_s = clock()
                if not await streams.may_listen(one.caller):
                    return
            if event is None:
                return
            if event:
                said_s = clock()
                yield event
    finally:
        streams.leave(one)


async def _may_listen(house: House, caller: Caller) -> bool:
    if caller.session is not None:
        # With another role the stream ends: the browser comes again, reads everything anew and hears what it may now.
        return await house.signin.sessions.role(caller.session.id, caller.workspace_id) == caller.role
    if caller.actor.kind != "api_key":
        return True
    return await house.accounts.is_live(ids.parse(caller.actor.id))


ROUTES: list[Any] = [live]
