"""Around every request but webhooks: who asks from where goes with it, what it did is written down, what was refused is
counted, and what was slow is said.

A request that may change something runs with an `Origin`: the rows of the audit log that its work writes take address,
user agent and request id from there. Where it is answered well and no row was written, that it was asked becomes one:
every mutating route writes, whoever wrote the route.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from litestar import Request, Response

from signalcraft import logs
from signalcraft.errors import Fault, TooMany
from signalcraft.http.auth import BadKey, Caller
from signalcraft.http.browser import SAFE, Door
from signalcraft.http.limits import Exceeded
from signalcraft.http.problems import answer
from signalcraft.logs.spans import Trace, picked, tracing
from signalcraft.services import security
from signalcraft.services.house import House
from signalcraft.storage.origin import Origin, present

SLOW_S: Final = 1.0
"""From how long on a request is slow."""
READS: Final = frozenset(
    {
        "/api/retention/preview",
        *(f"/api/routing-rules/{what}" for what in ("test", "preview", "convert")),
        "/api/invitations/preview",
        *("/api/quarantine/{id:str}/try", "/api/quarantine/{id}/try"),
        *(f"/api/auth/{what}/options" for what in ("passkeys", "sign-in/passkey", "step-up/passkey")),
    }
)
"""Routes that take a body and change nothing: no row for them."""
_QUIET: Final = ("/health", "/live", "/ready", "/metrics", "/api/live")
_STREAMS: Final = frozenset({"/api/live"})
_SIGN_IN: Final = ("/api/auth/", "/api/invitations/accept")

log = logging.getLogger(__name__)

App = Callable[[Any, Any, Any], Awaitable[None]]
Message = MutableMapping[str, Any]


async def recorded(app: App, state: Any, scope: Any, receive: Any, send: Any) -> None:
    """Serves one request. `state`: the app's."""
    trace = Trace(next((v for name, v in scope["headers"] if name == b"traceparent"), b"").decode("latin-1"))
    # It stays when this returns: the edge's line about the answer is written behind it, in the same task.
    logs.about.set({"trace_id": trace.id} if trace.parent else {})
    status = size = 0

    async def counting(message: Message) -> None:
        nonlocal status, size
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            size += len(message.get("body", b""))
        await send(message)

    try:
        with tracing(trace):
            if scope["method"] in SAFE:
                await app(scope, receive, counting)
            else:
                await _written_down(app, state, scope, receive, counting)
    finally:
        took_s = time.perf_counter() - trace.began_s
        logs.tell(duration_ms=round(took_s * 1000, 1), address=state.door.address(scope), bytes=size)
        template = scope.get("path_template", "unmatched")
        if took_s >= SLOW_S and template not in _STREAMS:
            state.house.db.slow.saw("request", f"{scope['method']} {template}", took_s)
        if template not in _STREAMS and (took_s >= SLOW_S or status >= 500 or picked(state.house.settings.log.traces)):
            log.info("a trace", extra={"method": scope["method"], "route": template, "status": status, **trace.told()})
        if status < 400 and state.house.settings.log.requests == "all" and not template.startswith(_QUIET):
            log.info("answered", extra={"method": scope["method"], "route": template, "status": status})


async def _written_down(app: App, state: Any, scope: Any, receive: Any, send: Any) -> None:
    house: House = state.house
    door: Door = state.door
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"").decode("latin-1")
    origin = Origin(door.address(scope), agent, scope["state"]["request_id"])

    async def answering(message: Message) -> None:
        if message["type"] == "http.response.start" and 200 <= message["status"] < 300 and not origin.rows:
            caller: Caller | None = scope["state"].get("caller")
            template = scope.get("path_template", "")
            if caller is not None and template not in READS:
                await house.audit.asked(caller.workspace_id, caller.actor, f"{scope['method']} {template}")
        await send(message)

    token = present.set(origin)
    try:
        await app(scope, receive, answering)
    finally:
        present.reset(token)


def answered(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """The one exception map, which counts what the security log wants to know."""
    response = answer(request, problem)
    if isinstance(problem, Fault):
        scope: Any = request.scope
        kind = security.OF_CODES.get(problem.code)
        if isinstance(problem, TooMany):
            limits: Exceeded = request.app.state.edge.exceeded
            limits.note(problem.name or "other", request.app.state.door.address(scope), request.app.state.house.now())
        path = scope["state"].get("path", "")
        if kind == "limit" and path.startswith(_SIGN_IN):
            kind = "locked_out"
        if isinstance(problem, BadKey):
            kind = "bad_credential"
        if kind is not None:
            state = request.app.state
            caller: Caller | None = scope["state"].get("caller")
            state.house.security.saw(
                kind,
                state.door.address(scope),
                workspace_id=caller.workspace_id if caller is not None else 0,
                actor=f"{caller.actor.kind}:{caller.actor.id}" if caller is not None else "",
                route=f"{scope['method']} {scope.get('path_template', 'unmatched')}",
                request_id=scope["state"].get("request_id", ""),
            )
    return response
