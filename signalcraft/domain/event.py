"""Inbound → Event: one normalised statement by a sender."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from signalcraft.domain.severity import Severity

Kind = Literal["alert", "ack", "activity", "comment", "change", "handshake", "lifecycle", "test", "state", "noise"]
"""What sort of statement it is. `alert` and a vendor's `test` open and resolve groups; `ack` acknowledges one;
`activity`, `comment` and `state` are recorded on the group they speak of, if there is one; the rest stand alone."""

Status = Literal["firing", "resolved"]

Secret = Annotated[str, Meta(extra={"secret": True})]
"""A setting kept in the vault, never shown again."""

TITLE_MAX = 300
MESSAGE_MAX = 8_000
TEXT_MAX = 300
LINK_MAX = 2_000
TAGS_MAX = 100
TAG_KEY_MAX = 100
TAG_VALUE_MAX = 500


class HttpInbound(Struct, frozen=True):
    """One HTTP request as it arrived. Header names are lower case; `rest` is the path after the token ("", "/v2/…")."""

    method: str
    rest: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Event(Struct, kw_only=True):
    """What a sender said, in our words.

    Fields that the body is silent about are None (""/{} for message and tags).

    * `source_event_id`: the most specific id in the body; `dedup_key`: the vendor's problem identity, as spelt there.
    * `fingerprint`: what groups are folded by; None means "use dedup_key, else derive from project and title".
    * `delivery_key`: the same for every re-delivery of one statement and for no other; None: nothing in it is, so
      that each arrival counts.
    * `any_project`: the statement names no project because its vendor leaves it out: matched by fingerprint alone.
    * `truncated_batch`: the sender cut its list: a member that is missing is not resolved.
    * `action`: the vendor's word ("issue.resolved"), for timelines. `actor`: who did it there, for timelines.
    """

    kind: Kind = "alert"
    status: Status | None = None
    severity: Severity | None = None
    title: str | None = None
    message: str = ""
    project: str | None = None
    environment: str | None = None
    source_event_id: str | None = None
    dedup_key: str | None = None
    fingerprint: str | None = None
    delivery_key: str | None = None
    link: str | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    occurred_ms: int | None = None
    users: int | None = None
    action: str | None = None
    actor: str | None = None
    any_project: bool = False
    truncated_batch: bool = False


def clip(text: str, limit: int) -> str:
    """The text, cut visibly: at most `limit` characters, the last one an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _clean(text: str) -> str:
    # A lone surrogate cannot be stored as UTF-8; NUL ends text in too many tools downstream.
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _fine(texts: Collection[str], limit: int) -> bool:
    """Whether every text is short and plain, which is nearly always so: asked of all at once."""
    joined = "".join(texts)
    return joined.isascii() and "\x00" not in joined and (len(joined) <= limit or max(map(len, texts)) <= limit)


def bounded(event: Event) -> Event:
    """The same event within the stated limits, in place: every source's output passes here once, in ingest."""
    if event.title is not None:
        event.title = clip(_clean(event.title), TITLE_MAX)
    event.message = clip(_clean(event.message), MESSAGE_MAX)
    fields = event.project, event.environment, event.source_event_id, event.dedup_key, event.action, event.actor
    if not _fine([value for value in fields if value is not None], TEXT_MAX):
        for name in ("project", "environment", "source_event_id", "dedup_key", "action", "actor"):
            value = getattr(event, name)
            if value is not None:
                setattr(event, name, clip(_clean(value), TEXT_MAX))
    if event.link is not None:
        # A cut link leads nowhere: drop it, and drop what a browser would run.
        link = _clean(event.link)
        event.link = link if len(link) <= LINK_MAX and link.startswith(("http://", "https://")) else None
    tags = event.tags
    if len(tags) > TAGS_MAX or not (_fine(tags, TAG_KEY_MAX) and _fine(tags.values(), TAG_VALUE_MAX)):
        kept = list(tags.items())[:TAGS_MAX]
        event.tags = {clip(_clean(k), TAG_KEY_MAX): clip(_clean(v), TAG_VALUE_MAX) for k, v in kept}
    if event.users is not None:
        event.users = min(max(event.users, 0), 2**53)
    if event.occurred_ms is not None and not 0 <= event.occurred_ms < 4_102_444_800_000:  # to 2100
        event.occurred_ms = None
    return event
