"""The page behind a shared link: an alert group in plain HTML, for reading and for printing."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Final

from litestar import Response

from signalcraft.domain.group import Group
from signalcraft.domain.wording import moment
from signalcraft.services.timeline import Moment
from signalcraft.storage.shares import Share

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c2430;"
    "background:#fff}h1{font-size:1.35rem;line-height:1.3;overflow-wrap:anywhere;margin:.25rem 0 1rem}h2{font-size:"
    "1rem;margin:1.75rem 0 .5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.25rem;margin:0}"
    "dt{color:#5b6675}dd{margin:0;overflow-wrap:anywhere}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:"
    "#f3f5f8;padding:.75rem;border-radius:.4rem;font:.9rem/1.45 ui-monospace,monospace}ol{list-style:none;padding:0;"
    "margin:0}li{display:grid;grid-template-columns:11.5rem 1fr;gap:0 1rem;padding:.3rem 0;border-top:1px solid "
    "#e1e5ea;overflow-wrap:anywhere}time{color:#5b6675}footer{margin-top:2rem;color:#5b6675;font-size:.875rem}"
    "@media(max-width:34rem){li{grid-template-columns:1fr}}@media(prefers-color-scheme:dark){body{background:#10151c;"
    "color:#e6eaf0}dt,time,footer{color:#9aa6b5}pre{background:#1a212b}li{border-color:#2a333f}}"
    "@media print{body{background:#fff;color:#000;margin:0;max-width:none}pre{background:#fff;border:1px solid #999}"
    "li{break-inside:avoid;border-color:#999}dt,time,footer{color:#333}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'none'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "x-robots-tag": "noindex, nofollow",
}
_MESSAGE_MAX: Final = 4_000
_WORDS: Final = {
    "opened": "Opened",
    "rose": "Severity rose",
    "spiked": "Severity rose: a spike of events",
    "episode": "Came back after a time of quiet",
    "reopened": "Opened again",
    "broke_through": "Severity rose, so it was told again",
    "acknowledgement_expired": "The acknowledgement expired",
    "acknowledged": "Acknowledged",
    "snoozed": "Snoozed",
    "unsnoozed": "Woken",
    "snooze_ended": "The snooze ended",
    "resolved": "Resolved",
    "assigned": "Assigned",
    "asked_again": "Still not resolved: asked again",
    "escalated": "Escalated: nobody had answered",
    "told": "A message was delivered",
    "delivery_failed": "A message could not be delivered",
    "unrouted": "No channel to tell",
}
"""What happened, in words. Comments and what else is the team's own are left out."""
_BY: Final = frozenset({"acknowledged", "snoozed", "unsnoozed", "resolved", "reopened", "assigned"})


def page(
    group: Group, moments: Sequence[Moment], share: Share, timezone: str, now_ms: int, *, more: bool
) -> Response[str]:
    """The group as it is now. `moments`: the newest first; `more`: there were earlier ones."""

    def at(ms: int) -> str:
        return f"<time>{_esc(moment(ms, timezone))}</time>"

    rows = [
        ("Severity", _esc(group.severity.label)),
        ("Status", _esc(_status(group, timezone))),
        ("Project", _esc(group.project or "")),
        ("Environment", _esc(group.environment or "")),
        ("Source", _esc(group.source)),
        ("Events", str(group.count)),
        ("Users affected", "" if group.users_affected is None else str(group.users_affected)),
        ("First seen", at(group.first_seen_ms)),
        ("Last seen", at(group.last_seen_ms)),
        ("Assignee", _esc(group.assignee.name if group.assignee else "")),
        ("How it ended", _esc(group.resolution_note or "") if group.status == "resolved" else ""),
    ]
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    told = [(one, _WORDS[one.verb]) for one in moments if one.verb in _WORDS and one.kind != "delivery"]
    lines = "".join(f"<li>{at(one.at_ms)}<span>{_esc(_said(one, words))}</span></li>" for one, words in told)
    message = f"<h2>Message</h2><pre>{_esc(group.message[:_MESSAGE_MAX])}</pre>" if group.message else ""
    earlier = "<p>Earlier moments are left out.</p>" if more else ""
    return _page(
        group.title or "Alert group",
        f"<dl>{facts}</dl>{message}<h2>What happened, the latest first</h2><ol>{lines}</ol>{earlier}"
        f"<footer>As of {at(now_ms)}. Shared by {_esc(share.author.name)} with SignalCraft; this link works until"
        f" {at(share.expires_ms)}.</footer>",
    )


def _status(group: Group, timezone: str) -> str:
    if group.status == "acknowledged" and group.acknowledged_by:
        return f"acknowledged by {group.acknowledged_by}"
    if group.status == "resolved" and group.resolved_by:
        return f"resolved by {group.resolved_by}"
    if group.status == "snoozed" and group.snoozed_until_ms is not None:
        return f"snoozed until {moment(group.snoozed_until_ms, timezone)}"
    return group.status


def _said(one: Moment, words: str) -> str:
    if one.verb in _BY and one.actor is not None and one.actor.kind != "system":
        words += f" by {one.actor.name}"
    if one.verb in ("rose", "spiked", "broke_through"):
        words += f": {one.data.get('from')} → {one.data.get('to')}"
    return words


def refused(status: int) -> Response[str]:
    """A link that shows nothing. `status`: 410 for one that is over, 404 for one that we did not give."""
    if status == 410:
        text = "Links like this work for a limited time. Ask whoever gave it to you for another."
        return _page("This link does not work any more", f"<p>{text}</p>", status)
    text = "It may have been cut off on its way: open it from the message again."
    return _page("This link does not work", f"<p>{text}</p>", status)


def _esc(text: str) -> str:
    return html.escape(text, quote=True)


def _page(title: str, body: str, status: int = 200) -> Response[str]:
    whole = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_esc(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex,nofollow"><meta name="color-scheme" content="light dark">'
        f"<style>{_STYLE}</style></head><body><main><h1>{_esc(title)}</h1>{body}</main></body></html>"
    )
    return Response(whole, status_code=status, media_type="text/html", headers=_HEADERS)
