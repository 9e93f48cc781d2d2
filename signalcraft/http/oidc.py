"""/api/auth/oidc: to the identity provider and back, and one's own links to it."""

from __future__ import annotations

import html
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from litestar import Response, delete, get
from litestar.datastructures import Cookie
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.http.asked import answered
from signalcraft.http.auth import TheCaller, anyone, door_of, needs, step_up
from signalcraft.http.problems import Problem
from signalcraft.http.signin import AnyRequest, old_token, person_of, session_cookies
from signalcraft.http.wire import TheHouse, time_of
from signalcraft.services.oidc import Said
from signalcraft.services.tickets import LASTING_MS
from signalcraft.storage.origin import Origin, present

TAG: Final = ["sign-in"]
COOKIE: Final = "signalcraft-oidc"
_PAGE_HEADERS: Final = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}


class IdentityOut(Struct, frozen=True):
    """Who one is at an identity provider. `email`: as it said it last."""

    id: str
    issuer: str
    subject: str
    email: str
    created_at: str
    last_used_at: str


class IdentityList(Struct, frozen=True):
    """The oldest first."""

    items: list[IdentityOut]


@get(
    "/api/auth/oidc/start",
    guards=[anyone],
    summary="Go to the identity provider",
    operation_id="begin_oidc",
    tags=TAG,
    status_code=302,
)
async def start(
    house: TheHouse, request: AnyRequest, next: FromQuery[str] = "/", again: FromQuery[bool] = False
) -> Response[None]:
    """For a browser: 302 to the provider. `next`: the path of this site to go on at; `again`: a fresh proof is wanted.

    404: single sign-on is not set up. 502 `provider_unavailable`: the provider does not answer.
    """
    door = door_of(request)
    door.admit(request)
    begun = await house.oidc.begin(next, again)
    cookie = door.short_cookie(request, COOKIE, begun.cookie, LASTING_MS // 1000)
    return Response(None, status_code=302, headers={"location": begun.url}, cookies=[cookie])


@get(
    "/api/auth/oidc/callback",
    guards=[anyone],
    summary="Back from the identity provider",
    operation_id="end_oidc",
    tags=TAG,
    status_code=303,
)
async def callback(house: TheHouse, request: AnyRequest) -> Response[Any]:
    """For a browser: 303 to `next`, with the session's cookie. Works once, for ten minutes, where it was begun.

    401 `sign_in_refused`: the provider's word was not enough, and the log says why. 410 `sign_in_stale`: begin again.
    Browsers get a page that says so.
    """
    door = door_of(request)
    over = door.short_cookie(request, COOKIE, "", 0)
    ticket, _, path = door.short_value(request, COOKIE).partition(".")
    query = request.query_params
    visitor = door.visitor(request)
    # A GET that signs somebody in is written down like a change: from where goes with it.
    token = present.set(Origin(visitor.address, visitor.user_agent, request.scope["state"]["request_id"]))
    said = Said(*(str(query.get(name, "")) for name in ("code", "state", "error", "iss")))
    try:
        door.admit(request)
        ended = await house.oidc.end(ticket, unquote(path), said, visitor, old_token(request))
        cookies = [*await session_cookies(house, request, ended.token), over]
        return Response(None, status_code=303, headers={"location": ended.path}, cookies=cookies)
    except Exception as problem:
        return _told(request, problem, over)
    finally:
        present.reset(token)


def _told(request: AnyRequest, problem: Exception, over: Cookie) -> Response[Any]:
    """The one answer that a person sees without a page of ours around it: words for browsers, else the problem."""
    told: Response[Any] = answered(request, problem)
    if "text/html" in request.headers.get("accept", ""):
        page = _page(msgspec.json.decode(told.content, type=Problem))
        headers = {**told.headers, **_PAGE_HEADERS}
        told = Response(page, status_code=told.status_code, media_type="text/html", headers=headers)
    told.cookies.append(over)
    return told


def _page(problem: Problem) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not signed in</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"></head><body><main><h1>You are not signed in</h1>'
        f'<p>{html.escape(problem.detail)}</p><p><a href="/api/auth/oidc/start">Try again</a> · '
        f'<a href="/">Other ways</a></p>'
        f"<p><small>{html.escape(problem.code)} · {html.escape(problem.request_id)}</small></p></main></body></html>\n"
    )


@get(
    "/api/auth/identities",
    guards=[needs("account", "read")],
    summary="My links to the identity provider",
    operation_id="list_identities",
    tags=TAG,
)
async def list_identities(house: TheHouse, caller: TheCaller) -> IdentityList:
    """Made by the first sign-in through the provider."""
    return IdentityList(
        [
            IdentityOut(
                id=ids.show(one.id),
                issuer=one.issuer,
                subject=one.subject,
                email=one.email,
                created_at=time_of(one.created_ms),
                last_used_at=time_of(one.last_used_ms),
            )
            for one in await house.oidc.own(person_of(caller).person_id)
        ]
    )


@delete(
    "/api/auth/identities/{id:str}",
    guards=[needs("account", "write"), step_up],
    summary="Unlink myself from the identity provider",
    operation_id="unlink_identity",
    tags=TAG,
    status_code=204,
)
async def unlink(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """The next sign-in through it links again, by the address. 409: it is the last way in of this account."""
    await house.oidc.unlink(person_of(caller), ids.parse(id))


ROUTES: list[Any] = [start, callback, list_identities, unlink]
