"""How people answer from outside: Slack's buttons, and the signed links in mails and webhooks.

Slack wants its 200 within three seconds: the write is done first, which takes milliseconds, and is on disk when the
answer leaves. A link's GET shows a page and changes nothing, since mail scanners open every link; only its POST acts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import logging
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.params import FromPath

from signalcraft.channels import slack
from signalcraft.domain import ids, links
from signalcraft.domain.delivery import Act
from signalcraft.domain.event import HttpInbound
from signalcraft.domain.group import Group
from signalcraft.errors import BadSignature, Busy, Fault, Invalid, NotFound
from signalcraft.http.wire import TheHouse
from signalcraft.services.deliver import LINK_PURPOSE
from signalcraft.services.house import House
from signalcraft.storage import groups
from signalcraft.storage.db import Tx

log = logging.getLogger(__name__)

ACT_S: Final = 2.5
"""How long a press may take to be on disk: Slack hangs up after three seconds."""
_under_way: set[asyncio.Task[Any]] = set()

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1c2430;"
    "background:#fff}h1{font-size:1.25rem;overflow-wrap:anywhere}dl{display:grid;grid-template-columns:max-content 1fr;"
    "gap:.25rem 1rem}dt{color:#5b6675}dd{margin:0;overflow-wrap:anywhere}button{font:inherit;padding:.6rem 1.4rem;"
    "border:0;border-radius:.4rem;background:#1553b7;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid "
    "#f5a623;outline-offset:2px}@media(prefers-color-scheme:dark){body{background:#10151c;color:#e6eaf0}dt{color:#9aa6b5}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "x-robots-tag": "noindex",
}
_BUTTONS: Final = {"ack": "Acknowledge", "resolve": "Resolve", "snooze": "Snooze for an hour", "unsnooze": "Wake"}
_DONE: Final = {"ack": "Acknowledged.", "resolve": "Resolved.", "snooze": "Snoozed.", "unsnooze": "Awake again."}


# -- Slack ------------------------------------------------------------------------------------------------------------


@post(
    "/webhooks/slack/actions",
    summary="Slack's buttons",
    operation_id="slack_actions",
    tags=["answers"],
    status_code=200,
)
async def slack_actions(house: TheHouse, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Signed by Slack (v0); the person who pressed is recorded. The answer is empty: Slack shows what we edit."""
    inbound = HttpInbound(
        "POST",
        "",
        request.scope["query_string"].decode("latin-1"),
        {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in request.scope["headers"]},
        await request.body(),
    )
    senders, acts = _heard(house, inbound)
    for act in acts:
        workspace_id = await _workspace_of(house, act, senders)
        await _act(house, workspace_id, senders[workspace_id], act)
    return Response(b"", media_type="text/plain")


def _heard(house: House, inbound: HttpInbound) -> tuple[dict[int, Any], list[Act]]:
    """What was pressed, and the workspaces (with a channel's settings) one of whose signing secrets verifies it.

    Several workspaces may use one Slack app. Raises BadSignature, Unreadable.
    """
    now_ms = house.now()
    tried: set[tuple[int, str]] = set()
    refused: BadSignature | None = None
    senders: dict[int, Any] = {}
    acts: list[Act] = []
    for live in house.registry.snapshot.channels.values():
        secret = getattr(live.config, "signing_secret", "")
        if live.kind != slack.KIND or not secret or (live.workspace_id, secret) in tried:
            continue
        tried.add((live.workspace_id, secret))
        try:
            acts = slack.hear(live.config, inbound, now_ms)
        except BadSignature as fault:
            refused = fault
        else:
            senders.setdefault(live.workspace_id, live.config)
    if senders:
        return senders, acts
    log.warning("a press from Slack was refused", extra={"secrets": len(tried)})
    raise refused or BadSignature("no Slack channel here has a signing secret")


async def _workspace_of(house: House, act: Act, senders: dict[int, Any]) -> int:
    first: int = next(iter(senders))
    if len(senders) == 1:
        return first
    try:
        group_id = ids.parse(act.group_id)
    except NotFound:
        return first
    group: Group | None = await house.db.read(lambda tx: groups.load(tx, group_id))
    return group.workspace_id if group is not None and group.workspace_id in senders else first


async def _act(house: House, workspace_id: int, config: Any, act: Act) -> None:
    doing = asyncio.get_running_loop().create_task(_done_and_told(house, workspace_id, config, act))
    _keep(doing)
    try:
        await asyncio.wait_for(asyncio.shield(doing), ACT_S)
    except TimeoutError:
        # It goes on; Slack shows that the press did not come through, and a second one finds it done.
        raise Busy("the press could not be written down in time") from None


async def _done_and_told(house: House, workspace_id: int, config: Any, act: Act) -> None:
    """On disk when this returns; what the person is told goes its own way."""
    sentence = await house.respond.act(workspace_id, act)
    log.info("pressed in Slack", extra={"verb": act.verb, "group": act.group_id, "who": act.who_name})
    if sentence and act.answer_url:
        telling = asyncio.get_running_loop().create_task(_tell(house, config, act, sentence))
        _keep(telling)


def _keep(task: asyncio.Task[Any]) -> None:
    """Until it is done: the loop itself holds tasks weakly. What failed with nobody waiting is in the log."""

    def done(task: asyncio.Task[Any]) -> None:
        _under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("an answer failed", exc_info=task.exception())

    _under_way.add(task)
    task.add_done_callback(done)


async def _tell(house: House, config: Any, act: Act, sentence: str) -> None:
    try:
        reply = await house.postman.send(slack.answer(config, act, sentence))
    except Exception:
        log.exception("the person who pressed could not be answered")
        return
    if not 200 <= reply.status < 300:
        log.warning("the person who pressed could not be answered", extra={"status": reply.status, "why": reply.error})


# -- signed links -----------------------------------------------------------------------------------------------------


class _WrongLink(NotFound):
    """A link that we did not sign, or whose alert group is no more."""


@get("/answer/{token:str}", summary="The page of a signed link", operation_id="show_answer_link", tags=["answers"])
async def show(house: TheHouse, token: FromPath[str]) -> Response[str]:
    """Shows the alert group and one button. Changes nothing, however often it is opened."""
    try:
        link, group = await _linked(house, token)
    except Fault as fault:
        return _refused(fault)
    if group.status == "resolved" or (link.verb == "ack" and group.status == "acknowledged"):
        return _page(_title(group), f"{_facts(group)}<p>Nothing to do: it is {group.status} already.</p>")
    button = f'<form method="post"><button>{_BUTTONS[link.verb]}</button></form>'
    return _page(_title(group), _facts(group) + button)


@post(
    "/answer/{token:str}",
    summary="Act by a signed link",
    operation_id="use_answer_link",
    tags=["answers"],
    status_code=200,
)
async def use(house: TheHouse, token: FromPath[str]) -> Response[str]:
    """Does what the link is for; a page says what became of it."""
    try:
        link, group = await _linked(house, token)
    except Fault as fault:
        return _refused(fault)
    live = house.registry.snapshot.channels.get(link.channel)
    act = Act(
        verb=link.verb,  # type: ignore[arg-type]  # the link was signed for one of the verbs
        group_id=ids.show(group.id),
        who_id=ids.show(link.channel),
        who_name=f"somebody by a link in {live.name if live is not None else 'a message'}",
        via=live.kind if live is not None else "link",
    )
    sentence = await house.respond.act(group.workspace_id, act)
    _, group = await _linked(house, token)
    return _page(_title(group), f"<p>{_esc(sentence or _DONE[link.verb])}</p>{_facts(group)}")


async def _linked(house: House, token: str) -> tuple[links.Link, Group]:
    """What a token allows and the group it is for. Raises Invalid (links.EXPIRED), _WrongLink."""
    try:
        link = links.read(house.vault.derive(LINK_PURPOSE), token, house.now())
    except Invalid as fault:
        if fault.detail == links.EXPIRED:
            raise
        raise _WrongLink("this link is not one of ours") from None

    def read(tx: Tx) -> Group | None:
        return groups.load(tx, link.group)

    group = await house.db.read(read)
    if group is None:
        raise _WrongLink("its alert group is no more")
    return link, group


def _refused(fault: Fault) -> Response[str]:
    if isinstance(fault, _WrongLink):
        text = "This link does not work. It may have been cut off on its way: open it from the message again."
        return _page("This link does not work", f"<p>{text}</p>", 404)
    text = "Links like this work for a limited time. The alert group can still be answered in its channel."
    return _page("This link has expired", f"<p>{text}</p>", 410)


def _title(group: Group) -> str:
    return group.title or "Alert group"


def _facts(group: Group) -> str:
    rows = (
        ("Severity", group.severity.label),
        ("Status", group.status + (f" by {group.acknowledged_by}" if group.status == "acknowledged" else "")),
        ("Project", group.project),
        ("Environment", group.environment),
        ("Events", str(group.count)),
    )
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{_esc(value)}</dd>" for name, value in rows if value) + "</dl>"


def _esc(text: str) -> str:
    return html.escape(text, quote=True)


def _page(title: str, body: str, status: int = 200) -> Response[str]:
    whole = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_esc(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{_esc(title)}</h1>{body}</main></body></html>"
    )
    return Response(whole, status_code=status, media_type="text/html", headers=_HEADERS)


ROUTES = [slack_actions, show, use]
